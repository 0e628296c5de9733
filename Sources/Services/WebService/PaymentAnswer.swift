import Database
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// Payments as the API tells them. Amounts are decimal texts, times RFC 3339.
enum PaymentAnswer {
    static func payment(_ payment: Payment, attempts: [PaymentAttempt]) -> JSON {
        let currency = payment.amount.currency
        return [
            "id": .string(payment.id), "status": .string(payment.state.rawValue), "amount": .string(payment.amount.decimalText),
            "currency": .string(currency.code), "captured": .string(text(payment.captured, payment)),
            "refunded": .string(text(payment.refunded, payment)), "purpose": .string(payment.purpose), "subject": .string(payment.subject),
            "description": .string(payment.description), "metadata": metadata(payment.metadata),
            "created_at": time(payment.createdAtMs), "updated_at": time(payment.updatedAtMs), "paid_at": time(payment.paidAtMs),
            "attempts": .array(attempts.map(attempt)),
        ]
    }

    static func attempt(_ attempt: PaymentAttempt) -> JSON {
        let error: JSON =
            attempt.errorCode == nil && attempt.errorText == nil
            ? .null : ["code": .optional(attempt.errorCode), "text": .optional(attempt.errorText)]
        return [
            "id": .string(attempt.id), "number": .int(attempt.number), "provider": .string(attempt.provider), "mode": .string(attempt.mode),
            "method": .optional(attempt.method), "network": .optional(attempt.network), "open": .bool(attempt.isOpen),
            "payment_url": .optional(attempt.paymentURL), "qr_code": .optional(attempt.qrCode), "expires_at": time(attempt.expiresAtMs),
            "created_at": time(attempt.createdAtMs), "webhook_received_at": time(attempt.webhookReceivedAtMs), "error": error,
        ]
    }

    /// A payment as it stands, as an answer.
    static func standing(_ status: Int, _ id: String, in connection: Connection) throws -> HTTPResponse {
        let found = try PaymentStore.require(id, in: connection)
        return .json(status, payment(found, attempts: try PaymentStore.attempts(of: id, in: connection)))
    }

    /// An amount as a caller tells it.
    static func money(_ text: String, _ currency: Currency) throws(WebProblem) -> Money {
        do throws(MoneyError) {
            return try Money(parsing: text, currency: currency)
        } catch {
            throw .invalid("amount", "must be a plain decimal number with at most the decimals of \(currency)")
        }
    }

    /// Money that waits for a person's decision.
    static func held(_ held: HeldMoney) -> JSON {
        [
            "id": .int(held.id), "payment": .string(held.payment), "attempt": .string(held.attempt),
            "amount": .optional(held.amount?.decimalText), "currency": .optional(held.amount?.currency.code), "problem": .optional(held.problem),
            "recorded_at": time(held.recordedAtMs),
        ]
    }

    /// What a caller gets who has started an attempt.
    static func started(_ started: AttemptStart.Started) -> JSON {
        [
            "payment": .string(started.payment.id), "attempt": .string(started.attempt.id), "provider": .string(started.attempt.provider),
            "status": .string(started.payment.state.rawValue), "payment_url": .optional(started.attempt.paymentURL),
            "step": step(started.attempt.step), "qr_code": .optional(started.attempt.qrCode), "expires_at": time(started.attempt.expiresAtMs),
        ]
    }

    /// What the customer has to do.
    static func step(_ step: CustomerStep?) -> JSON { step?.json ?? .null }

    static func refund(_ refund: Refund) -> JSON {
        [
            "id": .string(refund.id), "payment": .string(refund.payment), "attempt": .string(refund.attempt),
            "amount": .string(refund.amount.decimalText), "currency": .string(refund.amount.currency.code), "reason": .string(refund.reason),
            "way": .string(refund.way.rawValue), "status": .string(refund.state.rawValue),
            "provider_reference": .optional(refund.providerReference), "detail": .optional(refund.detail),
            "created_at": time(refund.createdAtMs), "settled_at": time(refund.settledAtMs),
        ]
    }

    static func time(_ ms: Int64?) -> JSON { ms.map { .string(Timestamp.rfc3339($0)) } ?? .null }

    static func metadata(_ metadata: [String: String]) -> JSON {
        .object(JSONObject(metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }

    private static func text(_ units: Int64, _ payment: Payment) -> String { Money(units, payment.amount.currency).decimalText }
}
