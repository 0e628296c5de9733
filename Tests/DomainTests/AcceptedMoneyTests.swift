import Database
import Formats
import Invoicing
import JobQueue
import Money
import Notifications
import Outbox
import Payments
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("What a person took as payment is what is invoiced, and what had gone back before is credited")
struct AcceptedMoneyTests {
    private static let nowMs = DomainFixture.nowMs

    /// An order of 5000 that is not paid yet.
    private struct Room: Sendable {
        let room: InvoicingFixture
        let payment: String
        private let facts = PaymentFacts(purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.0"))

        init() async throws {
            room = try await InvoicingFixture(issuers: [try .example()])
            payment = try await room.domain.database.write { connection in
                try PaymentStore.create(
                    NewPayment(
                        purpose: OrderPurpose.name, subject: "order-17", description: "Commande 17", amount: Money(5000, .xof),
                        customer: Customer(name: "Awa", email: "awa@example.org", phone: nil, language: "fr")), actor: "test", nowMs: nowMs,
                    in: connection
                ).id
            }
        }

        func tell(_ claim: ProviderClaim, _ units: Int64? = nil) async throws {
            _ = try await room.domain.database.write { [facts, payment] connection in
                let known = try PaymentStore.require(payment, in: connection)
                let attempt =
                    try PaymentStore.attempts(of: payment, in: connection).last
                    ?? PaymentStore.startAttempt(
                        of: known, provider: "played", mode: "sandbox", method: nil, nowMs: nowMs, in: connection)
                return try facts.record(
                    ProviderNotice(references: [], claim: claim, amount: units.map { Money($0, .xof) }), attempt: attempt,
                    source: .init(actor: "provider:played", reference: "e"), nowMs: nowMs, in: connection)
            }
        }

        /// Staff give a part back.
        func giveBack(_ units: Int64, reason: String) async throws {
            _ = try await room.domain.database.write { [facts, payment] connection in
                let new = Refund.New(
                    payment: payment, amount: Money(units, .xof), reason: reason, providerReference: "R-\(units)", actor: "staff:ana")
                return try Refunds(facts: facts, providers: ProviderRegistry([])).request(new, nowMs: nowMs, in: connection)
            }
        }

        func accept() async throws {
            let state = try await room.domain.database.write { [facts, payment] connection in
                try facts.accept(
                    try PaymentStore.require(payment, in: connection), reason: "r", actor: "staff:ana", nowMs: nowMs, in: connection)
            }
            #expect(state == .paid)
        }

        /// Delivers what waits on the queue of invoices, in the order it was asked for or the other way round.
        func work(latestFirst: Bool = false) async throws {
            let creation = room.creation { Array("%PDF-1.7 \($0.label)".utf8) }
            while let job = try await waiting(latestFirst ? "DESC" : "ASC") {
                if job.kind == CreateInvoice.kind {
                    #expect(try await creation.deliver(job, nowMs: nowMs) == .done)
                } else {
                    _ = try await creation.run(try job.parameters(as: CreateCreditNote.self), job: job, log: Log()) { nowMs }
                }
            }
        }

        private func waiting(_ order: String) async throws -> JobEnvelope? {
            try await room.domain.database.read { connection in
                try connection.first(
                    "SELECT id, kind, args, payment FROM outbox_jobs WHERE queue = $1 AND finished_at IS NULL ORDER BY sequence \(order)",
                    [.text(CreateInvoice.queue)]
                ).map {
                    JobEnvelope(
                        id: try $0.text("id"), kind: try $0.text("kind"), queue: CreateInvoice.queue, args: try JSON(parsing: $0.text("args")),
                        payment: try $0.textOrNil("payment"), enqueuedAtMs: 0)
                }
            }
        }

        func documents() async throws -> [Invoice] {
            try await room.domain.database.read { [payment] in try InvoiceStore.all(of: payment, in: $0) }
        }

        /// What mails of a template name as their amount.
        func mailed(_ template: MessageTemplate) async throws -> [String] {
            try await room.domain.database.read { connection in
                try connection.query("SELECT args FROM outbox_jobs WHERE kind = 'notification.send' ORDER BY sequence").map {
                    try JSON(parsing: $0.text("args"))
                }
            }.filter { $0["template"]?.string == template.rawValue }.compactMap { $0["values"]?["amount"]?.string }
        }
    }

    @Test("money of an expired attempt of which a part goes back before it is accepted: the invoice is whole, and the part is credited once")
    func givenBackBefore() async throws {
        let room = try await Room()
        try await room.tell(.expired)
        try await room.tell(.captured, 5000)
        try await room.giveBack(2000, reason: "article manquant")
        // There is no invoice yet: nothing to credit.
        try await room.work()
        #expect(try await room.documents().isEmpty)
        try await room.accept()
        try await room.work()
        let documents = try await room.documents()
        #expect(documents.map(\.kind) == ["invoice", "credit_note"])
        #expect(documents.map(\.gross.minorUnits) == [5000, 2000])
        #expect(documents.last?.reason == "article manquant" && documents.last?.invoiceLabel == documents.first?.label)
        #expect(try await room.mailed(.creditNote) == [Money(2000, .xof).description])
        // What goes back from now on is credited as ever.
        try await room.giveBack(3000, reason: "le reste")
        try await room.work()
        #expect(try await room.documents().map(\.gross.minorUnits) == [5000, 2000, 3000])
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("the same where the credit note's first job comes only after the invoice: one credit note, one mail")
    func together() async throws {
        let room = try await Room()
        try await room.tell(.captured, 4900)
        try await room.tell(.refunded, 900)
        try await room.accept()
        try await room.work(latestFirst: true)
        #expect(try await room.documents().map(\.gross.minorUnits) == [4900, 900])
        #expect(try await room.mailed(.creditNote).count == 1)
        try await room.tell(.refunded, 1900)
        try await room.work()
        #expect(try await room.documents().map(\.gross.minorUnits) == [4900, 900, 1000])
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("less than owed that was accepted is invoiced as what came, and a full refund credits all of it")
    func underPaid() async throws {
        let room = try await Room()
        try await room.tell(.captured, 4900)
        try await room.accept()
        try await room.work()
        let invoice = try #require(try await room.documents().first)
        #expect(invoice.gross.minorUnits == 4900 && invoice.net.minorUnits + invoice.vat.minorUnits == 4900)
        #expect(try await room.mailed(.invoice) == [Money(4900, .xof).description])
        try await room.giveBack(4900, reason: "annulé")
        try await room.work()
        let notes = try await room.documents().dropFirst()
        #expect(notes.map(\.gross.minorUnits) == [4900] && notes.first?.vat == invoice.vat)
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("more than owed that was accepted is invoiced as what was owed, and a surplus that had gone back is credited by nothing")
    func overPaid() async throws {
        let room = try await Room()
        try await room.tell(.captured, 6000)
        try await room.giveBack(1000, reason: "trop payé")
        try await room.accept()
        try await room.work()
        #expect(try await room.documents().map(\.gross.minorUnits) == [5000])
        #expect(try await room.room.faults().isEmpty)
    }
}
