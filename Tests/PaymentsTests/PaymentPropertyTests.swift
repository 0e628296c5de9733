import Database
import JobQueue
import Ledger
import Money
import Outbox
import Testing

@testable import Payments

@Suite("Whatever happens to payments, in whatever order")
struct PaymentPropertyTests {
    @Test("the books explain the money, no move is forbidden, and only what is paid starts work, once", arguments: 0..<20)
    func holds(_ seed: Int) async throws {
        let stage = try PropertyStage(deposits: seed.isMultiple(of: 3))
        var play = PaymentPlay(seed: UInt64(seed), stage: stage)
        for round in 1...25 {
            play = try await play.steps(16)
            for _ in 0..<4 { try await play.sendRefund() }
            if round.isMultiple(of: 5) { try await check(stage, "seed \(seed), round \(round)") }
        }
        play = try await play.tellAll()
        try await check(stage, "seed \(seed), at the end")
        let (told, real) = (try await stage.givenBack(), stage.world.givenBack)
        for (attempt, units) in told { #expect(units == real[attempt] ?? 0, "seed \(seed): what attempt \(attempt) has given back") }
    }

    private func check(_ stage: PropertyStage, _ moment: String) async throws {
        let faults = try await stage.database.read { connection in
            try PaymentStore.list(limit: 1000, in: connection).flatMap { try PaymentInvariants($0, stage, connection).faults() }
        }
        #expect(faults.isEmpty, "\(moment)")
        try await checkFigures(stage, moment)
    }

    /// What is counted as payments move is what counting them all comes to.
    private func checkFigures(_ stage: PropertyStage, _ moment: String) async throws {
        let (figures, counted, methods) = try await stage.database.read { connection in
            let rows = try connection.query(
                """
                SELECT COALESCE(a.provider, '') AS provider, p.state, COUNT(*) AS n FROM payments_payments p
                LEFT JOIN payments_attempts a ON a.payment = p.id
                  AND a.number = (SELECT MAX(l.number) FROM payments_attempts l WHERE l.payment = p.id)
                GROUP BY 1, 2 ORDER BY 1, 2
                """)
            let methods = try connection.query("SELECT COALESCE(method, '') AS method, COUNT(*) AS n FROM payments_attempts GROUP BY 1")
            return (
                try PaymentFigures.read(in: connection),
                try rows.map { PaymentFigures.Standing(provider: try $0.text("provider"), state: try $0.text("state"), count: try $0.int("n")) },
                try methods.map { (try $0.text("method"), try $0.int("n")) }
            )
        }
        #expect(figures.standings == counted, "\(moment)")
        #expect(figures.attemptsByMethod == Dictionary(uniqueKeysWithValues: methods), "\(moment)")
    }
}

/// What must hold of a payment at any time.
private struct PaymentInvariants {
    let payment: Payment
    let standing: PaymentStanding
    let attempts: [PaymentAttempt]
    let facts: [PaymentFact]
    let entries: [LedgerEntry]
    let connection: Connection

    init(_ payment: Payment, _ stage: PropertyStage, _ connection: Connection) throws {
        self.payment = payment
        self.connection = connection
        attempts = try PaymentStore.attempts(of: payment.id, in: connection)
        facts = try PropertyStage.facts(of: payment.id, in: connection)
        entries = try Ledger.entries(of: payment.id, in: connection)
        standing = PaymentFold.standing(
            of: facts, owed: payment.amount, allowsDeposits: stage.deposits, attempts: attempts.map(\.id),
            parts: try PropertyStage.parts(of: payment.id, in: connection))
    }

    func faults() throws -> [String] {
        let found = try moves() + work() + money() + books() + tasks()
        return found.map { "\(payment.id), \(payment.state.rawValue): \($0)" }
    }

    private func moves() throws -> [String] {
        // What somebody did without moving the payment stands in the trail too.
        let trail = try PaymentAudit.of(payment: payment.id, in: connection).filter { $0.from != $0.to }
        var faults: [String] = []
        for (before, after) in zip(trail, trail.dropFirst()) {
            let from = PaymentState(rawValue: after.from ?? "")
            let isAllowed = PaymentState(rawValue: after.to).map { from?.mayMove(to: $0) ?? false } ?? false
            if after.from != before.to || !isAllowed { faults.append("moved from \(after.from ?? "nothing") to \(after.to) when \(before.to)") }
        }
        if trail.first?.from != nil || trail.last?.to != payment.state.rawValue { faults.append("the trail is not whole") }
        if standing.state != payment.state { faults.append("its facts say \(standing.state.rawValue): \(facts)") }
        return faults
    }

    private func work() throws -> [String] {
        let started = try JobRecord.of(payment: payment.id, in: connection).filter { $0.kind == PlayedJob.kind }.count
        let wasPaid = try PaymentAudit.of(payment: payment.id, in: connection).contains { $0.to == "paid" }
        return started == (wasPaid ? 1 : 0) && wasPaid == (payment.paidAtMs != nil) ? [] : ["\(started) jobs, was paid: \(wasPaid)"]
    }

    private func money() throws -> [String] {
        let underWay = try Refund.of(payment: payment.id, in: connection).filter { $0.state == .requested || $0.state == .sent }
        var faults: [String] = []
        if payment.captured != standing.captured || payment.refunded != standing.refunded || payment.refunded > payment.captured {
            faults.append("captured \(payment.captured), refunded \(payment.refunded)")
        }
        for capture in standing.captures {
            let asked = underWay.filter { $0.attempt == capture.attempt }.reduce(0) { $0 + $1.amount.minorUnits }
            if asked > capture.minorUnits { faults.append("\(asked) are on their way back of \(capture.minorUnits)") }
        }
        if try Refunds.refundable(payment, in: connection) > standing.kept { faults.append("more may be given back than is in hand") }
        return faults
    }

    private func books() -> [String] {
        var faults: [String] = []
        func balance(_ currency: Currency, _ isIt: (LedgerAccount) -> Bool) -> Int64 {
            entries.filter { $0.amount.currency == currency }.reduce(0) {
                $0 + (isIt($1.debit) ? $1.amount.minorUnits : 0) - (isIt($1.credit) ? $1.amount.minorUnits : 0)
            }
        }
        func sum(_ what: String) -> Int64 {
            entries.filter { $0.sourceKey.hasPrefix("\(payment.id):\(what):") }.reduce(0) { $0 + $1.amount.minorUnits }
        }
        func expect(_ what: String, _ found: Int64, _ meant: Int64) {
            if found != meant { faults.append("\(what) is \(found), not \(meant)") }
        }
        let surplus = max(0, standing.kept - payment.amount.minorUnits)
        let held = payment.state == .conflicted ? standing.kept : surplus
        expect("what was captured", sum("captured"), payment.captured)
        expect("what was refunded", sum("refunded"), payment.refunded)
        expect("suspense", balance(.xof) { $0 == .suspense }, -held)
        expect("what was sold", balance(.xof) { [.sales("played"), .chargebacks("played")].contains($0) }, held - standing.kept)
        // What people decided about money in EUR: it went back, or was taken for a sum of ours by way of the exchange.
        let returned = Set(facts.filter { $0.claim == .returned }.compactMap(\.about))
        let exchanged = facts.filter { $0.claim == .valued && HeldMoney.wasForeign($0, among: facts) }
        let valued = Set(exchanged.compactMap(\.about))
        let kept = standing.captures.filter { capture in exchanged.contains { $0.attempt == capture.attempt } }.reduce(0) { $0 + $1.kept }
        expect("the exchange", balance(.xof) { $0 == .exchange }, kept)
        let foreign = facts.filter { $0.claim == .captured && $0.amount?.currency == .eur && !returned.contains($0.id ?? 0) }
        let taken = foreign.filter { valued.contains($0.id ?? 0) }.reduce(0) { $0 + ($1.amount?.minorUnits ?? 0) }
        let lying = foreign.filter { !valued.contains($0.id ?? 0) }.reduce(0) { $0 + ($1.amount?.minorUnits ?? 0) }
        expect("the exchange in EUR", balance(.eur) { $0 == .exchange }, -taken)
        expect("suspense in EUR", balance(.eur) { $0 == .suspense }, -lying)
        for provider in Set(attempts.map(\.provider)) {
            let mine = Set(attempts.filter { $0.provider == provider }.map(\.id))
            let others = mine.subtracting(exchanged.map(\.attempt))
            let kept = standing.captures.filter { others.contains($0.attempt) }.reduce(0) { $0 + $1.kept }
            expect(provider, balance(.xof) { $0 == .provider(provider) }, kept)
            let foreign = foreign.filter { mine.contains($0.attempt) }
            expect("\(provider) in EUR", balance(.eur) { $0 == .provider(provider) }, foreign.reduce(0) { $0 + ($1.amount?.minorUnits ?? 0) })
        }
        expect("the whole", balance(.xof) { _ in true }, 0)
        return faults
    }

    private func tasks() throws -> [String] {
        let open = try PaymentTask.open(of: payment.id, in: connection).map(\.kind)
        return open.contains("conflicted") == (payment.state == .conflicted) ? [] : ["open tasks are \(open)"]
    }
}
