import Database
import ProviderPort
import Telemetry

extension Payment {
    /// What every log line about a payment carries: its id, and the inquiry, order or team it is for, where it is for one.
    public var logFields: [String: Log.Value] {
        var fields: [String: Log.Value] = ["payment": .string(id), "purpose": .string(purpose)]
        for name in ["inquiry_id", "order_id"] {
            if let value = metadata[name] { fields[name] = .string(value) }
        }
        if purpose == "plan" { fields["team"] = .string(subject) }
        return fields
    }
}

extension PaymentAttempt {
    /// The provider and our reference there.
    public var logFields: [String: Log.Value] { ["provider": .string(provider), "provider_ref": .string(id)] }
}

extension PaymentStore {
    /// What people search by in reports of errors: payment, inquiry_id or subject, order_id, provider, provider_ref, mode.
    /// - Parameter attempt: of several the one that is meant; the latest unless given.
    public static func searchFields(of id: String, attempt: String? = nil, in connection: Connection) throws -> [String: String] {
        guard let payment = try find(id, in: connection) else { return ["payment": id] }
        let attempts = try attempts(of: id, in: connection)
        guard let meant = attempts.first(where: { $0.id == attempt }) ?? attempts.last else { return payment.searchFields(nil, []) }
        return payment.searchFields(meant, try references(of: meant.id, in: connection))
    }
}

extension Payment {
    /// The same of what has been read already.
    public func searchFields(_ attempt: PaymentAttempt?, _ references: [ProviderReference]) -> [String: String] {
        var fields = ["payment": id, purpose == "kit" ? "inquiry_id" : "subject": subject]
        fields["order_id"] = metadata["order_id"] ?? attempt?.id
        guard let attempt else { return fields }
        fields["provider"] = attempt.provider
        fields["mode"] = attempt.mode
        fields["provider_ref"] = references.first { !["ours", "order"].contains($0.kind) }?.value ?? attempt.id
        return fields
    }
}
