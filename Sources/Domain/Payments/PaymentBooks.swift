import Database
import Ledger
import Money
import ProviderPort

/// Books what happens to a payment's money, in the transaction that moves the payment.
///
/// Each attempt's money is booked with the provider it came by: what came in, went back and was charged back so far, a further entry for
/// each change. Money that may not be used (of a conflicted payment, or beyond what is owed) lies in suspense, and is moved when that
/// changes.
struct PaymentBooks {
    let payment: Payment
    let attempts: [PaymentAttempt]
    /// Attempts whose money came in another currency and was valued by a person: it is booked by way of the exchange.
    var exchanged: Set<String> = []
    let nowMs: Int64
    let connection: Connection

    /// Brings the books to where the payment stands; `payment` is as it was before.
    func follow(_ standing: PaymentStanding) throws {
        guard standing.captured > 0 else { return }
        var entries = try Ledger.entries(of: payment.id, in: connection)
        // What is new after everything had come is surplus.
        let holds = standing.state == .conflicted || payment.captured >= payment.amount.minorUnits
        for capture in standing.captures {
            let account = account(of: capture.attempt)
            let came = capture.minorUnits - booked("captured", capture, entries)
            if came > 0 {
                let isFirst = came == capture.minorUnits
                let key = "captured:\(capture.attempt)" + (isFirst ? "" : ":\(capture.minorUnits)")
                try post(account, holds ? .suspense : sales, came, "captured", key: key, &entries)
            }
            try chargeBack(capture, account, &entries)
            let back = capture.refunded - booked("refunded", capture, entries)
            if back > 0 { try take(back, from: sales, of: account, "refunded", key: "refunded:\(capture.attempt):\(capture.refunded)", &entries) }
        }
        try settle(standing, &entries)
    }

    private func chargeBack(_ capture: AttemptCapture, _ account: LedgerAccount, _ entries: inout [LedgerEntry]) throws {
        let lost = capture.chargedBack - booked("charged_back", capture, entries)
        let key = "charged_back:\(capture.attempt):\(entries.count)"
        if lost > 0 { try take(lost, from: .chargebacks(payment.purpose), of: account, "charged back", key: key, &entries) }
        // What was refunded was not taken by the bank: it is on its way out by the other door.
        if lost < 0 { try post(account, .suspense, -lost, "refunded, not charged back", key: key, &entries) }
    }

    /// What was not sold goes first.
    private func take(
        _ units: Int64, from account: LedgerAccount, of provider: LedgerAccount, _ memo: String, key: String, _ entries: inout [LedgerEntry]
    ) throws {
        let fromSuspense = min(units, max(0, held(entries)))
        if fromSuspense > 0 { try post(.suspense, provider, fromSuspense, memo, key: key + ":held", &entries) }
        if units > fromSuspense { try post(account, provider, units - fromSuspense, memo, key: key, &entries) }
    }

    /// Moves between suspense and sales what has changed its side.
    private func settle(_ standing: PaymentStanding, _ entries: inout [LedgerEntry]) throws {
        let shouldHold = standing.state == .conflicted ? standing.kept : max(0, standing.kept - payment.amount.minorUnits)
        let released = held(entries) - shouldHold
        let key = "settled:\(entries.count)"
        if released > 0 { try post(.suspense, sales, released, "released", key: key, &entries) }
        if released < 0 { try post(sales, .suspense, -released, "held", key: key, &entries) }
    }

    /// Money that came in but can be no part of what is owed is in hand all the same: it is booked to suspense, as it came.
    func hold(_ amount: Money, attempt: PaymentAttempt, factKey: String) throws {
        guard amount.isPositive else { return }
        try Ledger.post(
            LedgerEntry(
                atMs: nowMs, debit: .provider(attempt.provider), credit: .suspense, amount: amount, payment: payment.id,
                memo: "captured, not what is owed", sourceKey: "\(payment.id):held:\(factKey)"), in: connection)
    }

    /// What lies in suspense of the captured money.
    private func held(_ entries: [LedgerEntry]) -> Int64 {
        entries.reduce(0) { total, entry in
            guard !entry.sourceKey.hasPrefix("\(payment.id):held:") else { return total }
            if entry.credit == .suspense { return total + entry.amount.minorUnits }
            return entry.debit == .suspense ? total - entry.amount.minorUnits : total
        }
    }

    /// What was booked of an attempt so far. Money goes out at the provider's credit, but for captures.
    private func booked(_ what: String, _ capture: AttemptCapture, _ entries: [LedgerEntry]) -> Int64 {
        let key = "\(payment.id):\(what):\(capture.attempt)"
        let account = account(of: capture.attempt)
        return entries.reduce(0) { total, entry in
            guard entry.sourceKey == key || entry.sourceKey.hasPrefix(key + ":") else { return total }
            let isIn = entry.debit == account
            return total + (isIn == (what == "captured") ? entry.amount.minorUnits : -entry.amount.minorUnits)
        }
    }

    private func post(
        _ debit: LedgerAccount, _ credit: LedgerAccount, _ units: Int64, _ memo: String, key: String, _ entries: inout [LedgerEntry]
    ) throws {
        let entry = LedgerEntry(
            atMs: nowMs, debit: debit, credit: credit, amount: Money(units, payment.amount.currency), payment: payment.id, memo: memo,
            sourceKey: "\(payment.id):\(key)")
        if try Ledger.post(entry, in: connection) { entries.append(entry) }
    }

    /// Money in suspense that was given back, or valued: it leaves suspense as it lay there.
    func release(_ amount: Money, attempt: PaymentAttempt, valued: Bool, factKey: String) throws {
        guard amount.isPositive else { return }
        try Ledger.post(
            LedgerEntry(
                atMs: nowMs, debit: .suspense, credit: valued ? .exchange : .provider(attempt.provider), amount: amount, payment: payment.id,
                memo: valued ? "valued" : "given back, not what is owed",
                sourceKey: "\(payment.id):held:\(valued ? "valued" : "returned"):\(factKey)"),
            in: connection)
    }

    private var sales: LedgerAccount { .sales(payment.purpose) }
    private func account(of attempt: String) -> LedgerAccount { exchanged.contains(attempt) ? .exchange : .provider(provider(of: attempt)) }
    private func provider(of attempt: String) -> String { attempts.first { $0.id == attempt }?.provider ?? "unknown" }
}
