import Database
import Drafts
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("What the kit promises by name")
struct KitRulesTests {
    @Test("the kit's states are the seed's, in its order, and the draft's failure beside them")
    func states() {
        #expect(
            ProcessingState.allCases.map(\.rawValue)
                == ["INQUIRY_RECEIVED", "PAID", "IA_RUNNING", "DRAFT_DONE", "DRAFT_FAILED", "FINAL_UPLOADED", "PUBLISHED"])
    }

    @Test("a draft that fails is tried again after exponentially longer times, none longer than 900 s, and not for ever")
    func retries() {
        let policy = GenerateDraft.retry
        // Half of each delay is chance: the longest that it can be.
        let longest = (1...20).map { policy.delay(afterAttempt: $0, random: 1) }
        #expect(Array(longest.prefix(8)) == [5, 10, 20, 40, 80, 160, 320, 640].map { .seconds($0) })
        #expect(longest.compactMap { $0 }.allSatisfy { $0 <= .seconds(900) } && longest.contains(.seconds(900)))
        #expect(longest.last == .some(nil), "it is buried in the end")
        for attempt in 1...11 { #expect((policy.delay(afterAttempt: attempt, random: 0) ?? .zero) >= .milliseconds(2500)) }
    }

    @Test("a line of the log about a kit's payment carries inquiry_id, order_id, provider and provider_ref, and no name or address")
    func logLines() async throws {
        try await DraftingFixture.with { room in
            let (inquiry, order, id) = try await room.inquiry()
            let capture = LogCapture()
            let facts = PaymentFacts(
                purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.0"), log: Log("payments", destination: capture))
            let attempt = try await room.domain.database.write { connection in
                let payment = try PaymentStore.require(id, in: connection)
                let attempt = try PaymentStore.startAttempt(
                    of: payment, provider: "cinetpay", mode: "sandbox", method: nil, nowMs: DomainFixture.nowMs, in: connection)
                _ = try facts.record(
                    ProviderNotice(references: [], claim: .captured, amount: payment.amount), attempt: attempt,
                    source: PaymentFacts.Source(actor: "provider:cinetpay", reference: "test"), nowMs: DomainFixture.nowMs, in: connection)
                return attempt.id
            }
            let moved = try #require(capture.lines.last { $0.contains("payment moved") })
            let line = try JSON(parsing: Array(moved.utf8))
            #expect(line["inquiry_id"]?.string == inquiry.id && line["order_id"]?.string == order.id)
            #expect(line["provider"]?.string == "cinetpay" && line["provider_ref"]?.string == attempt)
            #expect(line["to"]?.string == "paid")
            for written in capture.lines { #expect(!written.contains("eve+kit") && !written.contains("N'Diaye") && !written.contains("+22507")) }
        }
    }

    @Test("a paid kit tells its customer by mail, once, in their language, with what was paid", arguments: ["fr", "en"])
    func confirmation(language: String) async throws {
        try await DraftingFixture.with { room in
            let (_, payment, _) = try await room.paidInquiry(["language": language])
            let jobs = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.filter { $0.kind == SendNotification.kind }
            #expect(jobs.count == 1)
            let job = try await room.domain.delivered(SendNotification.kind, of: payment)
            #expect(job.args["template"]?.string == MessageTemplate.paymentConfirmed.rawValue)
            #expect(job.args["language"]?.string == language)
            var values: [String: String] = [:]
            for value in job.args["values"]?.object ?? [:] { values[value.key] = value.value.string }
            let message = try RenderedMessage(.paymentConfirmed, language: language, values: values)
            #expect(message.text.contains("12") && message.text.contains("XOF") && message.text.contains(payment))
        }
    }
}
