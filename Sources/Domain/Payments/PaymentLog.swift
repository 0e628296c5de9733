import Telemetry

extension Payment {
    /// What every log line about a payment carries: its id, and the inquiry and order it is for, where it is for one.
    public var logFields: [String: Log.Value] {
        var fields: [String: Log.Value] = ["payment": .string(id), "purpose": .string(purpose)]
        for name in ["inquiry_id", "order_id"] {
            if let value = metadata[name] { fields[name] = .string(value) }
        }
        return fields
    }
}

extension PaymentAttempt {
    /// The provider and our reference there.
    public var logFields: [String: Log.Value] { ["provider": .string(provider), "provider_ref": .string(id)] }
}
