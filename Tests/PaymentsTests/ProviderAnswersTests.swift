import Database
import Formats
import JobQueue
import Money
import Outbox
import ProviderPort
import TestSupport
import Testing

@testable import Payments

@Suite("Providers' answers are kept as they came, without what must not be kept")
struct ProviderAnswersTests {
    @Test(
        "secrets and numbers of cards are masked, everything else stays to the byte",
        arguments: [
            (#"{"status":"SUCCESS","amount":5000,"transactionId":"T-1"}"#, #"{"status":"SUCCESS","amount":5000,"transactionId":"T-1"}"#),
            (#"{"access_token": "abc\"def","expires_in":"3600"}"#, #"{"access_token": "***","expires_in":"3600"}"#),
            (#"{"notif_token":"x1","order":{"apikey":12345,"note":"token"}}"#, #"{"notif_token":"***","order":{"apikey":"***","note":"token"}}"#),
            ("token=abc&status=ok secret=x", "token=***&status=ok secret=***"),
            (#"{"pan":"4111 1111 1111 1111","ref":"4111111111111112"}"#, #"{"pan":"**** **** **** 1111","ref":"4111111111111112"}"#),
            (#"{"card":4111111111111111,"phone":"22997000000"}"#, #"{"card":************1111,"phone":"22997000000"}"#),
            ("<html>\u{E9}teint</html>", "<html>\u{E9}teint</html>"), (#"{"token":"#, #"{"token":"#), (#"{"token":"open"#, #"{"token":"***""#),
            ("\"", "\""), ("", ""),
        ])
    func masked(body: String, kept: String) {
        #expect(String(decoding: AnswerMask.masked(Array(body.utf8), most: 4096), as: UTF8.self) == kept)
    }

    @Test("no bytes at all make the mask stumble")
    func anyBytes() {
        var generator = SeededGenerator(seed: 9)
        let pieces = ["\"token\"", ":", "\"", "\\", "=", "4111111111111111", " ", "{", "\u{0}", "é", "secret", "&"].map { Array($0.utf8) }
        for _ in 0..<2000 {
            let body = (0..<Int.random(in: 0...12, using: &generator)).flatMap { _ in pieces.randomElement(using: &generator) ?? [] }
            #expect(AnswerMask.masked(body, most: 40).count <= 40)
        }
    }

    /// Asks by one call.
    private struct AskingProvider: PaymentProvider {
        let offer = ProviderOffer([])
        let name = "played"
        let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true)
        func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
        func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { throw ProviderError(.unreadable, "not played") }
        func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
            let answer = try await transport.send(ProviderCall(method: "GET", url: "http://played/", headers: [:], body: []))
            guard answer.status == 200 else { throw ProviderError(.unavailable, "status \(answer.status)") }
            return ProviderNotice(references: [.ours(question.attempt)], claim: .pending)
        }
    }

    private struct Saying: ProviderTransport {
        let status: Int
        let text: String
        func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
            ProviderAnswer(status: status, headers: ["content-type": "application/json"], body: Array(text.utf8))
        }
    }

    @Test("a question's answer is kept, good or bad; of many the first and the latest, each cut where it is long, and all for ninety days")
    func kept() async throws {
        let room = try PaymentsFixture()
        let (payment, attempt) = try await room.payment()
        let events = PaymentEvents(facts: room.facts, providers: ProviderRegistry([(AskingProvider(), "sandbox")]))
        func ask(_ number: Int, _ saying: Saying) async throws {
            let job = JobEnvelope(
                id: "job_\(number)", kind: VerifyPayment.kind, queue: VerifyPayment.queue, args: [:], payment: payment.id, enqueuedAtMs: 0)
            let verification = PaymentVerification(database: room.database, events: events, transport: saying)
            _ = try await verification.run(VerifyPayment(attempt: attempt.id, cause: "\(number)"), job: job, nowMs: { PaymentsFixture.nowMs })
        }
        await #expect(throws: ProviderError.self) { try await ask(0, Saying(status: 503, text: "<html>")) }
        func answers() async throws -> [KeptAnswer] { try await room.database.read { try ProviderAnswers.of(attempt: attempt.id, in: $0) } }
        #expect(try await answers().map(\.status) == [503])
        #expect(try await answers().map { String(decoding: $0.body, as: UTF8.self) } == ["<html>"])
        let long = Saying(status: 503, text: String(repeating: "x", count: 200_000))
        for number in 1...40 { await #expect(throws: ProviderError.self) { try await ask(number, long) } }
        let kept = try await answers()
        #expect(kept.count == 30 && kept.first?.body.count == 6)
        #expect(kept.last?.body.count == ProviderAnswers.bodyMax && kept.last?.size == 200_000)
        let purged = try await room.database.write { try ProviderAnswers.purge(receivedBefore: PaymentsFixture.nowMs + 1, limit: 100, in: $0) }
        #expect(purged == 30)
    }
}
