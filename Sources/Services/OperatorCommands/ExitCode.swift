/// What `quittance` ends with.
public enum ExitCode: Int32, Sendable, CaseIterable {
    case ok = 0
    /// Tried and not done; the sentence on standard error says why.
    case failed = 1
    /// The command line was not understood.
    case usage = 2
    /// Already done, or nothing to do.
    case nothingDue = 3
    /// What was named does not exist.
    case notFound = 4
    /// What was begun is still at work after the wait that was asked for.
    case underWay = 5
    /// Settings are missing or wrong (EX_CONFIG of sysexits).
    case badSettings = 78
}

/// Why a command ends before its time: a sentence for the operator and the exit code.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    let code: ExitCode
    let description: String

    init(_ code: ExitCode = .failed, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// What is wrong with the command line.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
