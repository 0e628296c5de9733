import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Writes one line per call to standard error: JSON for machines or text for people, secrets and personal data masked.
///
/// A message is a fixed sentence; what varies goes into fields. A call never blocks: lines are handed to the process-wide
/// writer, which drops and counts them when standard error does not keep up.
public struct Log: Sendable {
    public enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, warning, error
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
        public var name: String { "\(self)" }
    }

    public enum Format: String, Sendable { case json, text }

    public enum Value: Sendable, Equatable {
        case string(String)
        case int(Int64)
        case double(Double)
        case bool(Bool)
    }

    private let component: String
    private let fields: [String: Value]
    private let destination: (any LogDestination)?

    /// - Parameters:
    ///   - component: the room or part that speaks.
    ///   - fields: carried by every line.
    ///   - destination: another place than the process-wide writer, for tests.
    public init(_ component: String = "", fields: [String: Value] = [:], destination: (any LogDestination)? = nil) {
        self.component = component
        self.fields = fields
        self.destination = destination
    }

    /// The same log carrying these fields too: payment, inquiry_id, order_id, provider, provider_ref, job, trace.
    public func with(_ more: [String: Value]) -> Log {
        Log(component, fields: fields.merging(more) { _, new in new }, destination: destination)
    }

    /// The same log speaking for another part.
    public func component(_ name: String) -> Log { Log(name, fields: fields, destination: destination) }

    public func debug(_ message: StaticString, _ fields: @autoclosure () -> [String: Value] = [:]) { write(.debug, message, fields) }
    public func info(_ message: StaticString, _ fields: @autoclosure () -> [String: Value] = [:]) { write(.info, message, fields) }
    public func warning(_ message: StaticString, _ fields: @autoclosure () -> [String: Value] = [:]) { write(.warning, message, fields) }
    public func error(_ message: StaticString, _ fields: @autoclosure () -> [String: Value] = [:]) { write(.error, message, fields) }

    private func write(_ level: Level, _ message: StaticString, _ more: () -> [String: Value]) {
        let destination = destination ?? LogWriter.shared
        guard level >= destination.level else { return }
        let line = LogLine(
            nowMs: WallClock.nowMs, level: level, program: destination.program, component: component, message: message,
            fields: fields.merging(more()) { _, new in new })
        destination.write(destination.format == .json ? line.json : line.text)
    }

    // MARK: The process

    /// Sets up the process-wide writer; to be called once, first thing in `main`. Before that only warnings and errors are
    /// written, as text.
    public static func configure(format: Format, program: String, level: Level = .info) {
        LogWriter.shared.configure(format: format, program: program, level: level)
    }

    /// Waits until every line handed in so far is written, at most a second. Done at a normal exit by itself.
    public static func flush() { LogWriter.shared.flush() }
}

extension Log.Value: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }

    public static func int(_ value: Int) -> Log.Value { .int(Int64(value)) }
}

/// Where lines go.
public protocol LogDestination: Sendable {
    var level: Log.Level { get }
    var format: Log.Format { get }
    var program: String { get }
    /// Takes one line without its line end.
    func write(_ line: [UInt8])
}
