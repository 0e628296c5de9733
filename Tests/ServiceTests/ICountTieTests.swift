import Database
import Formats
import ICount
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

/// A charge of iCount's names no order: which attempt it pays is decided by where its confirmation code was told.
@Suite("iCount: what a confirmation code pays")
struct ICountTieTests {
    /// Answers every call with one charge of 249.90 ILS.
    private struct OneCharge: ProviderTransport {
        func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
            let charge: JSON = [
                "confirmation_code": "0431877", "cctotal": "249.90", "currency_code": "ILS", "doctype": "invrec", "docnumber": "3006",
            ]
            return ProviderAnswer(status: 200, headers: [:], body: JSON.object(["status": true, "results_list": [charge]]).bytes)
        }
    }

    private struct Books {
        let folder: TemporaryFolder
        let database: Database
        let adapter: ICountProvider
        let events: PaymentEvents
        static let nowMs: Int64 = 1_790_000_000_000

        init() throws {
            folder = try TemporaryFolder()
            database = try Database.open(.sqlite(path: folder.path + "/books.db"))
            _ = try database.migrate([Outbox.migrations, Ledger.migrations, PaymentStore.migrations])
            adapter = try ICountProvider(apiToken: "t", paypageID: "30512", secrets: ["ours"])
            events = PaymentEvents(
                facts: PaymentFacts(purposes: PurposeRegistry([]), outbox: Outbox(slot: "test.0")),
                providers: ProviderRegistry([(adapter, "sandbox")]))
        }

        func attempt(_ subject: String) async throws -> PaymentAttempt {
            try await database.write { connection in
                let payment = try PaymentStore.create(
                    NewPayment(
                        purpose: "shop", subject: subject, description: "A thing", amount: Money(24_990, .ils),
                        customer: Customer(name: "Awa", email: nil, phone: nil, language: "en")), actor: "test", nowMs: Self.nowMs, in: connection)
                return try PaymentStore.startAttempt(
                    of: payment, provider: "icount", mode: "sandbox", method: nil, nowMs: Self.nowMs, in: connection)
            }
        }

        /// Posts the notification of the charge to the address of an attempt, or to the bare one with an echo that names it.
        func tell(_ attempt: PaymentAttempt, id: String, byCapability: Bool) async throws {
            let body = Array("cp=30512&sum=249.90&currency_code=ILS&confirmation_code=0431877&utm_content=\(attempt.id)".utf8)
            let event = ProviderEvent(
                id: id, provider: "icount", mode: "sandbox", trust: byCapability ? .sharedSecret : .unproven, type: "payment.notification",
                timeMs: Self.nowMs, contentType: "application/x-www-form-urlencoded", body: body, headers: "", matchedKey: nil,
                payment: byCapability ? attempt.payment : nil, attemptNumber: byCapability ? attempt.number : nil, target: "/webhooks/icount",
                traceparent: nil)
            let read = ReadEvent(event, providers: events.providers)
            let outcome = try await database.write { [events] in try events.apply(read, nowMs: Self.nowMs, in: $0) }
            #expect(outcome == .verifying)
        }

        func claim(_ attempt: PaymentAttempt) async throws -> ProviderClaim? {
            let question = try await database.read { try StatusQuestion(attempt, in: $0) }
            do throws(ProviderError) {
                return try await adapter.status(of: question, over: OneCharge()).claim
            } catch {
                return error.kind == .notFound ? nil : .failed
            }
        }
    }

    @Test("told to the address made for an attempt it pays that attempt, and no other ever after")
    func once() async throws {
        let books = try Books()
        let (first, second) = (try await books.attempt("a"), try await books.attempt("b"))
        #expect(try await books.claim(first) == nil)
        try await books.tell(first, id: "1", byCapability: true)
        #expect(try await books.claim(first) == .captured)
        try await books.tell(second, id: "2", byCapability: true)
        #expect(try await books.claim(second) == nil)
        #expect(try await books.claim(first) == .captured)
    }

    @Test("told to the bare address it pays nothing, and does not stand in the way of the one it belongs to")
    func bare() async throws {
        let books = try Books()
        let (forged, genuine) = (try await books.attempt("a"), try await books.attempt("b"))
        try await books.tell(forged, id: "1", byCapability: false)
        #expect(try await books.claim(forged) == .unknown)
        try await books.tell(genuine, id: "2", byCapability: true)
        #expect(try await books.claim(genuine) == .captured)
        #expect(try await books.claim(forged) == nil)
    }
}
