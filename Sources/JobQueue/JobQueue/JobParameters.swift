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
    /// Whether such a job needs a payment. Chosen by conforming to ``JobParameters`` or ``PaidOnlyParameters``, never by hand.
    associatedtype PaymentRule: JobPaymentRule = PaymentOptional
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

    public var description: String {
        switch self {
        case .unreadable(let kind, let detail): "the args of \(kind) are not readable: \(detail)"
        case .unwritable(let kind, let detail): "the parameters of \(kind) cannot be written: \(detail)"
        case .paymentMissing(let kind): "\(kind) is paid-only and names no payment"
        }
    }
}

extension JobParameters {
    /// These parameters as the `args` of a job.
    func arguments() throws(ParametersError) -> JSON {
        let json: JSON
        do { json = try JSON.encoding(self) } catch { throw .unwritable(kind: Self.kind, detail: "\(error)") }
        switch json {
        case .object: return json
        // A type without fields asks its encoder for nothing.
        case .null: return .object(JSONObject())
        default: throw .unwritable(kind: Self.kind, detail: "parameters must be an object")
        }
    }

    init(arguments: JSON) throws(ParametersError) {
        do { self = try arguments.decode(Self.self) } catch { throw .unreadable(kind: Self.kind, detail: Self.rule(error)) }
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
