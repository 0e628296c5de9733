import EventLoop
import Formats
import JobQueue
import JobQueueTestKit
import TestSupport
import Testing

private struct Letter: JobParameters, Equatable {
    static let kind = "letter"
    static let queue = "ignored"
    static let schemaVersion = 3
    static let upcasters = [
        JobUpcaster(from: 1) { args in
            args["to"] = args["email"]
            args["email"] = nil
        },
        JobUpcaster(from: 2) { args in args["copies"] = 1 },
    ]
    let to: String
    let copies: Int
}

/// The same kind as a worker of last year knows it.
private struct OldLetter: JobParameters {
    static let kind = "letter"
    static let queue = "ignored"
    let email: String
}

/// A kind that forgot its past.
private struct Young: JobParameters {
    static let kind = "young"
    static let queue = "ignored"
    static let schemaVersion = 3
    static let upcasters = [JobUpcaster(from: 2) { _ in }]
}

private struct Bulky: JobParameters {
    static let kind = "bulky"
    static let queue = "bulky"
    let text: String
}

private struct Taken: JobParameters {
    static let kind = "taken"
    static let queue = "taken"
    enum CodingKeys: String, CodingKey { case version = "$v" }
    let version: Int
}

@Suite("Versions of a kind, and the size of a job")
struct VersionTests {
    private func envelope(_ kind: String, _ args: JSON, queue: String = "ignored") -> JobEnvelope {
        JobEnvelope(id: "job_1", kind: kind, queue: queue, args: args, enqueuedAtMs: 1)
    }

    @Test(
        "parameters of any older version are read as the present one",
        arguments: [
            (#"{"email":"a@b"}"#, Letter(to: "a@b", copies: 1)), (#"{"$v":1,"email":"a@b"}"#, Letter(to: "a@b", copies: 1)),
            (#"{"$v":2,"to":"a@b"}"#, Letter(to: "a@b", copies: 1)), (#"{"$v":3,"to":"a@b","copies":7}"#, Letter(to: "a@b", copies: 7)),
        ])
    private func upcast(_ args: String, _ letter: Letter) throws {
        #expect(try envelope("letter", JSON(parsing: Array(args.utf8))).parameters(as: Letter.self) == letter)
    }

    @Test("a request says its version in the args, so that it survives an outbox; version 1 says nothing")
    func written() throws {
        #expect(try JobRequest(Letter(to: "a@b", copies: 2)).args == ["to": "a@b", "copies": 2, "$v": 3])
        #expect(try JobRequest(OldLetter(email: "a@b")).args == ["email": "a@b"])
        #expect(throws: ParametersError.self) { try JobRequest(Taken(version: 1)) }
    }

    @Test("what no upcaster reads is refused with the version named")
    func tooOld() {
        let error = #expect(throws: ParametersError.self) { try envelope("young", [:]).parameters(as: Young.self) }
        #expect(error?.description.contains("version 1 is too old") == true)
    }

    @Test("an old worker leaves a newer version to a new one: parked and counted, not an attempt spent", arguments: Backend.allCases)
    func newer(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let job = envelope("letter", ["$v": 3, "to": "a@b", "copies": 1], queue: bench.driver.queue)
        try await bench.driver.put([job])
        let old = jobWorker(bench.driver)
        old.register(OldLetter.self, retry: once) { _, _ in
            diary.write("old")
            return .done
        }
        try await old.start()
        try await eventually("parked") { try await bench.driver.counts() == QueueCounts(workers: 1, parked: 1) }
        await old.stopped()
        #expect(diary.all.isEmpty)
        #expect(try await bench.driver.dead(offset: 0, limit: 1).isEmpty)
        #expect(try await bench.driver.history(ofJob: job.id).isEmpty)
        #expect(try await bench.driver.control().unhandledKinds == [UnhandledKind(kind: "letter", version: 3)])
        #expect(try await bench.driver.control().operatorPausedKinds.isEmpty)
    }

    @Test("a parked job is done by the first worker that knows its version, as if nothing had been", arguments: Backend.allCases)
    func parkedIsDone(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        try await bench.driver.put([
            envelope("letter", ["$v": 3, "to": "a@b", "copies": 1], queue: bench.driver.queue),
            envelope("nobody.knows", [:], queue: bench.driver.queue),
        ])
        let old = jobWorker(bench.driver)
        old.register(OldLetter.self, retry: once) { _, _ in .done }
        try await old.start()
        try await eventually("both are parked") { try await bench.driver.counts() == QueueCounts(workers: 1, parked: 2) }
        await old.stopped()

        let new = letterWorker(bench.driver, diary)
        try await new.start()
        try await eventually("the letter is done") { diary.all == ["a@b 1"] }
        try await eventually("the other still waits") { try await bench.driver.counts() == QueueCounts(workers: 1, parked: 1) }
        #expect(try await bench.driver.control().unhandledKinds == [UnhandledKind(kind: "nobody.knows", version: 1)])
        await new.stopped()
    }

    @Test("a worker that knows a kind and idles gets what one beside it could only park", arguments: Backend.allCases)
    func sideBySide(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let old = jobWorker(bench.driver)
        old.register(OldLetter.self, retry: once) { _, _ in .done }
        let driver = try await bench.peer()
        try await old.start()
        try await bench.driver.put(
            (1...20).map { number in
                JobEnvelope(
                    id: "job_\(number)", kind: "letter", queue: bench.driver.queue, args: ["$v": 3, "to": .string("\(number)"), "copies": 1],
                    enqueuedAtMs: 1, unique: "letter:\(number)")
            })
        try await eventually("all are parked") { try await bench.driver.counts() == QueueCounts(workers: 1, parked: 20) }
        let new = letterWorker(driver, diary)
        try await new.start()
        try await eventually("some came back and were done") { !diary.all.isEmpty }
        // The old one takes some of them again and again; each is left to the new one a moment later.
        try await eventually(within: .seconds(30), "all are done, each once") {
            (bench as? MemoryBench)?.clock.turn(by: .milliseconds(100))
            return Set(diary.all).count == 20
        }
        #expect(diary.all.count == 20)
        try await eventually("nothing is left") { try await bench.driver.counts() == QueueCounts(workers: 2) }
        await old.stopped()
        await new.stopped()
    }

    @Test("kinds that somebody makes up are kept aside by name up to a number, the others put off: nothing is dropped", arguments: Backend.allCases)
    func madeUp(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let kinds = JobWorker.parkedKindsMax + 20
        try await bench.driver.put(
            (1...kinds).map { JobEnvelope(id: "job_\($0)", kind: "made.up.\($0)", queue: bench.driver.queue, args: [:], enqueuedAtMs: 1) })
        let worker = jobWorker(bench.driver, concurrency: 1)
        worker.register(OldLetter.self, retry: once) { _, _ in .done }
        try await worker.start()
        try await eventually("all are aside or put off") {
            let counts = try await bench.driver.counts()
            return counts.parked + counts.delayed == kinds
        }
        let control = try await bench.driver.control()
        #expect((JobWorker.parkedKindsMax...JobWorker.parkedKindsMax + 2).contains(control.unhandledKinds.count))
        #expect(try await bench.driver.counts().delayed >= 18)
        await worker.stopped()
    }

    private func letterWorker(_ driver: any QueueDriver, _ diary: Diary) -> JobWorker {
        let worker = jobWorker(driver)
        worker.register(Letter.self, retry: once) { letter, context in
            diary.write("\(letter.to) \(context.attempt)")
            return .done
        }
        return worker
    }

    @Test("the name under which an unknown kind is kept aside is read back, and no other name is taken for one")
    func names() {
        for unhandled in [UnhandledKind(kind: "draft.generate", version: 2), UnhandledKind(kind: "a:?b", version: .max)] {
            #expect(UnhandledKind(parkedAs: unhandled.parkedAs) == unhandled)
        }
        for name in ["draft.generate", "?", "?x:y", "", "2:letter"] { #expect(UnhandledKind(parkedAs: name) == nil) }
    }

    @Test("parameters over 64 KiB are refused when the job is asked for, with the remedy; just below they pass")
    func cap() throws {
        let overhead = #"{"text":""}"#.utf8.count
        #expect(throws: Never.self) { try JobRequest(Bulky(text: String(repeating: "x", count: (64 << 10) - overhead))) }
        let error = #expect(throws: ParametersError.self) {
            try JobRequest(Bulky(text: String(repeating: "x", count: (64 << 10) - overhead + 1)))
        }
        #expect(error == .tooLarge(kind: "bulky", bytes: 65537))
        #expect(
            error?.description
                == "the parameters of bulky have 65537 bytes, a job carries at most 65536: "
                + "store the data in a table or a private file, and pass its id")
    }

    @Test("events and batches, which are no jobs, may be larger", arguments: Backend.allCases)
    func eventsMayBeLarger(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let large = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        try await bench.driver.enqueue([EnqueueItem(body: large)])
        #expect(try await bench.driver.peek(limit: 1) == [large])
    }
}
