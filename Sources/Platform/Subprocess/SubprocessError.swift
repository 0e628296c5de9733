#if canImport(Glibc)
    import Glibc
#endif

/// How a child ended.
public enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    /// Ended by a signal: 9 is a kill, 24 (SIGXCPU) the limit on CPU seconds, 25 (SIGXFSZ) the limit on file size.
    case signalled(Int32)

    /// Reads what `waitpid` gives.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signalled(signal)
    }

    public var isSuccess: Bool { self == .exited(0) }

    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        }
    }
}

/// Why a child gave no result. A child that ran and ended by itself, even badly, is no error but an ``ExitStatus``.
public struct SubprocessError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// No such program, or not allowed to run it.
        case notFound
        /// An argument or variable that the system cannot carry.
        case invalidArgument
        /// The system refused a process, a pipe or memory.
        case launchFailed
        case timedOut
        case outputTooLarge
        /// The Swift task was cancelled; the child was killed.
        case cancelled
    }
    public let code: Code
    public let message: String
    /// The end of what the child wrote to its standard error, as far as it came.
    public let errorText: String
    /// Whether the same call may succeed later.
    public let isTransient: Bool

    init(_ code: Code, _ message: String, errorText: String = "") {
        self.code = code
        self.message = message
        self.errorText = errorText
        isTransient =
            switch code {
            case .launchFailed, .timedOut, .cancelled: true
            case .notFound, .invalidArgument, .outputTooLarge: false
            }
    }

    static func system(_ operation: String, _ number: Int32) -> SubprocessError {
        SubprocessError(.launchFailed, "\(operation) failed: \(String(cString: strerror(number)))")
    }

    public var description: String { errorText.isEmpty ? message : "\(message); it wrote: \(errorText)" }
}
