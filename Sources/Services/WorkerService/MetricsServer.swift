import EventLoop
import Formats
import HTTPServer
import JobQueue
import Telemetry

/// A worker's `/metrics`, `/livez`, `/readyz` and `/autoscale`, on its own loop. `/healthz` is `/livez` by its older name.
enum MetricsServer {
    /// How long a page waits for the queues to be counted; later it shows what was counted before.
    private static let countingMax = Duration.seconds(1)
    /// Counts older than this tell a scaler nothing.
    private static let staleAfter = Duration.seconds(15)

    static func make(address: SocketAddress, loop: EventLoop, watch: QueueWatch, log: Log) -> HTTPServer {
        let configuration = HTTPServerConfiguration(address: address, loops: 1, bodyLimit: { _ in 0 })
        return HTTPServer(configuration: configuration, loops: [loop], name: "metrics", log: log) { request, responder in
            switch request.path {
            case "/metrics":
                Task {
                    _ = await watch.look(within: countingMax)
                    responder.respond(.metrics())
                }
            case "/autoscale":
                Task {
                    let seen = await watch.look(within: countingMax)
                    responder.respond(autoscale(seen, at: watch.lastLook))
                }
            case "/livez", "/healthz":
                // That this is answered at all shows that the loop turns.
                responder.respond(watch.isStuck ? .text(503, "the queue is connected and does not answer\n") : .text(200, "ok\n"))
            case "/readyz":
                let silence = watch.silence
                responder.respond(silence.isEmpty ? .text(200, "ready\n") : .text(503, silence.joined(separator: "\n") + "\n"))
            default: responder.respond(.problem(404, "not found"))
            }
        }
    }

    /// `load` and `oldest_age_seconds` of the queue that needs most stand at the top, where KEDA's `valueLocation` finds them; the
    /// replicas that are wanted are `load`, rounded up.
    private static func autoscale(_ seen: [QueueWatch.Seen], at lastLook: ContinuousClock.Instant?) -> HTTPResponse {
        guard let lastLook, ContinuousClock.now - lastLook < staleAfter else {
            return .problem(503, "the queues cannot be counted now")
        }
        let queues = seen.map { seen -> JSON in
            [
                "queue": .string(seen.queue), "ready": .int(Int64(seen.counts.ready)), "in_flight": .int(Int64(seen.counts.inFlight)),
                "delayed": .int(Int64(seen.counts.delayed)), "workers": .int(Int64(seen.counts.workers)), "target": .int(Int64(seen.target)),
                "load": decimal(seen.load), "oldest_age_seconds": decimal(Double(seen.oldestAgeMs ?? 0) / 1000),
            ]
        }
        let body: JSON = [
            "load": decimal(seen.map(\.load).max() ?? 0),
            "oldest_age_seconds": decimal(Double(seen.compactMap(\.oldestAgeMs).max() ?? 0) / 1000), "queues": .array(queues),
        ]
        return HTTPResponse(status: 200, headers: ["content-type": "application/json"], body: body.bytes)
    }

    /// Three decimals.
    private static func decimal(_ value: Double) -> JSON {
        let thousandths = Int64((value * 1000).rounded())
        let rest = String(thousandths % 1000)
        return .number("\(thousandths / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)")
    }
}
