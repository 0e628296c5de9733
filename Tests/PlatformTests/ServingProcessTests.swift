import EventLoop
import Subprocess
import Testing

@Suite("A program that is kept running", .timeLimit(.minutes(2)))
struct ServingProcessTests {
    private let pool = BlockingPool(name: "served", threads: 2)

    /// Echoes a request with the status that its first byte says; some have other ideas.
    private static let program = """
        import os, sys, time
        source, target = sys.stdin.buffer, sys.stdout.buffer
        while head := source.read(4):
            request = source.read(int.from_bytes(head, "big"))
            if request == b"exit": sys.exit("no more")
            if request == b"die": os.kill(os.getpid(), 9)
            if request == b"hang": time.sleep(600)
            if request == b"much": target.write(b"\\0\\xff\\xff\\xff\\xff"); target.flush(); continue
            if request == b"pid": request = b"\\0" + str(os.getpid()).encode()
            target.write(request[:1] + (len(request) - 1).to_bytes(4, "big") + request[1:])
            target.flush()
        """

    private func serving(wallTime: Duration = .seconds(30), requestsMax: Int = 100) -> ServingProcess {
        ServingProcess(
            ServingProcess.Configuration(
                executable: "python3", arguments: ["-c", Self.program], environment: ["PATH": "/usr/bin:/bin"],
                limits: Subprocess.Limits(wallTime: wallTime, outputBytesMax: 4 << 20), requestsMax: requestsMax), pool: pool)
    }

    private func answer(_ serving: ServingProcess, _ request: [UInt8]) async throws -> (UInt8, [UInt8])? {
        guard case .answered(let status, let bytes) = try await serving.ask(request) else { return nil }
        return (status, bytes)
    }

    private func pid(_ serving: ServingProcess) async throws -> String? {
        try await answer(serving, Array("pid".utf8)).map { String(decoding: $0.1, as: UTF8.self) }
    }

    @Test("answers one request after the other, empty and large ones, from the same process")
    func answers() async throws {
        let serving = serving()
        let first = try await pid(serving)
        for size in [0, 1, 70_000, 3_000_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let found = try #require(try await answer(serving, [3] + bytes))
            #expect(found.0 == 3 && found.1 == bytes)
        }
        #expect(try await pid(serving) == first)
        serving.close()
        let second = try await pid(serving)
        #expect(second != first, "it is started anew after a close")
        serving.close()
    }

    @Test("one that ends or is killed says so, and the next request has another")
    func ends() async throws {
        let serving = serving()
        let first = try await pid(serving)
        guard case .ended(let status, let text) = try await serving.ask(Array("exit".utf8)) else { Issue.record("answered"); return }
        #expect(status == .exited(1) && text.contains("no more"))
        guard case .ended(let killed, _) = try await serving.ask(Array("die".utf8)) else { Issue.record("answered"); return }
        #expect(killed == .signalled(9))
        let second = try await pid(serving)
        #expect(second != nil && second != first)
        serving.close()
    }

    @Test("one that is late, says too much or whose asker is gone is killed")
    func killed() async throws {
        let late = serving(wallTime: .seconds(2))
        let overdue = await #expect(throws: SubprocessError.self) { _ = try await late.ask(Array("hang".utf8)) }
        #expect(overdue?.code == .timedOut)
        let much = await #expect(throws: SubprocessError.self) { _ = try await late.ask(Array("much".utf8)) }
        #expect(much?.code == .outputTooLarge)

        let patient = serving()
        let first = try await pid(patient)
        let asking = Task { try await patient.ask(Array("hang".utf8)) }
        asking.cancel()
        let gone = await #expect(throws: SubprocessError.self) { _ = try await asking.value }
        #expect(gone?.code == .cancelled)
        #expect(try await pid(patient) != nil)
        #expect(first != nil)
        patient.close()
        late.close()
    }

    @Test("after so many requests it makes place for another")
    func renewed() async throws {
        let serving = serving(requestsMax: 2)
        let (first, second, third) = (try await pid(serving), try await pid(serving), try await pid(serving))
        #expect(first == second && second != third)
        serving.close()
    }

    @Test("a program that is not there is an error at once")
    func missing() async throws {
        let serving = ServingProcess(ServingProcess.Configuration(executable: "/no/such/program"), pool: pool)
        let error = await #expect(throws: SubprocessError.self) { _ = try await serving.ask([1]) }
        #expect(error?.code == .notFound)
    }
}
