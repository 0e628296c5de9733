import Database

/// That held money went back, as somebody says it whose word alone does not decide that: it waits in the payment's audit, and moves nothing.
public struct HeldReturn: Sendable, Equatable {
    /// Who says so: `staff:…`.
    public let actor: String
    /// What the provider or the bank calls it.
    public let reference: String
    public let atMs: Int64

    static func source(_ held: Int64) -> String { "held \(held) is said to be returned" }
}

extension HeldMoney {
    /// Who says that it went back, oldest first; nobody decides by it alone.
    public func saidReturns(in connection: Connection) throws -> [HeldReturn] {
        try PaymentAudit.of(payment: payment, in: connection).filter { $0.source == HeldReturn.source(id) }.map {
            HeldReturn(actor: $0.actor, reference: $0.detail ?? "", atMs: $0.atMs)
        }
    }

    /// Enters that somebody says so, once for each of them and each reference.
    public func sayReturned(as reference: String, actor: String, nowMs: Int64, in connection: Connection) throws {
        guard try !saidReturns(in: connection).contains(where: { $0.actor == actor && $0.reference == reference }) else { return }
        try PaymentAudit.note(
            try PaymentStore.require(payment, in: connection), actor: actor, source: HeldReturn.source(id), detail: reference, nowMs: nowMs,
            in: connection)
    }
}
