import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A note that a program is running, taken away at an orderly end. One whose process is gone tells the next start of a crash: with the
/// signal, when there was time to write it down, and without for a kill -9 or a machine that lost its power.
///
/// One file for each process, `<program>.<pid>.running`, since two may stand under one name while one hands over to the other.
public struct CrashNote: Sendable {
    public let program: String
    public let pid: Int32
    public let startedAtMs: Int64
    public let release: String
    /// What ended the process, such as `SIGSEGV`; nil when nothing could be written.
    public let signal: String?

    public var report: ErrorReport {
        ErrorReport(
            "the program ended without a goodbye", level: .fatal,
            detail: "\(program) (process \(pid), running since \(Timestamp.rfc3339(startedAtMs)), \(release)) "
                + (signal.map { "was ended by \($0)" } ?? "was killed, or its machine stopped"),
            fields: ["program": program, "signal": signal], fingerprint: [program, signal ?? "kill"])
    }

    private static let suffix = ".running"
    private static let bytesMax = 4096
    private static let nameLengthMax = 256
    /// Signals by which a program ends through a mistake of its own.
    private static let fatal: [(number: Int32, name: String)] = [
        (SIGSEGV, "SIGSEGV"), (SIGBUS, "SIGBUS"), (SIGILL, "SIGILL"), (SIGTRAP, "SIGTRAP"), (SIGABRT, "SIGABRT"), (SIGFPE, "SIGFPE"),
    ]

    /// Takes the notes of processes of this program that are gone.
    public static func take(folder: String, program: String) -> [CrashNote] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var notes: [CrashNote] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: nameLengthMax) { String(cString: $0) }
            }
            guard name.hasPrefix(program + "."), name.hasSuffix(suffix),
                let pid = Int32(name.dropFirst(program.count + 1).dropLast(suffix.count)), kill(pid, 0) != 0, errno == ESRCH
            else { continue }
            let path = "\(folder)/\(name)"
            if let note = read(path, program: program, pid: pid) { notes.append(note) }
            unlink(path)
        }
        return notes
    }

    private static func read(_ path: String, program: String, pid: Int32) -> CrashNote? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: bytesMax)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let lines = buffer[..<count].split(separator: 0x0A)
        guard let first = lines.first, let json = try? JSON(parsing: Array(first)) else { return nil }
        let number = lines.dropFirst().first.flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
        return CrashNote(
            program: program, pid: pid, startedAtMs: json["started_at"]?.int ?? 0, release: json["release"]?.string ?? "",
            signal: number.map { number in fatal.first { $0.number == number }?.name ?? "signal \(number)" })
    }

    /// Leaves this process' note and lets fatal signals write into it. Without a folder to write to there is no note.
    public static func leave(folder: String, program: String, release: String) {
        mkdir(folder, 0o700)
        let path = "\(folder)/\(program).\(getpid())\(suffix)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let line: JSON = ["started_at": .int(WallClock.nowMs), "release": .string(release)]
        let bytes = line.bytes + [0x0A]
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        noteDescriptor = descriptor
        ownPath.withLock { $0 = path }
        // Whoever calls exit() says goodbye.
        atexit { CrashNote.remove() }
        for (number, _) in fatal {
            var known = sigaction()
            // Whoever has taken a signal keeps it.
            guard sigaction(number, nil, &known) == 0, known.__sigaction_handler.sa_handler == nil else { continue }
            var action = sigaction()
            action.__sigaction_handler.sa_handler = noteSignal
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | Int32(SA_NODEFER)
            sigaction(number, &action, nil)
        }
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

/// Written once before any handler is installed, read by a handler only.
nonisolated(unsafe) private var noteDescriptor: Int32 = -1

/// Two digits and the signal again, now with its usual end. Calls nothing that is not safe in a signal handler.
private func noteSignal(_ number: Int32) {
    var digits: (UInt8, UInt8, UInt8) = (UInt8(truncatingIfNeeded: 0x30 + number / 10), UInt8(truncatingIfNeeded: 0x30 + number % 10), 0x0A)
    _ = write(noteDescriptor, &digits, 3)
    raise(number)
}
