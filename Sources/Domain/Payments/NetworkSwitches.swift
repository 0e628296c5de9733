import Database
import ProviderPort

/// The ways to pay that staff switched off, as they stood when they were read: nobody is offered them, and no attempt is started by them.
public struct NetworkSwitches: Sendable {
    /// Who switched a way off, and why.
    public struct Off: Sendable, Equatable {
        public let actor: String
        public let reason: String
        public let atMs: Int64
    }

    private struct Way: Hashable {
        let provider: String
        let method: String
        let network: String

        init(_ choice: ProviderOffer.Choice, at provider: String) {
            self.init(provider: provider, method: choice.method, network: choice.network ?? "")
        }

        init(provider: String, method: String, network: String) {
            self.provider = provider
            self.method = method
            self.network = network
        }
    }

    private let ways: [Way: Off]

    public static let reasonLimit = 500

    public static func read(in connection: Connection) throws -> NetworkSwitches {
        let rows = try connection.query("SELECT * FROM payments_networks_off").map { row in
            (
                Way(provider: try row.text("provider"), method: try row.text("method"), network: try row.text("network")),
                Off(actor: try row.text("actor"), reason: try row.text("reason"), atMs: try row.int("at"))
            )
        }
        return NetworkSwitches(ways: Dictionary(rows) { first, _ in first })
    }

    /// Switches a way off, in force with the next page and the next attempt. One that is off stays as it was switched.
    /// - Returns: whether it was on.
    /// - Throws: ``PaymentError/invalid(field:rule:)`` without a reason.
    @discardableResult
    public static func switchOff(
        _ choice: ProviderOffer.Choice, at provider: String, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        guard !reason.allSatisfy(\.isWhitespace) else { throw PaymentError.invalid(field: "reason", rule: "is required") }
        return try connection.execute(
            """
            INSERT INTO payments_networks_off (provider, method, network, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (provider, method, network) DO NOTHING
            """,
            [
                .text(provider), .text(choice.method), .text(choice.network ?? ""), .text(actor), .text(String(reason.prefix(reasonLimit))),
                .integer(nowMs),
            ]) == 1
    }

    /// - Returns: whether it was off.
    @discardableResult
    public static func switchOn(_ choice: ProviderOffer.Choice, at provider: String, in connection: Connection) throws -> Bool {
        try connection.execute(
            "DELETE FROM payments_networks_off WHERE provider = $1 AND method = $2 AND network = $3",
            [.text(provider), .text(choice.method), .text(choice.network ?? "")]) == 1
    }

    /// Nil for a way that staff left on.
    public func off(_ choice: ProviderOffer.Choice, at provider: String) -> Off? { ways[Way(choice, at: provider)] }

    /// Whether staff switched off something that this provider has.
    public func hasOff(_ adapter: any PaymentProvider) -> Bool {
        !ways.isEmpty && adapter.offer.choices.contains { off($0, at: adapter.name) != nil }
    }

    /// What customers may choose from at a provider now.
    public func offer(of adapter: any PaymentProvider) -> ProviderOffer {
        guard !ways.isEmpty else { return adapter.offer }
        return ProviderOffer(
            adapter.offer.choices.map { choice in
                // Who switched it off and why is not for customers.
                choice.offReason == nil && off(choice, at: adapter.name) != nil ? choice.off(because: Self.told) : choice
            })
    }

    private static let told = "switched off for now"

    /// The method that an order is to name so that it cannot come to a way that is off: its own, or, where it leaves the choice to the
    /// provider's page, one of those that are left, one that asks for nothing beforehand if there is one.
    /// - Throws: ``ProviderError`` `notOffered` where nothing is left of what it names.
    public func method(_ method: String?, network: String?, at adapter: any PaymentProvider) throws(ProviderError) -> String? {
        let provider = adapter.name
        guard ways.keys.contains(where: { $0.provider == provider }) else { return method }
        let named = adapter.ways(method: method, network: network)
        let left = named.filter { off($0, at: provider) == nil }
        guard left.count < named.count || named.isEmpty else { return method }
        guard let first = left.first(where: { $0.offReason == nil && $0.needs.isEmpty }) ?? left.first(where: { $0.offReason == nil }) else {
            let label = named.first?.label ?? [method, network].compactMap { $0 }.joined(separator: " ")
            throw ProviderError(.notOffered, "\(label.prefix(60)) is not offered: \(Self.told)", code: "not_offered")
        }
        return method ?? first.method
    }
}
