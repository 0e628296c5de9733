import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Sandbox: the program")
struct SandboxProgramTests {
    @Test("it starts, and ends in order when asked by a signal", arguments: [SIGTERM, SIGINT])
    func endsInOrder(_ signal: Int32) async throws {
        let environment = ["SANDBOX_ADDRESS": "127.0.0.1:\(try freePort())"]
        let process = try await ProcessFixture.start(try builtProduct("sandbox"), environment: environment)
        try await process.waitForLine(containing: #""msg":"started""#)
        process.signal(signal)
        #expect(try await process.waitForExit() == .exited(0))
        #expect(process.transcript.contains(#""msg":"stopped""#))
    }

    @Test("a wrong setting is told, with its variable, and ends it")
    func wrongSetting() async throws {
        let process = try await ProcessFixture.start(try builtProduct("sandbox"), environment: ["SANDBOX_ADDRESS": "nowhere"])
        #expect(try await process.waitForExit() == .exited(78))
        #expect(process.transcript.contains("SANDBOX_ADDRESS"))
    }
}
