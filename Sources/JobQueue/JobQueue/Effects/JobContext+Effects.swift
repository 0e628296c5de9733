/// The result of a call that has none.
public struct NoResult: Codable, Sendable, Equatable {
    public init() {}
}

extension JobContext {
    /// Has an effect outside, or gives the result that it had before.
    ///
    /// ```swift
    /// let receipt = try await context.effect("payout", key: order.id, policy: .ask(bank.payout)) { key in
    ///     try await bank.pay(order, idempotencyKey: key)
    /// }
    /// ```
    /// - Throws: ``EffectError``, what `call` throws, and what the store throws.
    public func effect<Value: Codable & Sendable>(
        _ name: String, key: String, policy: EffectPolicy<Value>, _ call: @Sendable (_ key: String) async throws -> Value
    ) async throws -> Value {
        guard let effects else { throw EffectError.noStore }
        return try await effects.run(name, key: key, policy: policy, owner: owner, call)
    }

    /// The same for a call without a result.
    public func effect(
        _ name: String, key: String, policy: EffectPolicy<NoResult>, _ call: @Sendable (_ key: String) async throws -> Void
    ) async throws {
        _ = try await effect(name, key: key, policy: policy) { key in
            try await call(key)
            return NoResult()
        }
    }

    private var owner: EffectOwner { EffectOwner(queue: job.queue, worker: worker.description, token: token, job: job.id) }
}
