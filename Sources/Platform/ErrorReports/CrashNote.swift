import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A note that a program is running, taken away at an orderly end. One whose process is gone tells the next start of a crash: with the
/// signal, when there was time to write it down, and without for a kill -9 or a machine that lost its power.
///
/// One file for each process, `<program>.<pid>.running`, since two may stand under one name while one hands over to the other. A process
/// holds a lock on its own as long as it lives, so that neither a number given anew nor a dead one that nobody has reaped misleads.
public struct CrashNote: Sendable {
    public let program: String
    public let pid: Int32
    public let startedAtMs: Int64
    /// Of the program that ended, which need not be that of the one that tells of it.
    public let release: String
    public let mode: String?
    /// What ended the process, such as `SIGSEGV`; nil when nothing could be written.
    public let signal: String?

    public var report: ErrorReport {
        var report = ErrorReport(
            "the program ended without a goodbye", level: .fatal,
            detail: "\(program) (process \(pid), running since \(Timestamp.rfc3339(startedAtMs)), \(release)) "
                + (signal.map { "was ended by \($0)" } ?? "was killed, or its machine stopped"),
            fields: ["program": program, "signal": signal, "mode": mode], fingerprint: [program, signal ?? "kill"])
        report.release = release
        return report
    }

    private static let suffix = ".running"
    private static let bytesMax = 4096
    /// Signals by which a program ends through a mistake of its own.
    private static let fatal: [(number: Int32, name: String)] = [
        (SIGSEGV, "SIGSEGV"), (SIGBUS, "SIGBUS"), (SIGILL, "SIGILL"), (SIGTRAP, "SIGTRAP"), (SIGABRT, "SIGABRT"), (SIGFPE, "SIGFPE"),
    ]

    /// Takes the notes of processes of this program that are gone.
    public static func take(folder: String, program: String) -> [CrashNote] {
        var notes: [CrashNote] = []
        for name in FolderEntry.names(in: folder) ?? [] {
            guard name.hasPrefix(program + "."), name.hasSuffix(suffix),
                let pid = Int32(name.dropFirst(program.count + 1).dropLast(suffix.count))
            else { continue }
            let path = "\(folder)/\(name)"
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            // The lock goes with the process; of two that look at once one takes the note.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, unlink(path) == 0 else { continue }
            if let note = read(descriptor, program: program, pid: pid) { notes.append(note) }
        }
        return notes
    }

    private static func read(_ descriptor: Int32, program: String, pid: Int32) -> CrashNote? {
        var buffer = [UInt8](repeating: 0, count: bytesMax)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let lines = buffer[..<count].split(separator: 0x0A)
        guard let first = lines.first, let json = try? JSON(parsing: Array(first)) else { return nil }
        let number = lines.dropFirst().first.flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
        return CrashNote(
            program: program, pid: pid, startedAtMs: json["started_at"]?.int ?? 0, release: json["release"]?.string ?? "",
            mode: json["mode"]?.string, signal: number.map { number in fatal.first { $0.number == number }?.name ?? "signal \(number)" })
    }

    /// Leaves this process' note and lets fatal signals write into it, before whoever had them (the Swift runtime's backtrace, the default
    /// end) gets them. Without a folder to write to there is no note.
    public static func leave(folder: String, program: String, release: String, mode: String? = nil) {
        mkdir(folder, 0o700)
        let path = "\(folder)/\(program).\(getpid())\(suffix)"
        // It gets its name once it is locked: before, it would be taken for one of the dead.
        let draft = "\(folder)/\(program).\(getpid()).starting"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return }
        let line: JSON = ["started_at": .int(WallClock.nowMs), "release": .string(release), "mode": .optional(mode)]
        let bytes = line.bytes + [0x0A]
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard rename(draft, path) == 0 else { return }
        ownPath.withLock { $0 = path }
        // Whoever calls exit() says goodbye.
        atexit { CrashNote.remove() }
        let isInstalled = last.pointee.descriptor >= 0
        last.pointee.descriptor = descriptor
        // A second time the handler would be taken for the one before it.
        guard !isInstalled else { return }
        for (number, _) in fatal {
            var action = sigaction()
            action.__sigaction_handler.sa_sigaction = noteSignal
            action.sa_flags = Int32(SA_SIGINFO | SA_ONSTACK)
            guard sigaction(number, &action, last.pointee.before + Int(number)) == 0, isIgnored(last.pointee.before[Int(number)]) else { continue }
            // Somebody decided that this one ends nothing.
            sigaction(number, last.pointee.before + Int(number), nil)
        }
    }

    private static func isIgnored(_ action: sigaction) -> Bool {
        action.__sigaction_handler.sa_handler.map { unsafeBitCast($0, to: Int.self) == 1 } ?? false
    }

    private static let ownPath = Mutex<String?>(nil)

    /// Takes this process' note away: an orderly end.
    static func remove() {
        let path = ownPath.withLock { path in
            defer { path = nil }
            return path
        }
        if let path { unlink(path) }
    }
}

/// What the handler needs: made before any handler is installed, and never moved or freed.
private struct LastWords {
    var descriptor: Int32 = -1
    /// Who had each signal before, by its number.
    let before: UnsafeMutablePointer<sigaction>
}

/// A pointer, so that the handler reaches it without a lock, an allocation or a check by the runtime. Written at the start only.
nonisolated(unsafe) private let last: UnsafeMutablePointer<LastWords> = {
    let signals = 65
    let before = UnsafeMutablePointer<sigaction>.allocate(capacity: signals)
    before.initialize(repeating: sigaction(), count: signals)
    let words = UnsafeMutablePointer<LastWords>.allocate(capacity: 1)
    words.initialize(to: LastWords(before: before))
    return words
}()

/// Writes two digits, lets whoever had the signal before do its work, then ends the process by that very signal, so that status, core and
/// backtrace are as without us. Calls nothing itself that is not safe in a signal handler.
private func noteSignal(_ number: Int32, _ information: UnsafeMutablePointer<siginfo_t>?, _ context: UnsafeMutableRawPointer?) {
    let kept = errno
    var digits: (UInt8, UInt8, UInt8) = (UInt8(truncatingIfNeeded: 0x30 + number / 10), UInt8(truncatingIfNeeded: 0x30 + number % 10), 0x0A)
    _ = write(last.pointee.descriptor, &digits, 3)
    let before = last.pointee.before + Int(number)
    if before.pointee.sa_flags & Int32(SA_SIGINFO) != 0 {
        before.pointee.__sigaction_handler.sa_sigaction?(number, information, context)
    } else {
        before.pointee.__sigaction_handler.sa_handler?(number)
    }
    // It has had its turn, and may have returned in the belief that the program cannot go on: a signal that somebody sent would end nothing.
    before.pointee.__sigaction_handler.sa_handler = nil
    before.pointee.sa_flags = 0
    sigaction(number, before, nil)
    // A faulty instruction is carried out once more and faults again, at the very place. Anything else is sent again; it arrives when this
    // returns.
    let isFault = number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE
    if !isFault || (information?.pointee.si_code ?? 0) <= 0 { raise(number) }
    errno = kept
}
