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
        let key = [payment, plan.provider, plan.network ?? "", plan.phone ?? "", replaces ? "again" : ""].joined(separator: " ")
        return try await underWay.start(key) { [plan] in
            if !replaces, let same = try await pushed(payment, plan) { return same }
            try await admit(payment, plan)
            return try await start(plan) { try PaymentStore.require(payment, in: $0) }
        }
    }

    /// Whoever has a payment's page may try it, and have it tried at somebody's phone, so often and no more.
    private func admit(_ id: String, _ plan: AttemptStart.Plan) async throws {
        let now = nowMs()
        let (payment, count) = try await database.read { connection in
            let young = try PaymentStore.attempts(of: id, in: connection).filter { now - $0.createdAtMs < Self.hourMs }
            return (try PaymentStore.require(id, in: connection), young.count)
        }
        guard count < Self.attemptsMax else {
            throw WebProblem.tooMany("the payment was tried \(count) times within an hour; try again later", afterSeconds: 600)
        }
        guard plan.network != nil, let phone = plan.phone ?? payment.customer.phone else { return }
        guard pushes.take(String(phone.filter(\.isNumber).suffix(Self.comparedDigits)), nowMs: now) else {
            throw WebProblem.tooMany("this phone was asked \(Self.pushesMax) times within ten minutes; try again later", afterSeconds: 600)
        }
    }

    private func pushed(_ id: String, _ plan: AttemptStart.Plan) async throws -> AttemptStart.Started? {
        guard let network = plan.network else { return nil }
        let now = nowMs()
        return try await database.read { connection in
            let payment = try PaymentStore.require(id, in: connection)
            let phone = Self.ending(plan.phone ?? payment.customer.phone)
            let same = try PaymentStore.attempts(of: id, in: connection).last { attempt in
                attempt.isPayable(of: payment) && attempt.provider == plan.provider && attempt.network == network && attempt.paymentURL != nil
                    && now - attempt.createdAtMs < Self.samePushMs && Self.ending(attempt.step?.fields["phone"]) == phone
            }
            guard let same else { return nil }
            return AttemptStart.Started(payment: payment, attempt: same, references: try PaymentStore.references(of: same.id, in: connection))
        }
    }

    /// Steps show a number masked: its end is all that can be compared.
    private static func ending(_ phone: String?) -> String { String((phone ?? "").suffix(shownDigits)) }
}
