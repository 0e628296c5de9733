import Database
import JobQueue
import ProviderPort

/// What a kind of payment buys, and what is to happen once it is paid. A room that sells something provides one; the
/// program wires them. Everything happens in the transaction that moves the payment.
public protocol PaymentPurpose: Sendable {
    /// The payment's `purpose`.
    var name: String { get }
    /// Whether less than what is owed counts as a part payment.
    var allowsDeposits: Bool { get }
    /// Called once, in the transaction in which the payment first becomes paid: enters what the room has to note and answers
    /// the jobs to start.
    /// - Parameter mode: `sandbox` or `live`, as the attempt that paid.
    func fulfil(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest]
    /// Called in the transaction in which money of the payment was given back; answers the jobs to start. They name no payment, as none of
    /// them is paid-only.
    /// - Parameters:
    ///   - payment: as it stands afterwards.
    ///   - units: minor units given back now.
    func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest]
    /// Called in the transaction in which the payment moves to `charged_back`: the customer's bank has taken money back. Answers the jobs to
    /// start. They name no payment.
    func chargedBack(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest]
    /// Called in the transaction in which a payment that was paid before is paid once more, after its money had gone back; answers the jobs to
    /// start besides those that were skipped meanwhile.
    func paidAgain(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest]
    /// Called in the transaction in which the payment moves to `failed`, which it may do several times, once for each attempt that fails;
    /// answers the jobs to start. They name no payment, as it is not paid.
    /// - Parameter attempt: the one that failed last.
    func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest]
}

extension PaymentPurpose {
    public var allowsDeposits: Bool { false }
    public func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] { [] }
    public func chargedBack(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] { [] }
    public func paidAgain(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] { [] }
    public func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest] { [] }
}

/// The purposes that a program knows.
public struct PurposeRegistry: Sendable {
    /// The jobs that money which went back starts, whatever it had bought; none of them names a payment.
    public typealias Refunded = @Sendable (_ payment: Payment, _ refund: String?) throws -> [JobRequest]

    private let purposes: [String: any PaymentPurpose]
    let refunded: Refunded

    /// - Parameter refunded: given the payment as it stands afterwards, and the refund of ours that caused it.
    public init(_ purposes: [any PaymentPurpose], refunded: @escaping Refunded = { _, _ in [] }) {
        self.purposes = Dictionary(purposes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.refunded = refunded
    }

    public subscript(name: String) -> (any PaymentPurpose)? { purposes[name] }
}

/// The adapters that a program knows, each with the mode it runs in.
public struct ProviderRegistry: Sendable {
    /// The adapters at one moment.
    public struct Adapters: Sendable {
        fileprivate let on: [String: (adapter: any PaymentProvider, mode: String)]
        fileprivate let resting: [String: any PaymentProvider]
        fileprivate let policies: [String: TrustPolicy]

        /// - Parameters:
        ///   - on: those whose mode is not `off`.
        ///   - resting: those that are off, and still read and ask for what was begun while they were on.
        ///   - policies: of those that do not have their adapter's own.
        public init(
            on: [(adapter: any PaymentProvider, mode: String)], resting: [any PaymentProvider] = [], policies: [String: TrustPolicy] = [:]
        ) {
            self.policies = policies
            self.on = Dictionary(on.map { ($0.adapter.name, $0) }, uniquingKeysWith: { first, _ in first })
            self.resting = Dictionary(resting.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    private let current: @Sendable () -> Adapters

    /// - Parameter adapters: those whose `PROVIDER_MODE_…` is not `off`.
    public init(_ adapters: [(adapter: any PaymentProvider, mode: String)], policies: [String: TrustPolicy] = [:]) {
        let fixed = Adapters(on: adapters, policies: policies)
        current = { fixed }
    }

    /// Adapters that may change while the program runs; asked for at each use.
    public init(following current: @escaping @Sendable () -> Adapters) { self.current = current }

    /// The adapter of a provider that is on.
    public subscript(name: String) -> (any PaymentProvider)? { current().on[name]?.adapter }
    /// The adapter of a provider that is on, or was: for what was begun with it.
    public func known(_ name: String) -> (any PaymentProvider)? {
        let adapters = current()
        return adapters.on[name]?.adapter ?? adapters.resting[name]
    }
    /// What the posts of a provider that is on, or was, are taken for.
    func policy(of name: String) -> TrustPolicy {
        let adapters = current()
        return adapters.policies[name] ?? (adapters.on[name]?.adapter ?? adapters.resting[name])?.capabilities.standardPolicy ?? .trust
    }
    /// `sandbox` or `live`; nil when the provider is off.
    public func mode(of name: String) -> String? { current().on[name]?.mode }
    public var names: [String] { current().on.keys.sorted() }
    /// The adapters that are on, by name.
    public var all: [(adapter: any PaymentProvider, mode: String)] { current().on.values.sorted { $0.adapter.name < $1.adapter.name } }
}
