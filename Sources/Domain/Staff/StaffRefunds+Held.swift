import Database
import Money
import Payments

extension StaffRefunds {
    /// Whether one person's word does not decide that held money went back: it is more than one may send out alone, or nobody knows how much.
    ///
    /// What is held came from a provider as it is and cannot be taken apart by whoever decides: unlike refunds it is looked at piece by piece.
    public func needsSecondPerson(_ held: HeldMoney) -> Bool { held.amount.map(needsSecondPerson) ?? true }

    /// Under whose name it is decided that held money went back; nil where it waits until another person says the same: the same reference.
    /// - Throws: ``PaymentError/notFound(_:)`` for money that is not held (any more).
    public func returning(
        held id: Int64, of payment: Payment, as reference: String, by user: StaffUser, nowMs: Int64, in connection: Connection
    ) throws -> String? {
        guard let held = try HeldMoney.of(payment, in: connection).first(where: { $0.id == id }) else {
            throw PaymentError.notFound("held money \(id)")
        }
        guard needsSecondPerson(held) else { return user.actor }
        let others = try held.saidReturns(in: connection).filter { $0.actor != user.actor }
        if let first = others.first(where: { $0.reference == reference }) { return "\(first.actor)+\(user.name)" }
        try held.sayReturned(as: reference, actor: user.actor, nowMs: nowMs, in: connection)
        return nil
    }
}
