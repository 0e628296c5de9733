import Database
import Drafts
import Formats
import JobQueue
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("An inquiry from the form to its paid order")
struct InquiryTests {
    @Test("taking it enters inquiry, order and payment at the product's price and starts nothing")
    func creation() async throws {
        try await DraftingFixture.with { room in
            let (inquiry, order, id) = try await room.inquiry()
            #expect(inquiry.paymentStatus == "CREATED" && inquiry.state == .inquiryReceived && inquiry.failure == nil)
            #expect(inquiry.documentsCount == 7 && inquiry.language == "fr" && inquiry.texts["sector"] == "sector: œuvre & <b>{{ email }}</b>")
            #expect(order.price == Money(12_500, .xof) && order.product == "audit-sans-peur" && order.payment == id && order.paidAtMs == nil)
            let (payment, jobs) = try await room.domain.database.read { connection in
                (try PaymentStore.require(id, in: connection), try connection.query("SELECT id FROM outbox_jobs").count)
            }
            #expect(payment.state == .created && payment.amount == Money(12_500, .xof) && payment.purpose == "kit" && payment.subject == inquiry.id)
            #expect(payment.metadata == ["order_id": order.id, "inquiry_id": inquiry.id])
            #expect(payment.customer.email == "eve+kit@example.org" && payment.customer.phone == "+2250707123456")
            #expect(payment.description == "Kit Complet - Audit sans peur")
            #expect(jobs == 0)
            #expect(try await room.calls() == 0)
        }
    }

    @Test("the price is that of the product's row when the inquiry is taken, and stays")
    func price() async throws {
        try await DraftingFixture.with { room in
            let (_, before, _) = try await room.inquiry()
            try await room.domain.database.write { try $0.execute("UPDATE drafts_products SET price = 15000") }
            let (_, after, payment) = try await room.inquiry(["language": "en"])
            #expect(before.price == Money(12_500, .xof) && after.price == Money(15_000, .xof))
            let owed = try await room.domain.database.read { try PaymentStore.require(payment, in: $0) }
            #expect(owed.amount == Money(15_000, .xof) && owed.description == "Complete kit - Audit without fear")
        }
    }

    @Test(
        "it is found by a part of a name however it is written, accents too, and by whole ids",
        arguments: [
            ("École", true), ("école", true), ("ÉCOLE", true), ("école élé", true), ("COLE", true), ("Awa Koné", true), ("KONÉ", true),
            ("eve+KIT", true), ("lycée", false), ("%", false), ("_", false),
        ])
    func search(text: String, isFound: Bool) async throws {
        try await DraftingFixture.with { room in
            let (inquiry, order, payment) = try await room.inquiry(["organization_name": "École Élémentaire", "contact_name": "Awa Koné"])
            func found(_ text: String) async throws -> [String] {
                try await room.domain.database.read { try InquiryStore.list(InquiryFilter(text: text), in: $0).map(\.id) }
            }
            #expect(try await found(text) == (isFound ? [inquiry.id] : []))
            for id in [inquiry.id, order.id, payment, " "] { #expect(try await found(id) == [inquiry.id]) }
        }
    }

    @Test("without the product nothing is entered")
    func noProduct() async throws {
        let fixture = try DomainFixture()
        let form = try InquiryForm(fields: DraftingFixture.fields)
        await #expect(throws: InquiryError.noProduct("elsewhere")) {
            _ = try await fixture.database.write {
                try InquiryStore.create(form, productSlug: "elsewhere", actor: "test", nowMs: DomainFixture.nowMs, in: $0)
            }
        }
        #expect(try await fixture.database.read { try $0.query("SELECT id FROM payments_payments").count } == 0)
    }

    @Test("it is pending while the customer pays, and paid once the money is there, with its three jobs, once")
    func states() async throws {
        try await DraftingFixture.with { room in
            let (inquiry, _, payment) = try await room.inquiry()
            try await room.domain.database.write { try InquiryStore.markPending(inquiry.id, nowMs: 1, in: $0) }
            try await room.domain.tell(.pending, of: payment)
            var now = try await room.found(inquiry.id)
            #expect(now.paymentStatus == "PENDING" && now.state == .inquiryReceived)
            for _ in 0..<3 { try await room.domain.tell(.captured, of: payment) }
            now = try await room.found(inquiry.id)
            #expect(now.paymentStatus == "PAID" && now.state == .paid)
            // Pressing the button once more takes nothing back.
            try await room.domain.database.write { try InquiryStore.markPending(inquiry.id, nowMs: 2, in: $0) }
            #expect(try await room.found(inquiry.id).paymentStatus == "PAID")
            let (jobs, order) = try await room.domain.database.read { connection in
                (try JobRecord.of(payment: payment, in: connection), try InquiryStore.requireOrder(of: inquiry.id, in: connection))
            }
            #expect(jobs.map(\.kind) == ["draft.generate", "invoice.create", "notification.send"])
            #expect(order.paidAtMs == DomainFixture.nowMs)
        }
    }

    @Test("an inquiry that does not exist is said to be so")
    func notFound() async throws {
        let fixture = try DomainFixture()
        await #expect(throws: InquiryError.notFound("inq_none")) {
            _ = try await fixture.database.read { try InquiryStore.require("inq_none", in: $0) }
        }
    }
}
