import Formats
import Money
import ProviderPort
import Synchronization

/// Answers calls from a list and keeps what was asked.
final class RecordingTransport: ProviderTransport {
    private struct State {
        var answers: [Result<ProviderAnswer, ProviderError>]
        var calls: [ProviderCall] = []
    }
    private let state: Mutex<State>

    init(_ answers: [Result<ProviderAnswer, ProviderError>]) { state = Mutex(State(answers: answers)) }

    convenience init(status: Int = 200, headers: HTTPHeaders = [:], _ body: [UInt8]) {
        self.init([.success(ProviderAnswer(status: status, headers: headers, body: body))])
    }

    convenience init(status: Int = 200, _ body: String) { self.init(status: status, Array(body.utf8)) }

    var calls: [ProviderCall] { state.withLock { $0.calls } }
    /// The body of the last call, read.
    var lastJSON: JSON? { calls.last.flatMap { try? JSON(parsing: $0.body) } }

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let answer = state.withLock { state -> Result<ProviderAnswer, ProviderError>? in
            state.calls.append(call)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let answer else { throw ProviderError(.unavailable, "the test prepared no further answer") }
        return try answer.get()
    }
}

extension PaymentOrder {
    /// An order as the samples show it; every part can be another one.
    static func example(
        payment: String = "pay_01", attempt: String = "INV-2026-000481", amount: Money = Money(5000, .xof), description: String = "Commande 481",
        customer: Customer = Customer(name: "Awa Kone", email: "awa.kone@example.com", phone: "+2250707123456", language: "fr"),
        notifyURL: String = "https://pay.example.com/hooks/cinetpay", returnURL: String = "https://shop.example.com/return/cinetpay",
        method: String? = nil, metadata: [String: String] = [:]
    ) -> PaymentOrder {
        PaymentOrder(
            payment: payment, attempt: attempt, amount: amount, description: description, customer: customer, notifyURL: notifyURL,
            returnURL: returnURL, method: method, metadata: metadata)
    }
}

extension StatusQuestion {
    /// A question by these references alone.
    static func about(_ references: ProviderReference..., unverified: [ProviderReference] = [], amount: Money = Money(5000, .xof)) -> StatusQuestion {
        StatusQuestion(
            payment: "pay_01", attempt: references.first { $0.kind == "ours" }?.value ?? "INV-2026-000481", amount: amount, references: references,
            unverified: unverified)
    }
}

/// The error that a call ends with; nil when it succeeds.
func providerError<Value>(_ body: () async throws -> Value) async -> ProviderError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? ProviderError
    }
}
