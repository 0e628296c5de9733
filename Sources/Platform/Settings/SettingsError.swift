/// One thing that is wrong with the environment: which variable, what is wrong, what the rule is, how it could look.
public struct SettingProblem: Sendable, Equatable, CustomStringConvertible {
    public let variable: String
    /// What is wrong. Never holds the value of a secret.
    public let fault: String
    public let rule: String
    public let example: String

    public var description: String { "\(variable): \(fault). Rule: \(rule). Example: \(example)" }
}

/// Everything that is wrong with the environment, all at once. A retry never helps: somebody must change the settings.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    public let problems: [SettingProblem]

    public var description: String {
        let count = problems.count == 1 ? "1 setting is" : "\(problems.count) settings are"
        return "\(count) wrong:\n" + problems.map { "- \($0)" }.joined(separator: "\n")
    }
}

/// A value that is never printed by accident.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public let value: String
    public init(_ value: String) { self.value = value }

    public var description: String { "[redacted]" }
    public var debugDescription: String { "[redacted]" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
