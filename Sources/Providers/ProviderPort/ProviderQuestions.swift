import Formats
import Money

/// An attempt that a provider is asked about: all that is known of it.
public struct StatusQuestion: Sendable, Equatable {
    public let payment: String
    /// Our id at the provider.
    public let attempt: String
    /// What the attempt was started with.
    public let amount: Money
    /// Every reference given or got; among them `ours`.
    public let references: [ProviderReference]
    /// References that somebody handed us without proof, a browser for one: worth asking by, and the answer must name this attempt.
    public let unverified: [ProviderReference]
    public let createdAtMs: Int64

    public init(
        payment: String, attempt: String, amount: Money, references: [ProviderReference], unverified: [ProviderReference] = [],
        createdAtMs: Int64 = 0
    ) {
        self.payment = payment
        self.attempt = attempt
        self.amount = amount
        self.references = references
        self.unverified = unverified
        self.createdAtMs = createdAtMs
    }

    /// The value of the first reference of a kind.
    public func reference(_ kind: String) -> String? { references.first { $0.kind == kind }?.value }

    /// Asks by each reference of these kinds, in the order of the kinds, until one is known.
    /// - Throws: ``ProviderError`` of kind `notFound` when none is; any other error of `ask` at once.
    public func ask(
        by kinds: [String], _ ask: (ProviderReference) async throws(ProviderError) -> ProviderNotice
    ) async throws(ProviderError) -> ProviderNotice {
        var missing: ProviderError?
        for kind in kinds {
            for reference in references where reference.kind == kind {
                do throws(ProviderError) {
                    return try await ask(reference)
                } catch {
                    guard error.kind == .notFound else { throw error }
                    missing = error
                }
            }
        }
        throw missing ?? ProviderError(.notFound, "the attempt has no reference to ask by")
    }
}

/// Money that is to be given back.
public struct RefundOrder: Sendable {
    /// The attempt that brought it.
    public let question: StatusQuestion
    /// How much now.
    public let amount: Money
    /// How much the attempt had brought, and how much of it was given back before, in minor units of the same currency.
    public let captured: Int64
    public let refundedBefore: Int64
    /// Names this refund: the same key is the same refund, where the provider takes one.
    public let key: String
    public let reason: String

    public init(question: StatusQuestion, amount: Money, captured: Int64, refundedBefore: Int64, key: String, reason: String) {
        self.question = question
        self.amount = amount
        self.captured = captured
        self.refundedBefore = refundedBefore
        self.key = key
        self.reason = reason
    }

    public var isFull: Bool { refundedBefore == 0 && amount.minorUnits == captured }
}

/// A stretch of time that a provider is asked to list.
public struct HistoryQuery: Sendable, Equatable {
    public let fromMs: Int64
    public let toMs: Int64
    /// From the page before; nil for the first.
    public let cursor: String?

    public init(fromMs: Int64, toMs: Int64, cursor: String? = nil) {
        self.fromMs = fromMs
        self.toMs = toMs
        self.cursor = cursor
    }
}

/// A page of what a provider lists.
public struct HistoryPage: Sendable, Equatable {
    public let notices: [ProviderNotice]
    /// For the next page; nil after the last.
    public let next: String?

    public init(notices: [ProviderNotice], next: String?) {
        self.notices = notices
        self.next = next
    }
}
