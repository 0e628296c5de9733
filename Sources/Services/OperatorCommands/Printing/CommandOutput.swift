import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Where a command speaks: results and errors apart.
public struct CommandOutput: Sendable {
    private let out: @Sendable (String) -> Void
    private let err: @Sendable (String) -> Void

    public init(out: @escaping @Sendable (String) -> Void, err: @escaping @Sendable (String) -> Void) {
        self.out = out
        self.err = err
    }

    /// Standard output and standard error.
    public static let standard = CommandOutput(out: { Self.write($0, to: 1) }, err: { Self.write($0, to: 2) })

    func line(_ text: String) { out(text + "\n") }
    func text(_ text: String) { out(text) }
    func json(_ value: JSON) { out(value.text + "\n") }
    func error(_ text: String) { err(text + "\n") }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            // A reader that has gone away wants no more.
            guard count > 0 else { return }
            written += count
        }
    }
}

/// What was said, for tests.
public final class RecordedOutput: Sendable {
    private let texts = Mutex((out: "", err: ""))
    public init() {}

    public var output: CommandOutput {
        CommandOutput(out: { text in self.texts.withLock { $0.out += text } }, err: { text in self.texts.withLock { $0.err += text } })
    }
    public var standardOutput: String { texts.withLock(\.out) }
    public var standardError: String { texts.withLock(\.err) }
}
