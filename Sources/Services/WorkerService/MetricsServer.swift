import EventLoop
import Formats
import HTTPServer
import Telemetry

/// A worker's `/metrics`, `/healthz` and `/readyz`, on its own loop.
enum MetricsServer {
    static func make(address: SocketAddress, loop: EventLoop, log: Log) -> HTTPServer {
        let configuration = HTTPServerConfiguration(address: address, loops: 1, bodyLimit: { _ in 0 })
        return HTTPServer(configuration: configuration, loops: [loop], name: "metrics", log: log) { request, responder in
            switch request.path {
            case "/metrics":
                responder.respond(
                    HTTPResponse(
                        status: 200, headers: ["content-type": MetricRegistry.contentType],
                        body: Array(MetricRegistry.shared.prometheusText().utf8)))
            case "/healthz", "/readyz": responder.respond(.text(200, "ok\n"))
            default: responder.respond(.problem(404, "not found"))
            }
        }
    }
}
