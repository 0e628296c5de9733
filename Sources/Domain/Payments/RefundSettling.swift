import Database
import Formats
import JobQueue
import Money
import Outbox

/// Refunds that hold their money and do not come to an end: told to a person, who ends them either way.
extension Refunds {
    /// A refund that is not over after this is a task.
    public static let deadlineMs: Int64 = 24 * 3_600_000
    static let overdue = "refund_overdue"

    /// What a person found out at the provider.
    public enum Finding: Sendable {
        /// The money went back; the reference is what the provider calls that.
        case done(reference: String?)
        /// It did not, and will not.
        case failed
    }

    /// Opens a task for each refund whose deadline is over.
    /// - Returns: how many there are.
    @discardableResult
    public static func watch(nowMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        let late = try Refund.underWay(since: nowMs - deadlineMs, limit: limit, in: connection)
        for refund in late {
            try PaymentTask.open(payment: refund.payment, kind: overdue, detail: words(of: refund), nowMs: nowMs, in: connection)
        }
        return late.count
    }

    private static func words(of refund: Refund) -> String {
        "refund \(refund.id) of \(refund.amount) was asked for over 24 h ago and holds its money: find out at the provider, then settle it"
    }

    static func closeOverdue(_ refund: Refund, nowMs: Int64, in connection: Connection) throws {
        try PaymentTask.close(payment: refund.payment, kind: overdue, detail: words(of: refund), nowMs: nowMs, in: connection)
    }

    /// Why the call of a refund may not be made any more; nil while it may.
    func stops(_ refund: Refund, in connection: Connection) throws -> String? {
        guard let now = try Refund.find(refund.id, in: connection), !now.state.isOver else { return "it was ended by a person" }
        return try source(of: refund, in: connection).isChargedBack ? "the customer's bank has taken the money back" : nil
    }

    /// Ends a refund by what a person found out, with an audit row.
    /// - Throws: ``PaymentError/notFound(_:)``; `notAllowed` for one that is over, or whose call may be under way at this moment.
    public func decide(
        _ finding: Finding, refund id: String, of payment: String, reason: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> Refund {
        guard let refund = try Refund.find(id, in: connection), refund.payment == payment else { throw PaymentError.notFound(id) }
        guard !refund.state.isOver else { throw PaymentError.notAllowed("refund \(id) is \(refund.state.rawValue) already") }
        try endCall(of: refund, finding, actor: actor, nowMs: nowMs, in: connection)
        let word: String
        switch finding {
        case .done(let reference):
            word = "done" + (reference.map { " as \($0)" } ?? "")
            try settle(refund, reference: reference, nowMs: nowMs, in: connection)
        case .failed:
            word = "failed"
            try Refund.move(id, to: .failed, detail: reason, nowMs: nowMs, in: connection)
        }
        try Self.closeOverdue(refund, nowMs: nowMs, in: connection)
        let standing = try PaymentStore.require(payment, in: connection)
        try PaymentAudit.note(
            standing, actor: actor, source: id, detail: "\(Self.settled(refund, as: word)) \(reason)", nowMs: nowMs, in: connection)
        return try Refund.find(id, in: connection) ?? refund
    }

    private static func settled(_ refund: Refund, as word: String) -> String { "refund of \(refund.amount) settled as \(word):" }

    /// Whether it was one of the staff who said that a refund has failed, and not its provider. By the payment's own trail, which an index leads to.
    public static func isSaidToHaveFailed(_ refund: Refund, in connection: Connection) throws -> Bool {
        let said = settled(refund, as: "failed")
        return try PaymentAudit.of(payment: refund.payment, in: connection).contains {
            $0.source == refund.id && $0.actor.hasPrefix("staff:") && $0.detail?.hasPrefix(said) == true
        }
    }

    /// Settles the record of the call, so that nobody carries it out or doubts it any more. A call that may be under way is left alone: its
    /// intent is written before it looks whether it still may go out.
    private func endCall(of refund: Refund, _ finding: Finding, actor: String, nowMs: Int64, in connection: Connection) throws {
        try EffectTable.update(EffectIdentity(RefundSending.effect, key: refund.id), in: connection) { record in
            guard let found = record, found.state == .pending || found.state == .doubtful else { return }
            guard found.state == .doubtful || found.changedAtMs < nowMs - AttemptIntent.callMaxMs else {
                throw PaymentError.notAllowed("the call of refund \(refund.id) may be under way at this moment; try again in a minute")
            }
            let result: JSON? =
                switch finding {
                case .done(let reference): ["isDone": true, "reference": .optional(reference)]
                case .failed: nil
                }
            _ = EffectRecord.settle(&record, result: result, by: actor, nowMs: nowMs)
        }
    }
}
