import Database
import Formats
import Payments
import ProviderPort

/// Starts what a customer chose. A second click, a second tab or another copy of the same form leads to the same attempt.
struct CheckoutStart: Sendable {
    /// A push to a phone that was asked for again so soon, on the same network and phone, is the same one.
    static let samePushMs: Int64 = 60_000
    private static let shownDigits = 2
    /// Attempts of one payment in an hour.
    static let attemptsMax = 10
    private static let hourMs: Int64 = 3_600_000
    /// Prompts to one phone within ten minutes, whichever payment they are for: its owner may have nothing to do with any of them.
    static let pushesMax = 5
    private static let pushSpanMs: Int64 = 600_000
    /// The end of a number is the same however it is written.
    private static let comparedDigits = 8

    let database: Database
    let start: AttemptStart
    let nowMs: @Sendable () -> Int64
    private let underWay = StartsUnderWay()
    private let pushes = AddressBudget(limit: pushesMax, spanMs: pushSpanMs)

    init(database: Database, start: AttemptStart, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.start = start
        self.nowMs = nowMs
    }

    /// - Parameter replaces: whether attempts that still wait give way to this one.
    func callAsFunction(_ payment: String, _ plan: AttemptStart.Plan, replaces: Bool = false) async throws -> AttemptStart.Started {
        var plan = plan
        plan.replaces = replaces
        if replaces { plan.reuses = false }
        let key = [payment, plan.provider, plan.method ?? "", plan.network ?? "", plan.phone ?? "", replaces ? "again" : ""].joined(separator: " ")
        return try await underWay.start(key) { [plan] in
            if let same = try await admit(payment, plan, mayBeSame: !replaces) { return same }
            return try await start(plan) { try PaymentStore.require(payment, in: $0) }
        }
    }

    /// Whoever has a payment's page may try it, and have it tried at somebody's phone, so often and no more.
    /// - Returns: the attempt that this one would only repeat, where it may be the same; nil when another may be started.
    private func admit(_ id: String, _ plan: AttemptStart.Plan, mayBeSame: Bool) async throws -> AttemptStart.Started? {
        let now = nowMs()
        let (payment, count, same) = try await database.read { connection in
            let payment = try PaymentStore.require(id, in: connection)
            let attempts = try PaymentStore.attempts(of: id, in: connection)
            let same = mayBeSame ? Self.pushed(plan, payment, attempts, nowMs: now) : nil
            let started = try same.map {
                AttemptStart.Started(payment: payment, attempt: $0, references: try PaymentStore.references(of: $0.id, in: connection))
            }
            return (payment, attempts.count { now - $0.createdAtMs < Self.hourMs }, started)
        }
        if let same { return same }
        guard count < Self.attemptsMax else {
            throw WebProblem.tooMany("the payment was tried \(count) times within an hour; try again later", afterSeconds: 600)
        }
        guard plan.network != nil, let phone = plan.phone ?? payment.customer.phone else { return nil }
        guard pushes.take(String(phone.filter(\.isNumber).suffix(Self.comparedDigits)), nowMs: now) else {
            throw WebProblem.tooMany("this phone was asked \(Self.pushesMax) times within ten minutes; try again later", afterSeconds: 600)
        }
        return nil
    }

    /// The push that was asked for a moment ago, on the same network and phone.
    private static func pushed(
        _ plan: AttemptStart.Plan, _ payment: Payment, _ attempts: [PaymentAttempt], nowMs: Int64
    ) -> PaymentAttempt? {
        guard let network = plan.network else { return nil }
        let phone = ending(plan.phone ?? payment.customer.phone)
        return attempts.last { attempt in
            attempt.isPayable(of: payment) && attempt.provider == plan.provider && attempt.network == network && attempt.paymentURL != nil
                && nowMs - attempt.createdAtMs < samePushMs && ending(attempt.step?.fields["phone"]) == phone
        }
    }

    /// Steps show a number masked: its end is all that can be compared.
    private static func ending(_ phone: String?) -> String { String((phone ?? "").suffix(shownDigits)) }
}
