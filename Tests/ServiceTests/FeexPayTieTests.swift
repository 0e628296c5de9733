import Database
import FeexPay
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

/// FeexPay knows a payment by its reference, and need not say whose one is: only what it gave us for an attempt is the attempt's.
@Suite("FeexPay: whose a reference is, however often it is asked about")
struct FeexPayTieTests {
    private static let stranger = ProviderReference("reference", "3f2b9c1e-6a84-4d0e-9f57-1c2d3e4f5a6b")

    /// Answers every status call with one success of 5000, and lists nothing.
    private struct OneSuccess: ProviderTransport {
        let callback: String?

        func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
            guard call.url.contains("/status/") else {
                return ProviderAnswer(status: 200, headers: [:], body: JSON.object(["success": true, "data": []]).bytes)
            }
            var record: [(String, JSON)] = [("status", "SUCCESSFUL"), ("reference", .string(FeexPayTieTests.stranger.value)), ("amount", 5000)]
            if let callback { record.append(("callback_info", .string(callback))) }
            return ProviderAnswer(status: 200, headers: [:], body: JSON.object(JSONObject(record)).bytes)
        }
    }

    @Test(
        "a stranger's reference pays nothing at the first question, nor at any later one",
        arguments: [(nil, "unnamed_reference"), ("ANOTHER-1", "foreign_reference")] as [(String?, String)])
    func stranger(_ callback: String?, _ code: String) async throws {
        let nowMs: Int64 = 1_790_000_000_000
        let folder = try TemporaryFolder()
        let database = try Database.open(.sqlite(path: folder.path + "/books.db"))
        _ = try database.migrate([Outbox.migrations, Ledger.migrations, PaymentStore.migrations])
        let adapter = try FeexPayProvider(apiKey: "fp_key", shopID: "shop-1", secrets: ["ours"], nowMs: { nowMs })
        let events = PaymentEvents(
            facts: PaymentFacts(purposes: PurposeRegistry([]), outbox: Outbox(slot: "test.0")),
            providers: ProviderRegistry([(adapter, "sandbox")]))
        let attempt = try await database.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: "shop", subject: "a", description: "A thing", amount: Money(5000, .xof),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr")), actor: "test", nowMs: nowMs - 3_600_000, in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "feexpay", mode: "sandbox", method: nil, nowMs: nowMs - 3_600_000, in: connection)
            try UnverifiedReferences.add(Self.stranger, attempt: attempt, nowMs: nowMs, in: connection)
            return attempt
        }
        let verification = PaymentVerification(database: database, events: events, transport: OneSuccess(callback: callback))
        for number in 1...3 {
            let job = JobEnvelope(
                id: "job_\(number)", kind: VerifyPayment.kind, queue: VerifyPayment.queue,
                args: ["attempt": .string(attempt.id), "cause": .string("\(number)")], payment: attempt.payment, enqueuedAtMs: 0)
            _ = try await verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: { nowMs })
            let (state, known, told) = try await database.read { connection in
                (
                    try PaymentStore.require(attempt.payment, in: connection).state,
                    try PaymentStore.references(of: attempt.id, in: connection),
                    try PaymentStore.requireAttempt(attempt.id, in: connection).errorCode
                )
            }
            #expect(state == .created && known == [.ours(attempt.id)] && told == code, "question \(number)")
        }
    }
}
