import Formats
import Testing

@testable import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Log lines") struct LogTests {
    /// The line without its time, which every line begins with.
    private func withoutTime(_ line: String) -> String { String(line.dropFirst(#"{"time":"2026-11-21T08:00:00.000Z","#.count)) }

    @Test("are JSON with fixed members first and the fields by name")
    func json() throws {
        let capture = LogCapture(program: "worker-drafts")
        let log = Log("queue", fields: ["payment": "pay_1", "job": "job_1"], destination: capture)
        log.with(["trace": "abc", "job": "job_2"]).info("job finished", ["ms": 12, "ok": true, "ratio": 0.5, "note": "a\"b\nc"])
        let line = try #require(capture.lines.first)
        #expect(
            withoutTime(line)
                == #""level":"info","program":"worker-drafts","component":"queue","msg":"job finished","job":"job_2","ms":12,"note":"a\"b\nc","#
                + #""ok":true,"payment":"pay_1","ratio":0.5,"trace":"abc"}"#)
        let time = try #require(try JSON(parsing: line)["time"]?.string)
        #expect(abs(try #require(Timestamp.parse(time)) - WallClock.nowMs) < 60_000)
    }

    @Test("never name a member twice")
    func reserved() throws {
        let capture = LogCapture()
        Log(destination: capture).error("failed", ["msg": "x", "level": 5, "time": "y"])
        let json = try JSON(parsing: try #require(capture.lines.first))
        #expect(json["msg"] == "failed")
        #expect(json["msg_"] == "x")
        #expect(json["level_"] == 5)
    }

    @Test("as text are for people, and stay one line")
    func text() throws {
        let capture = LogCapture(format: .text, program: "ingest")
        Log("http", destination: capture).warning("body refused", ["bytes": 10, "reason": "too\nlarge", "path": "/webhooks/x"])
        #expect(try #require(capture.lines.first).dropFirst(13) == #"WARNING ingest/http body refused bytes=10 path=/webhooks/x reason="too\nlarge""#)
    }

    @Test("below the level are not made at all")
    func level() {
        let capture = LogCapture(level: .warning)
        let log = Log(destination: capture)
        func costly() -> Log.Value {
            Issue.record("the fields of a line nobody wants were made")
            return 1
        }
        log.debug("detail", ["x": costly()])
        log.info("news", ["x": costly()])
        log.warning("care")
        log.error("fault")
        #expect(capture.lines.count == 2)
    }

    @Test("hold no secret and no whole telephone number")
    func redaction() throws {
        let capture = LogCapture()
        let log = Log(destination: capture)
        log.info(
            "received",
            [
                "api_key": "12345", "X-Token": "abcdef", "customer_phone": "07 08 09 10 11", "text": "call +225 07 08 09 10 11", "tokens": 5,
                "provider_ref": "2250708091011", "url": "redis://:hunter2@localhost/0",
            ])
        let json = try JSON(parsing: try #require(capture.lines.first))
        #expect(json["api_key"] == "[redacted]")
        #expect(json["X-Token"] == "[redacted]")
        #expect(json["customer_phone"] == "07******11")
        #expect(json["text"] == "call +22507******11")
        #expect(json["tokens"] == 5)
        #expect(json["provider_ref"] == "2250708091011")
        #expect(json["url"] == "redis://[redacted]@localhost/0")
    }

    @Test("are written in order by a thread of their own, and flushed")
    func writer() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let writer = LogWriter(descriptor: ends[1])
        writer.configure(format: .json, program: "test", level: .info)
        for number in 0..<100 { writer.write(Array("line \(number)".utf8)) }
        writer.flush()
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(ends[0], &buffer, buffer.count)
        let expected = (0..<100).map { "line \($0)\n" }.joined()
        #expect(String(decoding: buffer[..<max(count, 0)], as: UTF8.self) == expected)
    }

    @Test("are dropped and counted when nobody reads them, and the caller never waits")
    func overflow() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let writer = LogWriter(descriptor: ends[1])
        writer.configure(format: .text, program: "test", level: .info)
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 99_999)
        let lines = LogWriter.bytesMax / line.count * 4
        for _ in 0..<lines { writer.write(line) }
        // Only now does somebody read: what was kept, and how much was lost.
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let wanted = Array("log lines were dropped lines=".utf8)
        while !bytes.suffix(400).contains(UInt8(ascii: "=")) {
            let count = read(ends[0], &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        let tail = bytes.suffix(400)
        #expect(String(decoding: tail, as: UTF8.self).contains(String(decoding: wanted, as: UTF8.self)))
        #expect(bytes.count <= LogWriter.bytesMax * 2 + 400)
        #expect(MetricRegistry.shared.prometheusText().contains("log_lines_dropped_total"))
    }
}

@Suite("Redaction") struct RedactionTests {
    @Test(
        "masks personal data in text",
        arguments: [
            ("+2250708091011", "+22507******11"), ("call +225 07 08 09 10 11 now", "call +22507******11 now"),
            ("tel:+33612345678.", "tel:+33612****78."),
            ("payer=2250708091011&x=1", "payer=22507******11&x=1"), ("002250708091011", "00225********11"), ("0708091011", "07******11"),
            ("07 08 09 10 11", "07******11"), ("07-08-09-10-11", "07******11"), ("{\"phone\":\"221771234567\"}", "{\"phone\":\"22177*****67\"}"),
            ("card 4111111111111111", "card ************1111"), ("4111 1111 1111 1111", "************1111"),
            ("4111-1111-1111-1111.", "************1111."),
            ("awa.kone+x@example.ci", "a***@example.ci"), ("from <a@b.co>", "from <a***@b.co>"), ("a@ b", "a@ b"),
        ])
    func masks(text: String, expected: String) { #expect(Redaction.text(text) == expected) }

    @Test(
        "leaves amounts, times and identifiers alone",
        arguments: [
            "12500", "amount 12500.10 XOF", "1763712000", "1763712000123", "2026-11-21T08:00:00.000Z", "pay_01K9ZZZZZZZZZZZZZZZZZZZZZZ",
            "550e8400-e29b-41d4-a716-446655440000", "order-2250708091011-7", "A2250708091011", "0.12345678901", "v1.2.3", "127.0.0.1:8080",
            "4111111111111112",
            "user@", "task-12345678 is done", "a basic idea", "bearer of news", "key=value",
        ])
    func leaves(text: String) { #expect(Redaction.text(text) == text) }

    @Test(
        "masks secrets in text",
        arguments: [
            ("key whsec_AQIDBAUGBwgJCgsM= used", "key [redacted] used"),
            ("Authorization: Bearer abcdef0123456789xyz", "Authorization: Bearer [redacted]"),
            ("sk-proj-abcdef0123456789", "[redacted]"), ("?apikey=abc&site_id=5", "?apikey=[redacted]&site_id=5"),
            (#"{"password": "p\"w", "n":1}"#, #"{"password": "[redacted]", "n":1}"#),
            (#"{"notif_token":"dd497bda3b250e53"}"#, #"{"notif_token":"[redacted]"}"#),
            ("postgres://u:p@ss@db/x", "postgres://[redacted]@db/x"), ("secret=\"two words\" x", "secret=\"[redacted]\" x"),
        ])
    func secrets(text: String, expected: String) { #expect(Redaction.text(text) == expected) }

    @Test(
        "knows secret names in every spelling",
        arguments: ["X-Token", "API_KEY", "apiKey", "Set-Cookie", "wave-signature", "ICOUNT_PASS", "client_secret"])
    func names(name: String) {
        #expect(Redaction.isSecretName(name))
        #expect(Redaction.headerValue(name: name, value: "x") == "[redacted]")
    }

    @Test("shows other headers, masked in parts")
    func headers() {
        #expect(!Redaction.isSecretName("content-type"))
        #expect(Redaction.headerValue(name: "User-Agent", value: "curl/8 (a@b.ci)") == "curl/8 (a***@b.ci)")
    }

    @Test("goes through any bytes without a fault")
    func anyText() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("01234567899 +-.@:=\"&{}/_aé😀skBearer whsec_token")
        for _ in 0..<5000 {
            let text = String((0..<40).map { _ in alphabet.randomElement(using: &random) ?? "x" })
            _ = Redaction.text(text)
            _ = Redaction.telephone(text)
        }
    }
}
