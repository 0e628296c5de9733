import ProviderPort

/// FeexPay's words for where a payment stands. `reason` is none of them: the documentation's own sample of a success carries one of a failure.
enum FeexPayStatus {
    static func claim(of status: String?) -> ProviderClaim {
        switch status?.split(whereSeparator: \.isWhitespace).joined(separator: " ").uppercased() {
        case "PENDING", "IN PENDING STATE": .processing
        // A late success cannot be excluded: our own deadline decides.
        case "TIMEOUT": .processing
        case "INITIATED": .pending
        case "SUCCESSFUL", "SUCCESS": .captured
        case "FAILED", "INSUFFICIENT_FUNDS": .failed
        case "CANCELED", "CANCELLED": .cancelled
        default: .unknown
        }
    }
}
