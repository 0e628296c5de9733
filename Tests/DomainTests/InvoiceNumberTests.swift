import Database
import EventLoop
import Formats
import Invoicing
import JobQueue
import Money
import Outbox
import Payments
import PrivateFiles
import Telemetry
import TestSupport
import Testing

@Suite("Invoice numbers")
struct InvoiceNumberTests {
    private static let writers = 8
    private static let each = 12

    private func creation(_ database: Database, _ fixture: DomainFixture, _ pool: BlockingPool, slot: Int) -> InvoiceCreation {
        InvoiceCreation(
            database: database, outbox: Outbox(slot: "worker-invoices.\(slot)"),
            files: PrivateFiles(root: fixture.folder.file("private"), pool: pool), pool: pool, render: { Array("%PDF \($0.label)".utf8) })
    }

    private func run(_ creation: InvoiceCreation, _ payment: Payment, job: String? = nil) async throws -> JobOutcome {
        let envelope = DomainFixture.job(
            CreateInvoice.kind, queue: CreateInvoice.queue, payment: payment.id, id: job ?? "job_\(payment.id)")
        return try await creation.run(CreateInvoice(mode: "sandbox"), job: envelope, log: Log()) { DomainFixture.nowMs }
    }

    @Test("eight writers, each with a connection of its own, number without gap or duplicate, even when two take the same payment")
    func gapless() async throws {
        let fixture = try DomainFixture()
        let issuer = try Issuer.example()
        try await fixture.database.write { try issuer.save(nowMs: DomainFixture.nowMs, in: $0) }
        var payments: [Payment] = []
        for number in 0..<Self.writers * Self.each {
            payments.append(try await fixture.payment("order", subject: "o\(number)", amount: Money(11_800, .xof)))
        }
        let pool = BlockingPool(name: "numbers", threads: 4)
        let all = payments
        try await withThrowingTaskGroup(of: Void.self) { group in
            for slot in 0..<Self.writers {
                let database = try fixture.another()
                let creation = creation(database, fixture, pool, slot: slot)
                // Its own share, and a part of its neighbour's under the same job ids.
                let share = (0..<Self.each + 4).map { all[(slot * Self.each + $0) % all.count] }
                group.addTask {
                    for payment in share {
                        let outcome = try await run(creation, payment)
                        #expect(outcome == .done)
                    }
                    await database.close()
                }
            }
            try await group.waitForAll()
        }
        let (faults, numbers, labels) = try await fixture.database.read { connection in
            let rows = try connection.query("SELECT number, label FROM invoicing_invoices ORDER BY number")
            return (try InvoiceStore.verify(in: connection), try rows.map { try $0.int("number") }, try rows.map { try $0.text("label") })
        }
        #expect(faults.isEmpty, "\(faults)")
        #expect(numbers == Array(1...Int64(all.count)))
        #expect(labels.first == "EX-2026-000001")
        pool.close()
    }

    @Test("without an issuer nothing is numbered and the job waits; with one it goes on at number one")
    func noIssuer() async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("order", subject: "o", amount: Money(11_800, .xof))
        let pool = BlockingPool(name: "numbers", threads: 1)
        let creation = creation(fixture.database, fixture, pool, slot: 0)
        guard case .snooze = try await run(creation, payment) else {
            Issue.record("the job does not wait")
            return
        }
        let issuer = try Issuer.example()
        try await fixture.database.write { try issuer.save(nowMs: DomainFixture.nowMs, in: $0) }
        #expect(try await run(creation, payment) == .done)
        let invoice = try #require(try await fixture.database.read { try InvoiceStore.of(payment: payment.id, in: $0) })
        // 18 % within 11 800: the tax is 1 800, and both add up.
        #expect(invoice.number == 1 && invoice.net.minorUnits == 10_000 && invoice.vat.minorUnits == 1800)
        // Another job for the same payment makes no second invoice.
        #expect(try await run(creation, payment, job: "job_other") == .done)
        #expect(try await fixture.database.read { try InvoiceStore.verify(in: $0) }.isEmpty)
        pool.close()
    }

    @Test("an unpaid payment gets no number", arguments: PaymentState.allCases.filter { $0 != .paid })
    func unpaid(state: PaymentState) async throws {
        let fixture = try DomainFixture()
        let issuer = try Issuer.example()
        try await fixture.database.write { try issuer.save(nowMs: DomainFixture.nowMs, in: $0) }
        let payment = try await fixture.payment("order", subject: "o", amount: Money(11_800, .xof), state: state)
        let pool = BlockingPool(name: "numbers", threads: 1)
        #expect(try await run(creation(fixture.database, fixture, pool, slot: 0), payment) == .skipped(reason: "payment is \(state.rawValue)"))
        #expect(try await fixture.database.read { try InvoiceStore.of(payment: payment.id, in: $0) } == nil)
        pool.close()
    }
}
