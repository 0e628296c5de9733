import EventLoop
import Formats
import HTTPServer
import Settings
import Telemetry

/// The collector's `/metrics`, `/livez`, `/readyz`, and `/unknown`, which lists the hosts without a project. `/healthz` is `/livez` by its
/// older name.
public enum CollectorPages {
    public static func server(for collector: Collector, at address: SocketAddress, loop: EventLoop, log: Log) -> HTTPServer {
        let configuration = HTTPServerConfiguration(address: address, loops: 1, bodyLimit: { _ in 0 })
        return HTTPServer(configuration: configuration, loops: [loop], name: "metrics", log: log) { request, responder in
            responder.respond(answer(to: request.path, of: collector))
        }
    }

    static func answer(to path: String, of collector: Collector) -> HTTPResponse {
        switch path {
        case "/metrics": .metrics()
        case "/livez", "/healthz": collector.isStuck ? .text(503, "nothing is read and no answer is waited for\n") : .text(200, "ok\n")
        case "/readyz": collector.trouble.map { .text(503, $0 + "\n") } ?? .text(200, "ready\n")
        case "/unknown": .json(200, unknown(collector))
        default: .problem(404, "not found")
        }
    }

    private static func unknown(_ collector: Collector) -> JSON {
        let seen = collector.unknown
        let listed = seen.listed.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return ["hosts": .array(listed.map { ["host": .string($0.key), "lines": .int($0.value)] }), "unlisted_lines": .int(seen.unlisted)]
    }
}
