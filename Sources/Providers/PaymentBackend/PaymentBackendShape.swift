import ProviderPort

/// Everything of Servelink's payment back end that its notes leave open, in one place. When the real back end turns out to
/// differ, this is the file to change.
///
/// Written down there: the three paths, `external_payment_id`, `payment_url`, `qr_code`, the five statuses, the two payment
/// methods, the bearer key. Assumed here: the names below.
enum PaymentBackendShape {
    // Stated
    static let initiatePath = "/api/v1/payments/initiate"
    static let externalID = "external_payment_id"
    static let paymentURL = "payment_url"
    static let qrCode = "qr_code"
    static let methods = ["mobile_money", "credit_card"]
    static func statusPath(_ id: String) -> String { "/api/v1/payments/\(id)/status" }
    static func cancelPath(_ id: String) -> String { "/api/v1/payments/\(id)/cancel" }

    // Assumed
    static let team = "team_id"
    static let callbackURL = "callback_url"
    static let returnURL = "return_url"
    /// Our attempt, inside `metadata`: what comes back is what was sent there.
    static let attempt = "attempt"
    static let payment = "payment"
    static let expiresAt = "expires_at"
    static let errorCode = "error_code"
    static let errorMessage = "error_message"
    static let transaction = "transaction_id"
    /// When it was settled, and when it last changed.
    static let times = ["completed_at", "updated_at"]
    /// The header that signs a callback when Standard Webhooks' headers are absent: hex of HMAC-SHA256 over the body.
    static let signatureHeader = "x-webhook-signature"
    static let signaturePrefix = "sha256="
    /// Sent with `initiate`, so that a repeat after a time-out does not make a second payment.
    static let idempotencyHeader = "idempotency-key"

    /// The five statuses; any other one is unreadable, so that a person looks before money moves.
    static func claim(of status: String) -> ProviderClaim? {
        switch status {
        case "pending": .pending
        case "processing": .processing
        case "completed": .captured
        case "failed": .failed
        case "cancelled": .cancelled
        default: nil
        }
    }
}
