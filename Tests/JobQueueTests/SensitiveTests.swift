import Formats
import JobQueue
import Testing

private struct Call: JobParameters, Equatable {
    static let kind = "call"
    static let queue = "calls"
    static let sensitiveFields: Set<String> = ["reference"]
    let inquiry: String
    @Sensitive var text: String
    var nested: Nested
    var reference: Reference

    struct Nested: Codable, Sendable, Equatable {
        var pin: Sensitive<Int>
    }
    struct Reference: Codable, Sendable, Equatable {
        var code: String
    }
}

@Suite("Sensitive fields")
struct SensitiveTests {
    private let call = Call(
        inquiry: "inq_1", text: "my own words", nested: .init(pin: Sensitive(4711)), reference: .init(code: "open sesame"))

    private func envelope(_ args: JSON) -> JobEnvelope {
        JobEnvelope(
            id: "job_1", kind: Call.kind, queue: Call.queue, args: args, enqueuedAtMs: 1,
            unknown: [.init(name: "x_token", value: "abc"), .init(name: "x_note", value: ["$sensitive": "hush"])])
    }

    private func expectHidden(_ text: String) {
        for secret in ["my own words", "4711", "open sesame", "abc", "hush"] { #expect(!text.contains(secret), "\(text)") }
    }

    @Test("a sensitive value is marked on the wire and comes back as it was")
    func roundTrip() throws {
        let args = try JobRequest(call).args
        #expect(
            args == [
                "inquiry": "inq_1", "text": ["$sensitive": "my own words"], "nested": ["pin": ["$sensitive": 4711]],
                "reference": ["$sensitive": ["code": "open sesame"]],
            ])
        #expect(try envelope(args).parameters(as: Call.self) == call)
    }

    @Test("a producer that does not mark is understood too")
    func unmarked() throws {
        let args: JSON = [
            "inquiry": "inq_1", "text": "my own words", "nested": ["pin": 4711], "reference": ["code": "open sesame"],
        ]
        #expect(try envelope(args).parameters(as: Call.self) == call)
    }

    @Test("nothing sensitive is in a description, a dump, a listing or a dead record; the rest is")
    func hidden() throws {
        let job = envelope(try JobRequest(call).args)
        var dumped = ""
        dump(job, to: &dumped)
        let record = DeadRecord(
            burying: job, body: job.encoded(), reason: "refused", nowMs: 1, worker: WorkerIdentity(name: "w"))
        dump(record, to: &dumped)
        for text in ["\(job)", String(reflecting: job), job.display.text, dumped, "\(record)", record.displayBody?.text ?? ""] {
            expectHidden(text)
        }
        dumped = ""
        dump(call, to: &dumped)
        for secret in ["my own words", "4711"] { #expect(!dumped.contains(secret)) }
        #expect("\(job)".contains("inq_1"))
        #expect(record.displayBody?["args"]?["inquiry"]?.string == "inq_1")
        #expect(record.displayBody?["args"]?["text"]?.string == "[redacted]")
    }

    @Test(
        "a listing also hides what stands under a secret's name or looks like a telephone number, whoever pushed it",
        arguments: [
            (#"{"password":"x"}"#, #"{"password":"[redacted]"}"#), (#"{"a":[{"api_key":1}]}"#, #"{"a":[{"api_key":"[redacted]"}]}"#),
            (#"{"note":"ring +2250707070711"}"#, #"{"note":"ring +22507******11"}"#),
            (#"{"n":1,"b":true,"z":null,"s":"plain"}"#, #"{"n":1,"b":true,"z":null,"s":"plain"}"#),
        ])
    func byName(_ args: String, _ shown: String) throws {
        #expect(try JSON(parsing: Array(args.utf8)).redactedForDisplay.text == shown)
    }

    @Test("a body that is no job is never shown")
    func opaque() {
        let record = DeadRecord(
            buryingOpaque: Array("my own words".utf8), reason: "unreadable", nowMs: 1, worker: WorkerIdentity(name: "w"))
        #expect(record.displayBody == nil)
        expectHidden("\(record)")
    }
}
