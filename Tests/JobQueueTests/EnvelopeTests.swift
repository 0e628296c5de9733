import Formats
import JobQueue
import Testing

private struct Greet: JobParameters, Equatable {
    static let kind = "greet"
    static let queue = "greetings"
    let name: String
    var times: Int?
}

private struct Nothing: JobParameters, Equatable {
    static let kind = "nothing"
    static let queue = "greetings"
}

private struct Draft: PaidOnlyParameters, Equatable {
    static let kind = "draft.generate"
    static let queue = "drafts"
    let inquiry: String
}

@Suite("Envelope")
struct EnvelopeTests {
    private let whole =
        #"{"v":1,"id":"job_1","kind":"greet","queue":"greetings","args":{"name":"Awa"},"payment":"pay_1","attempt":2,"#
        + #""enqueued_at":1795000000000,"unique":"u","traceparent":"00-1"}"#

    @Test("a whole job is read field by field and written again byte by byte")
    func roundTrip() throws {
        let job = try JobEnvelope(decoding: Array(whole.utf8))
        #expect(
            job
                == JobEnvelope(
                    id: "job_1", kind: "greet", queue: "greetings", args: ["name": "Awa"], payment: "pay_1", attempt: 2,
                    enqueuedAtMs: 1_795_000_000_000, unique: "u", traceparent: "00-1"))
        #expect(String(decoding: job.encoded(), as: UTF8.self) == whole)
    }

    @Test("a producer may leave out everything that has a natural default")
    func defaults() throws {
        let job = try JobEnvelope(decoding: Array(#"{"v":1,"id":"j","kind":"k","queue":"q"}"#.utf8))
        #expect(job == JobEnvelope(id: "j", kind: "k", queue: "q", args: [:], enqueuedAtMs: 0))
    }

    @Test("unknown fields survive a retry word for word")
    func unknownFields() throws {
        let text = #"{"v":1,"zeta":[1.50,{"a":null}],"id":"j","kind":"k","queue":"q","args":{"amount":12500.10},"priority":"high"}"#
        let next = try JobEnvelope(decoding: Array(text.utf8)).afterAttempt()
        let written = String(decoding: next.encoded(), as: UTF8.self)
        #expect(written.contains(#""zeta":[1.50,{"a":null}]"#))
        #expect(written.contains(#""priority":"high""#))
        #expect(written.contains(#""args":{"amount":12500.10}"#))
        #expect(written.contains(#""attempt":1"#))
        #expect(try JobEnvelope(decoding: next.encoded()) == next)
    }

    static let refusals: [(field: String, text: String)] = [
        ("", "[]"), ("", "not json"), ("", #"{"v":1"#), ("", #"{"v":1,"v":1,"id":"j","kind":"k","queue":"q"}"#),
        ("v", #"{"id":"j","kind":"k","queue":"q"}"#), ("v", #"{"v":2,"id":"j","kind":"k","queue":"q"}"#),
        ("v", #"{"v":"1","id":"j","kind":"k","queue":"q"}"#), ("id", #"{"v":1,"kind":"k","queue":"q"}"#),
        ("id", #"{"v":1,"id":7,"kind":"k","queue":"q"}"#), ("id", #"{"v":1,"id":"","kind":"k","queue":"q"}"#),
        ("id", #"{"v":1,"id":null,"kind":"k","queue":"q"}"#), ("kind", #"{"v":1,"id":"j","queue":"q"}"#),
        ("kind", #"{"v":1,"id":"j","kind":["k"],"queue":"q"}"#), ("queue", #"{"v":1,"id":"j","kind":"k"}"#),
        ("queue", #"{"v":1,"id":"j","kind":"k","queue":"a}b"}"#), ("queue", #"{"v":1,"id":"j","kind":"k","queue":""}"#),
        ("args", #"{"v":1,"id":"j","kind":"k","queue":"q","args":[1]}"#),
        ("payment", #"{"v":1,"id":"j","kind":"k","queue":"q","payment":12}"#),
        ("attempt", #"{"v":1,"id":"j","kind":"k","queue":"q","attempt":-1}"#),
        ("attempt", #"{"v":1,"id":"j","kind":"k","queue":"q","attempt":1.5}"#),
        ("enqueued_at", #"{"v":1,"id":"j","kind":"k","queue":"q","enqueued_at":"now"}"#),
        ("unique", #"{"v":1,"id":"j","kind":"k","queue":"q","unique":{}}"#),
        ("traceparent", #"{"v":1,"id":"j","kind":"k","queue":"q","traceparent":5}"#),
    ]

    @Test("a field that breaks its rule is refused by name", arguments: refusals)
    func refused(_ refusal: (field: String, text: String)) {
        #expect { try JobEnvelope(decoding: Array(refusal.text.utf8)) } throws: { ($0 as? EnvelopeError)?.field == refusal.field }
    }

    @Test("names and bodies over their limits are refused")
    func limits() {
        let long = String(repeating: "k", count: JobEnvelope.nameLengthMax + 1)
        #expect { try JobEnvelope(decoding: Array(#"{"v":1,"id":"j","kind":"\#(long)","queue":"q"}"#.utf8)) } throws: {
            ($0 as? EnvelopeError)?.field == "kind"
        }
        let huge = [UInt8](repeating: UInt8(ascii: " "), count: JobEnvelope.bytesMax + 1)
        #expect(throws: EnvelopeError.self) { try JobEnvelope(decoding: huge) }
    }

    @Test("parameters travel through a request, an envelope and its bytes")
    func parameters() throws {
        var request = try JobRequest(Greet(name: "Awa \"é\" 👋", times: 3), unique: "one")
        request.traceparent = "00-2"
        let id = JobRequest.makeID(nowMs: 5)
        let job = try JobEnvelope(decoding: request.envelope(id: id, nowMs: 5).encoded())
        #expect(id.hasPrefix("job_") && id.utf8.count == 30)
        #expect(job.kind == "greet" && job.queue == "greetings" && job.attempt == 0 && job.enqueuedAtMs == 5)
        #expect(job.unique == "one" && job.traceparent == "00-2")
        #expect(try job.parameters(as: Greet.self) == Greet(name: "Awa \"é\" 👋", times: 3))
    }

    @Test("parameters without fields are an empty object")
    func emptyParameters() throws {
        let request = try JobRequest(Nothing())
        #expect(request.args == [:])
        #expect(try request.envelope(id: "j", nowMs: 1).parameters(as: Nothing.self) == Nothing())
    }

    @Test("args that do not fit are refused by field, finally")
    func misfit() {
        let job = JobEnvelope(id: "j", kind: "greet", queue: "greetings", args: ["name": 5], enqueuedAtMs: 1)
        #expect { try job.parameters(as: Greet.self) } throws: { error in
            guard case .unreadable("greet", let detail)? = error as? ParametersError else { return false }
            return detail.hasPrefix("name") && (error as? ParametersError)?.jobDisposition == .bury
        }
        let empty = JobEnvelope(id: "j", kind: "greet", queue: "greetings", args: [:], enqueuedAtMs: 1)
        #expect { try empty.parameters(as: Greet.self) } throws: { "\($0)".contains("name is missing") }
    }

    @Test("a paid-only kind can neither be asked for nor read without a payment")
    func paidOnly() throws {
        let request = try JobRequest(Draft(inquiry: "inq_1"), payment: "pay_1")
        #expect(request.payment == "pay_1")
        #expect(throws: ParametersError.paymentMissing(kind: "draft.generate")) { try JobRequest(Draft(inquiry: "inq_1"), payment: "") }
        var job = request.envelope(id: "j", nowMs: 1)
        #expect(try job.parameters(as: Draft.self) == Draft(inquiry: "inq_1"))
        job.payment = nil
        #expect(throws: ParametersError.paymentMissing(kind: "draft.generate")) { try job.parameters(as: Draft.self) }
    }

    @Test("a dead record keeps any body exactly")
    func deadRecord() throws {
        let body: [UInt8] = [0, 1, 255, 34]
        let record = DeadRecord(buryingOpaque: body, reason: "no\u{0}good \"x\"", nowMs: 9, worker: WorkerIdentity(name: "w", epoch: 7))
        let read = try #require(DeadRecord(bytes: record.bytes))
        #expect(read == record)
        #expect(read.body == body && read.replayBody == body && read.worker == "w:7")
        #expect(DeadRecord(bytes: Array("{}".utf8)) == nil)
    }

    @Test("a worker's name cannot break out of its keys")
    func workerNames() {
        #expect(WorkerIdentity(name: "host:1 {a}\né", epoch: 36).description == "host-1--a---:10")
    }
}
