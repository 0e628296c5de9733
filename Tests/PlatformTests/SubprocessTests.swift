import EventLoop
import Subprocess
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct SubprocessTests {
    private let pool = BlockingPool(name: "children", threads: 4)

    private func shell(_ script: String, limits: Subprocess.Limits = .init()) async throws(SubprocessError) -> Subprocess.Output {
        try await Subprocess.run(executable: "/bin/sh", arguments: ["-c", script], limits: limits, pool: pool)
    }

    @Test func whatIsFedInComesBackWhole() async throws {
        let input = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let output = try await Subprocess.run(executable: "cat", input: input, pool: pool)
        #expect(output.status == .exited(0))
        #expect(output.output == input)
        #expect(output.errorText.isEmpty)
    }

    @Test func exitCodesSignalsAndErrorTextAreResults() async throws {
        let failed = try await shell("echo no >&2; exit 3")
        #expect(failed.status == .exited(3))
        #expect(failed.errorText == "no\n")
        let killed = try await shell("kill -TERM $$")
        #expect(killed.status == .signalled(SIGTERM))
    }

    @Test func aChildThatDoesNotReadItsInputIsNoFailureOfOurs() async throws {
        let output = try await Subprocess.run(executable: "true", input: [UInt8](repeating: 1, count: 500_000), pool: pool)
        #expect(output.status.isSuccess)
    }

    @Test func theEnvironmentIsExactlyWhatIsGivenAndNoDescriptorLeaks() async throws {
        let leaked = open("/dev/null", O_RDONLY)
        defer { close(leaked) }
        let environment = try await Subprocess.run(executable: "/usr/bin/env", environment: ["NAME": "a b=c"], pool: pool)
        #expect(String(decoding: environment.output, as: UTF8.self) == "NAME=a b=c\n")
        // The fourth is ls' own, on the folder.
        let descriptors = try await Subprocess.run(executable: "ls", arguments: ["/proc/self/fd"], pool: pool)
        #expect(String(decoding: descriptors.output, as: UTF8.self) == "0\n1\n2\n3\n")
    }

    @Test func theDeadlineKillsTheWholeGroup() async throws {
        let started = ContinuousClock.now
        do {
            _ = try await shell("echo $$ >&2; sleep 600 & echo $! >&2; sleep 600; echo never", limits: .init(wallTime: .milliseconds(300)))
            Issue.record("the run was not stopped")
        } catch {
            #expect(error.code == .timedOut)
            #expect(error.isTransient)
            let members = error.errorText.split(separator: "\n").compactMap { Int32($0) }
            #expect(members.count == 2)
            for pid in members { #expect(await ends(pid), "something of the group still lives") }
        }
        #expect(ContinuousClock.now - started < .seconds(120))
    }

    @Test func whatTheChildLeavesBehindDiesWithIt() async throws {
        let started = ContinuousClock.now
        let output = try await shell("sleep 600 & echo $$; exit 0")
        #expect(output.status.isSuccess)
        #expect(ContinuousClock.now - started < .seconds(120), "a background child held the pipe open")
    }

    @Test func limitsHold() async throws {
        let busy = try await shell("while :; do :; done", limits: .init(wallTime: .seconds(120), cpuSeconds: 1))
        #expect(busy.status == .signalled(SIGXCPU))

        let python = "import sys\ntry:\n b = bytearray(600 << 20)\n print('got it')\nexcept MemoryError:\n print('refused')"
        let hungry = try await Subprocess.run(
            executable: "python3", arguments: ["-c", python], environment: ["PATH": "/usr/bin:/bin"],
            limits: .init(addressSpaceBytes: 300 << 20), pool: pool)
        #expect(String(decoding: hungry.output, as: UTF8.self) == "refused\n", "\(hungry.errorText)")

        let file = "/tmp/quittance-subprocess-\(getpid())"
        defer { unlink(file) }
        let writer = try await shell("head -c 100000 /dev/zero > \(file)", limits: .init(fileSizeMax: 1000))
        #expect(!writer.status.isSuccess)
        var information = stat()
        #expect(stat(file, &information) == 0 && information.st_size == 1000)

        await #expect { try await shell("yes", limits: .init(outputBytesMax: 100_000)) } throws: {
            ($0 as? SubprocessError)?.code == .outputTooLarge
        }
    }

    @Test func cancellationKills() async throws {
        let run = Task { try await shell("sleep 600") }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await shell("sleep 600")
        }
        let started = ContinuousClock.now
        run.cancel()
        for result in [await run.result.map { _ in }, await early.result] {
            #expect { try result.get() } throws: { ($0 as? SubprocessError)?.code == .cancelled }
        }
        #expect(ContinuousClock.now - started < .seconds(120))
    }

    @Test(arguments: ["/no/such/program", "no-such-program-anywhere", "/etc/passwd"])
    func aProgramThatCannotBeRunIsSaidSo(program: String) async {
        await #expect { try await Subprocess.run(executable: program, pool: pool) } throws: {
            guard let error = $0 as? SubprocessError else { return false }
            return error.code == .notFound && !error.isTransient && error.message.contains(program)
        }
    }

    @Test func zeroBytesInArgumentsAreRefused() async {
        await #expect { try await Subprocess.run(executable: "echo", arguments: ["a\0b"], pool: pool) } throws: {
            ($0 as? SubprocessError)?.code == .invalidArgument
        }
    }

    @Test func manyRunsAtOnceKeepApart() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let input = [UInt8]("\(number)".utf8)
                    return try await Subprocess.run(executable: "cat", input: input, pool: pool).output == input
                }
            }
            for try await same in group { #expect(same) }
        }
    }
}

@Suite struct ChildProcessTests {
    @Test func linesArriveWhileItRunsAndSigtermEndsIt() async throws {
        let child = try await ChildProcess.start(
            .init(executable: "/bin/sh", arguments: ["-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"]))
        var lines = child.stdoutLines.makeAsyncIterator()
        #expect(await lines.next() == "ready")
        #expect(child.isRunning)
        #expect(await child.waitForExit(within: .milliseconds(20)) == nil)
        child.terminate()
        #expect(await lines.next() == "bye")
        #expect(await child.waitForExit() == .exited(7))
        #expect(child.exitStatus == .exited(7))
        #expect(await lines.next() == nil)
    }

    @Test func aDeafChildIsKilledAfterItsGrace() async throws {
        let child = try await ChildProcess.start(
            .init(executable: "/bin/sh", arguments: ["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]))
        var lines = child.stdoutLines.makeAsyncIterator()
        #expect(await lines.next() == "ready")
        #expect(await child.stop(grace: .milliseconds(100)) == .signalled(SIGKILL))
    }

    @Test func outputGoesToAFileInTheGivenFolder() async throws {
        let folder = "/tmp/quittance-child-\(getpid())"
        mkdir(folder, 0o700)
        defer {
            unlink("\(folder)/log")
            rmdir(folder)
        }
        let child = try await ChildProcess.start(
            .init(
                executable: "/bin/sh", arguments: ["-c", "pwd; echo oops >&2"], workingDirectory: folder, output: .file("\(folder)/log"),
                errorOutput: .withOutput))
        #expect(await child.waitForExit() == .exited(0))
        let pool = BlockingPool(name: "read", threads: 1)
        let log = try await Subprocess.run(executable: "cat", arguments: ["\(folder)/log"], pool: pool)
        #expect(String(decoding: log.output, as: UTF8.self) == "\(folder)\noops\n")
    }

    @Test func aForgottenChildIsKilled() async throws {
        let pid = try await { try await ChildProcess.start(.init(executable: "sleep", arguments: ["600"])).pid }()
        #expect(await ends(pid))
    }

    @Test func theChildDiesWithAKilledParent() async throws {
        // The parent in between is started by this room as well, and is the one that is killed.
        let parent = try await ChildProcess.start(
            .init(executable: "/bin/sh", arguments: ["-c", "setpriv --pdeathsig KILL -- sleep 600 & echo $!; wait"]))
        var lines = parent.stdoutLines.makeAsyncIterator()
        let pid = try #require(Int32(await lines.next() ?? ""))
        parent.signal(SIGKILL)
        #expect(await parent.waitForExit() == .signalled(SIGKILL))
        #expect(await ends(pid))
    }
}

/// Whether the process ends within a minute. One that its new parent has not reaped yet has ended.
private func ends(_ pid: Int32) async -> Bool {
    let deadline = ContinuousClock.now.advanced(by: .seconds(60))
    while ContinuousClock.now < deadline {
        guard let file = fopen("/proc/\(pid)/stat", "r") else { return true }
        var text = [CChar](repeating: 0, count: 256)
        let count = fread(&text, 1, text.count, file)
        fclose(file)
        // "pid (name) state …"
        let afterName = text[..<count].split(separator: CChar(bitPattern: UInt8(ascii: ")"))).last?.dropFirst().first
        if afterName == nil || afterName == CChar(bitPattern: UInt8(ascii: "Z")) { return true }
        await Task.yield()
    }
    return false
}
