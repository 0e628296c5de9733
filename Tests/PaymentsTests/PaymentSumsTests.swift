import Database
import Formats
import Money
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("Payments summed by the day")
struct PaymentSumsTests {
    private static let dayMs = PaymentSums.dayMs
    private static let nowMs = PaymentsFixture.nowMs

    private struct Begun: Sendable {
        let id: String
        let reference: String
    }

    /// A payment of some days ago, tried at each of the providers in turn.
    private func begin(
        _ number: Int, daysAgo: Int64, at providers: [String], currency: Currency = .xof, method: String? = nil, network: String? = nil,
        _ fixture: PaymentsFixture
    ) async throws -> Begun {
        let at = Self.nowMs - daysAgo * Self.dayMs + Int64(number)
        return try await fixture.database.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: "played", subject: "s\(number)", description: "A thing", amount: Money(5000 + Int64(number), currency),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr")), actor: "test", nowMs: at, in: connection)
            for (place, provider) in providers.enumerated() {
                let attempt = try PaymentStore.startAttempt(
                    of: try PaymentStore.require(payment.id, in: connection), provider: provider, mode: "sandbox", method: method, network: network,
                    nowMs: at, in: connection)
                guard place == providers.count - 1 else { continue }
                try PaymentStore.register(
                    [ProviderReference("id", "ref\(number)")], attempt: attempt.id, provider: provider, nowMs: at, in: connection)
            }
            return Begun(id: payment.id, reference: "ref\(number)")
        }
    }

    /// The same sums by going through all payments.
    private func counted(_ filter: PaymentFilter, _ fixture: PaymentsFixture) async throws -> [String] {
        try await fixture.database.read { connection in
            try connection.query(
                """
                SELECT currency, COUNT(*) AS n, SUM(amount) AS owed, SUM(captured) AS captured, SUM(refunded) AS refunded FROM payments_payments p
                WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR EXISTS (SELECT 1 FROM payments_attempts a WHERE a.payment = p.id AND a.provider = $2))
                  AND ($3 IS NULL OR created_at >= $3) AND ($4 IS NULL OR created_at < $4) AND ($5 IS NULL OR currency = $5)
                GROUP BY currency ORDER BY currency
                """,
                [
                    .optional(filter.state?.rawValue), .optional(filter.provider), .optional(filter.fromMs), .optional(filter.toMs),
                    .optional(filter.currency),
                ]
            ).map { row in
                "\(try row.text("currency")) \(try row.int("n")) \(try row.int("owed")) \(try row.int("captured")) \(try row.int("refunded"))"
            }
        }
    }

    private static var filters: [PaymentFilter] {
        let today = nowMs / dayMs * dayMs
        let times: [(Int64?, Int64?)] = [(nil, nil), (today - 3 * dayMs, nil), (nil, today), (today - 5 * dayMs, today - 4 * dayMs)]
        return times.flatMap { from, to in
            [nil, "played", "other", "none"].flatMap { provider in
                [nil, PaymentState.paid, .pending, .failed].map {
                    PaymentFilter(provider: provider, state: $0, currency: provider == "other" ? "XOF" : nil, fromMs: from, toMs: to)
                }
            }
        }
    }

    private func compare(_ sums: PaymentSums, _ fixture: PaymentsFixture, _ when: Comment) async throws {
        for filter in Self.filters {
            let told = try sums.totals(filter).map {
                "\($0.owed.currency.code) \($0.count) \($0.owed.minorUnits) \($0.captured.minorUnits) \($0.refunded.minorUnits)"
            }
            #expect(told == (try await counted(filter, fixture)), when)
        }
        // What was brought up to date is what is read anew.
        let fresh = try await PaymentSums.read(fixture.database, nowMs: Self.nowMs)
        #expect(
            fresh.figures(days: 90, nowMs: Self.nowMs).map { "\($0)" } == sums.figures(days: 90, nowMs: Self.nowMs).map { "\($0)" }, when)
    }

    @Test("are what all payments add up to, by any filter, after payments, attempts, events and refunds of any day")
    func agree() async throws {
        let fixture = try PaymentsFixture()
        var begun: [Begun] = []
        for number in 0..<24 {
            let providers = [["played"], ["other", "played"], ["played", "played"], []][number % 4]
            begun.append(
                try await begin(
                    number, daysAgo: Int64(number % 7), at: providers, currency: number % 5 == 0 ? .eur : .xof,
                    method: number % 3 == 0 ? "mobile" : nil,
                    fixture))
        }
        var sums = try await PaymentSums.read(fixture.database, nowMs: Self.nowMs)
        try await compare(sums, fixture, "read whole")

        for number in [0, 1, 5, 13] {
            let currency = number % 5 == 0 ? "EUR" : "XOF"
            let amount = Money(5000 + Int64(number), try Currency(code: currency)).decimalText
            try await fixture.apply("paid-\(number)", "\(begun[number].reference) captured \(amount) \(currency)")
        }
        try await fixture.apply("failed", "\(begun[2].reference) failed")
        sums = try await sums.broughtUpToDate(fixture.database, nowMs: Self.nowMs)
        try await compare(sums, fixture, "after events")
        #expect(try sums.totals(PaymentFilter(state: .paid)).reduce(0) { $0 + $1.count } == 4)

        try await fixture.apply("back", "\(begun[1].reference) refunded 1000 XOF")
        _ = try await begin(100, daysAgo: 0, at: ["other"], fixture)
        _ = try await begin(101, daysAgo: 40, at: ["played"], fixture)
        sums = try await sums.broughtUpToDate(fixture.database, nowMs: Self.nowMs)
        try await compare(sums, fixture, "after a refund and new payments")

        let same = try await sums.broughtUpToDate(fixture.database, nowMs: Self.nowMs + 5)
        #expect(same.readAtMs == Self.nowMs + 5)
        try await compare(same, fixture, "after nothing")
    }

    @Test("a report tells each day, provider, way and purpose, the success rate and the time until paid")
    func report() async throws {
        let fixture = try PaymentsFixture()
        let paid = try await begin(1, daysAgo: 1, at: ["played"], method: "mobile", network: "MTN", fixture)
        let failed = try await begin(2, daysAgo: 2, at: ["played"], method: "mobile", network: "MOOV", fixture)
        _ = try await begin(3, daysAgo: 2, at: ["other"], fixture)
        _ = try await begin(4, daysAgo: 9, at: ["played"], fixture)
        try await fixture.apply("paid", "\(paid.reference) captured 5001 XOF")
        try await fixture.apply("failed", "\(failed.reference) failed")
        let sums = try await PaymentSums.read(fixture.database, nowMs: Self.nowMs)
        let report = sums.report(.xof, days: 7, nowMs: Self.nowMs)
        #expect(report.days.count == 7 && report.days.last?.day == Self.nowMs / Self.dayMs)
        #expect(report.days.map(\.line.sums.count) == [0, 0, 0, 0, 2, 1, 0])
        #expect(report.whole.sums.count == 3 && report.whole.sums.captured == 5001 && report.whole.successRatio == 0.5)
        #expect(report.whole.meanWaitMs == Self.dayMs - 1, "it was begun a day before it was paid")
        #expect(report.byProvider.map(\.provider) == ["played", "other"] && report.byProvider[1].line.successRatio == nil)
        #expect(report.byWay.map { "\($0.method) \($0.network)" } == ["mobile MTN", " ", "mobile MOOV"])
        #expect(report.byPurpose.map(\.purpose) == ["played"])
        #expect(sums.report(.xof, days: 30, nowMs: Self.nowMs).whole.sums.count == 4)
        #expect(sums.report(.eur, days: 30, nowMs: Self.nowMs).whole.sums.count == 0)
        #expect(sums.currencies(days: 7, nowMs: Self.nowMs) == [.xof])
        // Later nobody asks for the figures of that time, and its totals stay.
        let later = try await sums.broughtUpToDate(fixture.database, nowMs: Self.nowMs + 200 * Self.dayMs)
        #expect(later.figures(days: 90, nowMs: Self.nowMs).isEmpty)
        #expect(try later.totals(PaymentFilter()).first?.count == 4)
    }

    @Test("are read in pieces: more payments than one piece has are all there, once")
    func pieces() async throws {
        let fixture = try PaymentsFixture()
        let rows = JSON.array((0..<2500).map { JSON.int($0) }).text
        try await fixture.database.write { connection in
            try connection.execute(
                """
                INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, captured, customer_name, language, metadata,
                  created_at, updated_at)
                SELECT printf('pay_%026d', value), 'played', 's' || value, 'A thing', 10, 'XOF', 'created', 0, 'Awa', 'fr', '{}', $2 + value * 60000, $2
                FROM json_each($1)
                """, [.text(rows), .integer(Self.nowMs - 2 * Self.dayMs)])
        }
        let sums = try await PaymentSums.read(fixture.database, nowMs: Self.nowMs)
        let totals = try sums.totals(PaymentFilter())
        #expect(totals.map(\.count) == [2500] && totals.first?.owed == Money(25_000, .xof))
        try await compare(sums, fixture, "in pieces")
    }
}
