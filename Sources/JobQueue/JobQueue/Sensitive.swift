import Formats
import Telemetry

/// A value in a job's parameters that no listing and no log may show: a token, a telephone number, a name.
///
/// On the wire it is `{"$sensitive": value}`, so that every reader knows what to hide, even one that has never heard of the kind. The
/// value itself is as readable to whoever can read the queue's server as any other.
@propertyWrapper
public struct Sensitive<Value: Codable & Sendable>: Codable, Sendable {
    public var wrappedValue: Value
    /// The value, where the wrapper is used as a plain type.
    public var value: Value { wrappedValue }

    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public init(_ value: Value) { wrappedValue = value }

    private enum CodingKeys: String, CodingKey { case sensitive = "$sensitive" }

    /// Reads a marked value, and one that its producer did not mark.
    public init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: CodingKeys.self), container.contains(.sensitive) {
            wrappedValue = try container.decode(Value.self, forKey: .sensitive)
        } else {
            wrappedValue = try Value(from: decoder)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(wrappedValue, forKey: .sensitive)
    }
}

extension Sensitive: Equatable where Value: Equatable {}
extension Sensitive: Hashable where Value: Hashable {}

extension Sensitive: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { Redaction.mark }
    public var debugDescription: String { Redaction.mark }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension JSON {
    private static let sensitiveMember = "$sensitive"

    /// What `{"$sensitive": value}` marks; nil for anything else.
    private var marked: JSON? {
        guard case .object(let object) = self, object.count == 1 else { return nil }
        return object[Self.sensitiveMember]
    }

    /// This value as a listing or a log may show it: without what is marked as sensitive, what stands under a secret's name, and what
    /// looks like a telephone or card number, a mail address or a secret.
    public var redactedForDisplay: JSON {
        switch self {
        case .string(let text): return .string(Redaction.text(text))
        case .array(let elements): return .array(elements.map(\.redactedForDisplay))
        case .object(let object):
            if marked != nil { return .string(Redaction.mark) }
            return .object(
                JSONObject(object.map { ($0.key, Redaction.isSecretName($0.key) ? .string(Redaction.mark) : $0.value.redactedForDisplay) }))
        default: return self
        }
    }

    /// With the named members marked as sensitive.
    func marking(_ names: Set<String>) -> JSON {
        guard !names.isEmpty, case .object(var object) = self else { return self }
        for name in names {
            if let value = object[name], value.marked == nil { object[name] = .object([Self.sensitiveMember: value]) }
        }
        return .object(object)
    }

    /// With the named members as they were before ``marking(_:)``.
    func unmarking(_ names: Set<String>) -> JSON {
        guard !names.isEmpty, case .object(var object) = self else { return self }
        for name in names {
            if let value = object[name]?.marked { object[name] = value }
        }
        return .object(object)
    }
}

extension JobEnvelope: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The parameters as a listing or a log may show them.
    public var displayArgs: JSON { args.redactedForDisplay }

    /// One line for people: nothing sensitive in it.
    public var description: String {
        "\(kind) \(id) on \(queue)\(payment.map { " for \($0)" } ?? ""), \(attempt) attempts spent, args \(displayArgs)"
    }
    public var debugDescription: String { description }
    /// `dump` and a failed expectation show what ``description`` shows.
    public var customMirror: Mirror { Mirror(self, children: ["job": description]) }

    /// The job as a listing may show it: its object with the sensitive parts hidden, fields that are not known here included.
    public var display: JSON {
        var shown = self
        shown.args = displayArgs
        shown.unknown = unknown.map { field in
            UnknownField(name: field.name, value: Redaction.isSecretName(field.name) ? .string(Redaction.mark) : field.value.redactedForDisplay)
        }
        return (try? JSON(parsing: shown.encoded())) ?? .null
    }
}

extension DeadRecord: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The buried body as a listing may show it; nil when it is no job, of which nobody knows what may be shown.
    public var displayBody: JSON? { (try? JobEnvelope(decoding: body))?.display }

    /// One line for people: nothing sensitive in it.
    public var description: String {
        "\(kind ?? "a body") \(job ?? "that is no job") of \(body.count) bytes, buried at \(buriedAtMs) by \(worker): \(Redaction.text(reason))"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["record": description]) }
}
