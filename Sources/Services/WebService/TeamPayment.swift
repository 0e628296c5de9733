import Database
import Formats
import Money
import Payments
import ProviderPort
import QRCodes

/// A payment in Servelink's shape and words.
struct TeamPayment {
    let json: JSON

    init(_ payment: Payment, nowMs: Int64, in connection: Connection) throws {
        let attempt = try PaymentStore.attempts(of: payment.id, in: connection).last
        let references = try attempt.map { try PaymentStore.references(of: $0.id, in: connection) } ?? []
        json = [
            "id": .string(payment.id), "team_id": .string(payment.subject),
            "external_payment_id": .optional(references.first { $0.kind == "external" }?.value),
            // Servelink reads a number here; its text is exact.
            "amount": .number(payment.amount.decimalText), "currency": .string(payment.amount.currency.code),
            "payment_method": .optional(attempt?.method), "status": .string(Self.word(for: payment.state)), "state": .string(payment.state.rawValue),
            "payment_url": .optional(attempt?.paymentURL), "qr_code": .optional(Self.code(of: payment, attempt, nowMs: nowMs)),
            "metadata": Self.metadata(of: payment, transaction: try PaymentTransactions.number(of: payment.id, in: connection)),
            "created_at": PaymentAnswer.time(payment.createdAtMs), "completed_at": PaymentAnswer.time(payment.paidAtMs),
        ]
    }

    /// What the caller sent along, under what we know better.
    private static func metadata(of payment: Payment, transaction: String?) -> JSON {
        var members = PaymentAnswer.metadata(payment.metadata).object ?? JSONObject()
        members["description"] = .string(payment.description)
        members["plan_upgrade"] = .bool(payment.metadata["plan_upgrade"] == "true")
        members["transaction_id"] = .optional(transaction)
        return .object(members)
    }

    /// A picture that can be scanned while the payment can be paid.
    private static func code(of payment: Payment, _ attempt: PaymentAttempt?, nowMs: Int64) -> String? {
        guard let attempt, payment.state.isOpen, attempt.isPayable(atMs: nowMs) else { return nil }
        return PaymentCode.picture(of: attempt)
    }

    /// One of Servelink's five words; what they do not tell apart is told by our own, beside it.
    static func word(for state: PaymentState) -> String {
        switch state {
        case .created, .pending: "pending"
        // Somebody looks at it, or more is to come.
        case .processing, .authorised, .partiallyPaid, .conflicted: "processing"
        // What was paid for is there.
        case .paid, .partiallyRefunded: "completed"
        case .failed, .expired: "failed"
        case .cancelled, .refunded, .chargedBack: "cancelled"
        }
    }
}

extension PaymentAttempt {
    /// Whether its customer can go on with it.
    func isPayable(atMs nowMs: Int64) -> Bool { isOpen && (expiresAtMs ?? .max) > nowMs }
}

/// Codes that a phone scans to pay.
enum PaymentCode {
    /// Of a code that the provider draws itself.
    static let lengthMax = 200_000
    /// Dots on a side of a square of our own code.
    private static let scale = 6

    /// The address of the picture itself: as the provider draws it, or ours of its page.
    static func picture(of attempt: PaymentAttempt) -> String? {
        if let own = attempt.qrCode, isImage(own) { return own }
        guard let url = attempt.paymentURL, SafeLink.isSafe(url), let png = QRCode(url)?.png(scale: scale) else { return nil }
        return "data:image/png;base64,\(Base64.encode(png))"
    }

    /// Whether it is a picture that can be shown as it is.
    static func isImage(_ code: String) -> Bool {
        guard code.utf8.count <= lengthMax, let comma = code.firstIndex(of: ",") else { return false }
        let isKnown = ["data:image/png;base64", "data:image/jpeg;base64", "data:image/gif;base64", "data:image/svg+xml;base64"].contains(
            String(code[..<comma]))
        return isKnown
            && code[code.index(after: comma)...].utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || "+/=".utf8.contains(byte)
            }
    }
}
