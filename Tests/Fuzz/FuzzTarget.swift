#if canImport(Glibc)
    import Glibc
#endif

/// Something that must stay true whatever the bytes are.
protocol FuzzTarget: Sendable {
    /// Tries one input; ends the process by ``finding(_:)`` when a promise is broken.
    func run(_ input: [UInt8])
}

/// What can be fuzzed, by name.
enum FuzzTargets {
    static let names = ["webhook", "forged", "token", "http", "json", "records", "samples"]

    static func make(_ name: String) async throws -> (any FuzzTarget)? {
        switch name {
        case "webhook": try WebhookTarget()
        case "forged": try ForgedTarget()
        case "token": TokenTarget()
        case "http": try await HTTPTarget()
        case "json": JSONTarget()
        case "records": RecordTarget()
        case "samples": SampleTarget()
        default: nil
        }
    }
}

/// Writes a line to the error output.
func tell(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// A broken promise: ends the process, which libFuzzer takes for a crash and keeps the input of.
func finding(_ text: String) -> Never {
    tell("FINDING: \(text)")
    abort()
}

/// Ends the process with `text` unless `condition` holds.
func require(_ condition: Bool, _ text: @autoclosure () -> String) {
    if !condition { finding(text()) }
}
