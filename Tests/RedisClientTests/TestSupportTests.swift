import TestSupport
import Testing

@Suite struct `the test bench` {
    @Test func `a server answers, survives a restart on its port, and can be killed`() async throws {
        let server = try await RedisServer.start(config: ["appendonly": "yes"])
        #expect(server.isRunning)
        try await server.kill9()
        #expect(server.process.ending == .signalled(9))
        try await server.restart()
        #expect(server.isRunning)
        try await server.stop()
        #expect(server.process.ending == .exited(0))
    }

    @Test func `a process' output, environment and end are seen`() async throws {
        let process = try await ProcessFixture.start(
            "sh", ["-c", "echo first; echo \"$GREETING\" >&2; printf unended; exit 3"], environment: ["GREETING": "hello"])
        #expect(try await process.waitForExit() == .exited(3))
        try await process.waitForLine(containing: "unended")
        #expect(process.output == ["first", "unended"])
        #expect(process.errors == ["hello"])
    }

    @Test func `a line that never comes is an error that shows what did`() async throws {
        let process = try await ProcessFixture.start("echo", ["something else"])
        await #expect(throws: FixtureError.self) { try await process.waitForLine(containing: "the line") }
    }

    @Test func `a process ends with its fixture, its children too`() async throws {
        var process: ProcessFixture? = try await ProcessFixture.start("sh", ["-c", "sleep 1000 & echo child $!; wait"])
        let line = try await process?.waitForLine(containing: "child ")
        let child = try #require(line.flatMap { Int32($0.dropFirst("child ".count)) })
        process = nil
        try await eventually("the grandchild has ended") { !processExists(child) }
    }

    @Test func `a temporary folder goes with its content`() throws {
        var folder: TemporaryFolder? = try TemporaryFolder()
        let path = try #require(folder?.path)
        try folder?.write("text", to: "file")
        #expect(folder?.read("file") == Array("text".utf8))
        folder = nil
        #expect(!fileExists(path))
    }

    @Test func `a condition that stays false fails with what was awaited`() async throws {
        let failure = await #expect(throws: ConditionNotMet.self) {
            try await eventually(within: .milliseconds(20), "the moon is full") { false }
        }
        #expect(failure?.description.contains("the moon is full") == true)
    }

    @Test func `a product that is not built is named`() {
        #expect(throws: FixtureError.self) { try builtProduct("no-such-program") }
    }
}
