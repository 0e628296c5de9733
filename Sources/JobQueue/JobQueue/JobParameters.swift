import Formats

/// Parameters of one kind of job: a plain value with a stable name.
///
/// ```swift
/// struct SendNotification: JobParameters {
///     static let kind = "notification.send"
///     static let queue = "notifications"
///     let notification: String
/// }
/// ```
public protocol JobParameters: Codable, Sendable {
    /// The stable name on the wire, such as `notification.send`. Renaming the type must not change it.
    static var kind: String { get }
    /// The queue that jobs of this kind go to.
    static var queue: String { get }
    /// The version of these fields, 1 unless said otherwise. Raised, together with an upcaster, whenever a job of before could no longer be
    /// read. A worker that knows only older versions leaves the job to one that knows it.
    static var schemaVersion: Int { get }
    /// From each older version to the next; none by default.
    static var upcasters: [JobUpcaster] { get }
    /// Names of fields that no listing and no log may show; none by default. ``Sensitive`` says it of a single value.
    static var sensitiveFields: Set<String> { get }
    /// Whether such a job needs a payment. Chosen by conforming to ``JobParameters`` or ``PaidOnlyParameters``, never by hand.
    associatedtype PaymentRule: JobPaymentRule = PaymentOptional
}

extension JobParameters {
    public static var schemaVersion: Int { 1 }
    public static var upcasters: [JobUpcaster] { [] }
    public static var sensitiveFields: Set<String> { [] }
    /// ``kind``, by the name that other Swift libraries give it.
    public static var jobName: String { kind }
}

/// Parameters of a kind that is only ever done for a payment, under a guard.
///
/// A request without a payment, or a registration without a guard, does not compile; bytes on a list that name no payment are
/// buried without being run.
public protocol PaidOnlyParameters: JobParameters where PaymentRule == PaymentRequired {}

/// Says in the type system whether a kind needs a payment.
public protocol JobPaymentRule: Sendable {
    static var isRequired: Bool { get }
}

/// The rule of ordinary kinds: a payment may be named.
public enum PaymentOptional: JobPaymentRule { public static let isRequired = false }

/// The rule of paid-only kinds: a payment must be named.
public enum PaymentRequired: JobPaymentRule { public static let isRequired = true }

/// Why parameters cannot be read or written. Final: the same value fails again.
public enum ParametersError: Error, Equatable, CustomStringConvertible {
    /// The job's `args` are not what its kind takes.
    case unreadable(kind: String, detail: String)
    /// The parameters cannot be written as a JSON object.
    case unwritable(kind: String, detail: String)
    /// A paid-only kind without a payment.
    case paymentMissing(kind: String)
    /// The parameters are larger than a job may carry.
    case tooLarge(kind: String, bytes: Int)

    public var description: String {
        switch self {
        case .unreadable(let kind, let detail): "the args of \(kind) are not readable: \(detail)"
        case .unwritable(let kind, let detail): "the parameters of \(kind) cannot be written: \(detail)"
        case .paymentMissing(let kind): "\(kind) is paid-only and names no payment"
        case .tooLarge(let kind, let bytes):
            "the parameters of \(kind) have \(bytes) bytes, a job carries at most \(QueueLimits.argsBytesMax): "
                + "store the data in a table or a private file, and pass its id"
        }
    }
}

extension JobParameters {
    /// These parameters as the `args` of a job.
    func arguments() throws(ParametersError) -> JSON {
        let json: JSON
        do { json = try JSON.encoding(self) } catch { throw .unwritable(kind: Self.kind, detail: "\(error)") }
        var object: JSONObject
        switch json.marking(Self.sensitiveFields) {
        case .object(let fields): object = fields
        // A type without fields asks its encoder for nothing.
        case .null: object = JSONObject()
        default: throw .unwritable(kind: Self.kind, detail: "parameters must be an object")
        }
        guard object[versionMember] == nil else { throw .unwritable(kind: Self.kind, detail: "a field named \(versionMember) is taken") }
        if Self.schemaVersion > 1 { object[versionMember] = .int(Int64(Self.schemaVersion)) }
        let arguments = JSON.object(object)
        let bytes = arguments.bytes.count
        guard bytes <= QueueLimits.argsBytesMax else { throw .tooLarge(kind: Self.kind, bytes: bytes) }
        return arguments
    }

    init(arguments: JSON) throws(ParametersError) {
        let current = try Self.upcast(arguments).unmarking(Self.sensitiveFields)
        do { self = try current.decode(Self.self) } catch { throw .unreadable(kind: Self.kind, detail: Self.rule(error)) }
    }

    /// The field and the rule, in one line.
    private static func rule(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context), DecodingError.dataCorrupted(let context):
            "\(path(context.codingPath)): \(context.debugDescription)"
        default: "\(error)"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.isEmpty ? "args" : keys.map(\.stringValue).joined(separator: ".")
    }
}
