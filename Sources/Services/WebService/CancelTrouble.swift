import Formats
import Payments
import ProviderPort

/// A provider that could not be asked to cancel, or whose answer did not come: it has neither agreed nor refused.
struct CancelTrouble: Sendable {
    private let error: ProviderError
    private let attempt: PaymentAttempt

    /// Nil where the provider said no.
    init?(_ error: ProviderError, _ attempt: PaymentAttempt) {
        switch error.kind {
        case .unavailable, .unreadable, .throttled, .held, .misconfigured: break
        case .rejected, .notFound, .notOffered: return nil
        }
        self.error = error
        self.attempt = attempt
    }

    func problem(payment: String, status: String) -> WebProblem {
        let extra: [(String, JSON)] = [
            ("id", .string(payment)), ("status", .string(status)), ("provider_agreed", false), ("provider", .string(attempt.provider)),
            ("attempt", .string(attempt.id)),
        ]
        if error.kind == .misconfigured {
            return WebProblem(
                status: 502, title: "The provider refuses us", detail: "attempt \(attempt.id) still waits; the provider's settings must be looked at",
                extra: extra)
        }
        if error.effectCannotHaveHappened {
            return WebProblem(
                status: 503, title: "The provider cannot be reached",
                detail: "\(attempt.provider) was not asked to cancel attempt \(attempt.id), which still waits; try again later", extra: extra,
                headers: [("Retry-After", String(error.retryAfterSeconds ?? 10))])
        }
        return WebProblem(
            status: 502, title: "Outcome unknown",
            detail: "\(attempt.provider) gave no answer that tells whether attempt \(attempt.id) was cancelled; it stays open and is asked about",
            extra: extra)
    }
}
