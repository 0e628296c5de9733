import Formats
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Sources change while everything runs", .timeLimit(.minutes(4)))
struct RestartSourcesTests {
    /// Until the post is answered so; how long that took.
    private func wait(for status: Int, _ stage: Stage, since begun: ContinuousClock.Instant = .now) async throws -> Duration {
        let message = Message.unmatched()
        try await eventually(within: .seconds(8), "posts are answered \(status)") { try await stage.post(message).status == status }
        return begun.duration(to: .now)
    }

    @Test("off and on take effect within two seconds at ingest, in the same process")
    func offAndOn() async throws {
        try await Stage.run(["ingest"]) { stage in
            let pid = try stage.instance.process("ingest").pid
            #expect(try await stage.post(.unmatched()).status == 200)
            #expect(try await stage.instance.quittance("source", "off", "standard-webhooks").code == 0)
            #expect(try await wait(for: 404, stage) < (.seconds(2) as Duration).stretched)
            #expect(try await stage.instance.quittance("source", "off", "standard-webhooks").code == 3)
            #expect(try await stage.instance.quittance("source", "on", "standard-webhooks").code == 0)
            #expect(try await wait(for: 200, stage) < (.seconds(2) as Duration).stretched)
            let process = try stage.instance.process("ingest")
            #expect(process.pid == pid && process.isRunning)
            #expect(process.lines.contains { $0.text.contains("standard-webhooks is off") })
            // A restart with the same environment, which says sandbox, finds the source as the file has it.
            #expect(try await stage.instance.quittance("source", "off", "standard-webhooks").code == 0)
            try await stage.instance.start("ingest")
            #expect(try await wait(for: 404, stage) < (.seconds(2) as Duration).stretched)
        }
    }

    @Test("events of a source that was turned off meanwhile are applied, and web starts no payment with it")
    func offInFlight() async throws {
        try await Stage.run(["ingest", "worker-payments", "web"]) { stage in
            let payment = try await stage.seedOne(.order)
            #expect(try await stage.instance.stop("worker-payments") == .exited(0))
            #expect(try await stage.post(.paid(payment)).status == 200)
            for name in ["standard-webhooks", "cinetpay"] { #expect(try await stage.instance.quittance("source", "off", name).code == 0) }
            try await stage.instance.start("worker-payments")
            try await eventually(within: .seconds(20), "it is paid") { try await stage.state(of: payment.id) == "paid" }
            let made = try await stage.instance.quittance("apikey", "create", "--name", "shop")
            let key = String(made.output.split(separator: "\n").first ?? "")
            try await eventually(within: .seconds(5), "web starts nothing with it any more") {
                let answer = try await HTTPLine.once(
                    port: stage.instance.webPort, "POST", "/api/v1/payments/cinetpay/initiate/",
                    headers: [("authorization", "Bearer \(key)"), ("content-type", "application/json")], body: Array("{}".utf8))
                return answer.status == 404 && answer.text.contains("'cinetpay' is not on here")
            }
        }
    }

    @Test("a damaged file changes nothing, is told of, and does not keep ingest from starting")
    func damaged() async throws {
        try await Stage.run(["ingest"]) { stage in
            let folder = stage.instance.folder
            let good = try #require(folder.read("var/sources.json"))
            var status = stat()
            #expect(stat(folder.file("var/sources.json"), &status) == 0 && status.st_mode & 0o777 == 0o600)
            try folder.write("{\"v\":1,\"sources\":{", to: "var/sources.json")
            #expect(chmod(folder.file("var/sources.json"), 0o600) == 0)
            try await stage.instance.process("ingest").waitForLine(containing: "the last good one stays in force")
            #expect(try await stage.post(.unmatched()).status == 200)
            let doctor = try await stage.instance.quittance("doctor")
            #expect(doctor.output.contains("its last good copy is in force") && doctor.code == 1)
            let again = try await stage.instance.start("ingest")
            #expect(again.lines.contains { $0.text.contains("its last good copy is in force") })
            #expect(try await stage.post(.unmatched()).status == 200)
            // A command writes it anew, from the copy.
            #expect(try await stage.instance.quittance("source", "off", "standard-webhooks").code == 0)
            #expect(try await wait(for: 404, stage) < (.seconds(2) as Duration).stretched)
            #expect(try #require(folder.read("var/sources.json")).count >= good.count - 8)
            let all = stage.instance.transcript(linesMax: 1000) + doctor.output
            for secret in [Instance.webhookSecret, Instance.cinetPaySecret, Instance.backendSecret] { #expect(!all.contains(secret)) }
        }
    }

    @Test("the key of a source of samples is added and taken away without a restart")
    func usageKeys() async throws {
        try await Stage.run(["ingest"]) { stage in
            let made = try await stage.instance.quittance("source", "rotate", "usage/gateway-1", "--generate")
            let key = try #require(made.output.split(separator: "\n").first.map(String.init))
            func post() async throws -> Int {
                let line = #"{"project":"shop","bytes":1,"at":\#(WallClock.nowMs)}"#
                let headers = [
                    ("authorization", "Bearer \(key)"), ("content-type", "application/x-ndjson"), ("idempotency-key", "b-\(WallClock.nowMs)"),
                ]
                return try await HTTPLine.once(port: stage.ingestPort, "POST", "/usage", headers: headers, body: Array(line.utf8)).status
            }
            try await eventually(within: .seconds(3), "the key is known") { try await post() == 200 }
            #expect(try await stage.instance.quittance("source", "off", "usage/gateway-1").code == 0)
            try await eventually(within: .seconds(3), "the key is known no more") { try await post() == 401 }
        }
    }
}
