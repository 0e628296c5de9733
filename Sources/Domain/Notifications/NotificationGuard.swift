import Database
import JobQueue
import Payments

/// The guard of messages: asks for the payment only when the message names one.
public struct NotificationGuard: JobGuard {
    private let paid: PaidGuard
    public init(database: Database) { paid = PaidGuard(database: database) }
    public func admit(_ job: JobEnvelope) async throws -> GuardVerdict {
        job.payment == nil ? .run : try await paid.admit(job)
    }
}
