import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import TestSupport
import Testing

private struct Mail: JobParameters, Equatable {
    static let kind = "email.send"
    static let queue = "email"
    let to: String
    let subject: String
    @Sensitive var text: String
}

@Suite("A producer in Python")
struct PythonProducerTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    @Test("what Examples/enqueue.py pushes is done by a worker, and its sensitive text is shown by no listing")
    func enqueues() async throws {
        let python = "\(Self.root)/.venv/bin/python"
        try #require(fileExists(python), "\(python) is missing: run deploy/bootstrap test")
        let server = try await RedisServer.start()
        let loop = try EventLoop.started(name: "python-test")
        let queues = RedisQueues(loop: loop, address: server.address, prefix: "py:", name: "test")
        defer { queues.close() }
        let args = #"{"to": "ada@example.com", "subject": "Été à livrer – שלום", "text": "only for you"}"#
        let process = try await ProcessFixture.start(
            python, ["\(Self.root)/Examples/enqueue.py", server.url, Mail.queue, Mail.kind, args, "py:"])
        #expect(try await process.waitForExit() == .exited(0), "\(process.transcript)")
        let id = try #require(process.output.last)

        let driver = queues.driver(of: Mail.queue)
        let waiting = try JobEnvelope(decoding: try #require(try await driver.peek(limit: 1).first))
        #expect(waiting.id == id)
        #expect(id.hasPrefix("job_") && id.utf8.count == 30)
        #expect(!"\(waiting)".contains("only for you"))

        let diary = Diary()
        let service = JobService(queues: queues)
        service.registerJob(parameters: Mail.self) { mail, context in
            #expect(mail == Mail(to: "ada@example.com", subject: "Été à livrer – שלום", text: "only for you"))
            diary.write(context.job.id)
        }
        try await service.start()
        try await eventually("it is done") { diary.all == [id] }
        try await eventually("nothing is left") { try await driver.counts() == QueueCounts(workers: 1) }
        await service.stop(by: .now + .seconds(5))
    }

    @Test("the example refuses args over the cap with the remedy")
    func cap() async throws {
        let python = "\(Self.root)/.venv/bin/python"
        try #require(fileExists(python), "\(python) is missing: run deploy/bootstrap test")
        let code =
            "import sys; sys.path.insert(0, '\(Self.root)/Examples'); sys.dont_write_bytecode = True; import enqueue\n"
            + "enqueue.job('email', 'email.send', {'text': 'x' * 65536})"
        let process = try await ProcessFixture.start(python, ["-c", code])
        #expect(try await process.waitForExit() == .exited(1))
        #expect(process.errors.last == "ValueError: args over 65536 bytes: store the data, and pass its id")
    }
}
