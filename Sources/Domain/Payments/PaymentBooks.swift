import Database
import Ledger
import Money
import ProviderPort

/// Books what happens to a payment's money, in the transaction that moves the payment.
///
/// A capture is one entry per attempt, with the provider it came by; refunds are entries by the sum given back so far. Money that may not
/// be used (of a conflicted payment, or beyond what is owed) lies in suspense, and is moved when that changes.
struct PaymentBooks {
    let payment: Payment
    let attempts: [PaymentAttempt]
    let nowMs: Int64
    let connection: Connection

    /// Brings the books to where the payment stands; `payment` is as it was before.
    func follow(_ standing: PaymentStanding) throws {
        // An entry that is there already stays; what is new after everything had come is surplus.
        let isSurplus = payment.captured >= payment.amount.minorUnits
        let holds = standing.state == .conflicted || isSurplus
        for capture in standing.captures {
            try post(
                .provider(provider(of: capture.attempt)), holds ? .suspense : .sales(payment.purpose), capture.minorUnits, "captured",
                key: "captured:\(capture.attempt)")
        }
        if standing.refunded > payment.refunded { try refund(standing) }
        if standing.state == .chargedBack, let paying = standing.captures.first, standing.captured > standing.refunded {
            try post(
                .chargebacks(payment.purpose), .provider(provider(of: paying.attempt)), standing.captured - standing.refunded, "charged back",
                key: "charged_back")
        }
        if holds || payment.state == .conflicted || standing.refunded > payment.refunded { try settle(standing) }
    }

    /// What was not sold is given back first.
    private func refund(_ standing: PaymentStanding) throws {
        guard let paying = standing.captures.first else { return }
        let units = standing.refunded - payment.refunded
        let held = try heldUnits()
        let fromSuspense = standing.state == .conflicted ? units : min(units, held)
        let key = "refunded:\(standing.refunded)"
        if fromSuspense > 0 { try post(.suspense, .provider(provider(of: paying.attempt)), fromSuspense, "refunded", key: key + ":held") }
        if units > fromSuspense {
            try post(.sales(payment.purpose), .provider(provider(of: paying.attempt)), units - fromSuspense, "refunded", key: key)
        }
    }

    /// Moves between suspense and sales what has changed its side.
    private func settle(_ standing: PaymentStanding) throws {
        let kept = standing.captured - standing.refunded
        let shouldHold = standing.state == .conflicted ? kept : max(0, kept - payment.amount.minorUnits)
        let held = try heldUnits()
        guard held != shouldHold else { return }
        let number = try Ledger.entries(of: payment.id, in: connection).count
        let (from, to): (LedgerAccount, LedgerAccount) =
            held > shouldHold ? (.suspense, .sales(payment.purpose)) : (.sales(payment.purpose), .suspense)
        try post(from, to, abs(held - shouldHold), held > shouldHold ? "released" : "held", key: "settled:\(number)")
    }

    /// Money that came in but contradicts what is owed is in hand all the same: it is booked to suspense, as it came.
    func hold(_ amount: Money, attempt: PaymentAttempt, factKey: String) throws {
        guard amount.isPositive else { return }
        try Ledger.post(
            LedgerEntry(
                atMs: nowMs, debit: .provider(attempt.provider), credit: .suspense, amount: amount, payment: payment.id,
                memo: "captured, not what is owed", sourceKey: "\(payment.id):held:\(factKey)"), in: connection)
    }

    /// What lies in suspense of the captured money, in the payment's currency.
    private func heldUnits() throws -> Int64 {
        try Ledger.entries(of: payment.id, in: connection).reduce(0) { total, entry in
            guard entry.amount.currency == payment.amount.currency, !entry.sourceKey.hasPrefix("\(payment.id):held:") else { return total }
            if entry.credit == .suspense { return total + entry.amount.minorUnits }
            return entry.debit == .suspense ? total - entry.amount.minorUnits : total
        }
    }

    private func post(_ debit: LedgerAccount, _ credit: LedgerAccount, _ units: Int64, _ memo: String, key: String) throws {
        try Ledger.post(
            LedgerEntry(
                atMs: nowMs, debit: debit, credit: credit, amount: Money(units, payment.amount.currency), payment: payment.id, memo: memo,
                sourceKey: "\(payment.id):\(key)"), in: connection)
    }

    private func provider(of attempt: String) -> String { attempts.first { $0.id == attempt }?.provider ?? "unknown" }
}
