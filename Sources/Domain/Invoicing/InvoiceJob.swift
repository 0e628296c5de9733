import Database
import EventLoop
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import PrivateFiles
import Telemetry

/// `invoice.create`: numbers the invoice of a paid payment, makes its PDF, keeps it privately and has it mailed. Paid-only.
public struct CreateInvoice: PaidOnlyParameters {
    public static let kind = "invoice.create"
    public static let queue = "invoices"
    /// `sandbox` or `live`: which issuer and series.
    public let mode: String
    public init(mode: String) { self.mode = mode }

    public static let retry = RetryPolicy.exponential(base: .seconds(2), factor: 2, cap: .seconds(900), jitter: .equal, attemptsMax: 15)

    /// The job for a payment that has just been paid; a payment has one invoice.
    public static func request(for payment: Payment, mode: String) throws -> JobRequest {
        try JobRequest(CreateInvoice(mode: mode), payment: payment.id, unique: "\(kind):\(payment.id)")
    }
}

/// `credit_note.create`: numbers the credit note of what went back of an invoiced payment, makes its PDF, keeps it privately and has it mailed.
public struct CreateCreditNote: JobParameters {
    public static let kind = "credit_note.create"
    public static let queue = CreateInvoice.queue
    public static let retry = CreateInvoice.retry

    public let payment: String
    /// What had gone back of the payment in all, in minor units.
    public let refunded: Int64
    /// The refund that caused it, where it is one of ours.
    public let refund: String?

    public init(payment: String, refunded: Int64, refund: String?) {
        self.payment = payment
        self.refunded = refunded
        self.refund = refund
    }

    /// The job for money that had gone back before its payment was taken and invoiced: the one of that moment found no invoice.
    static func late(for payment: Payment, in connection: Connection) throws -> JobRequest {
        let refunds = try Refund.of(payment: payment.id, in: connection).filter { $0.state == .done }
        // The reason of several would be that of none.
        let refund = refunds.count == 1 ? refunds.first?.id : nil
        return try JobRequest(
            CreateCreditNote(payment: payment.id, refunded: payment.refunded, refund: refund),
            unique: "\(kind):\(payment.id):\(payment.refunded):invoiced")
    }

    /// The job for money that has just gone back. It names no payment, as it is not paid-only.
    public static func request(for payment: Payment, refund: String?) throws -> JobRequest {
        try JobRequest(
            CreateCreditNote(payment: payment.id, refunded: payment.refunded, refund: refund), unique: "\(kind):\(payment.id):\(payment.refunded)")
    }
}

/// Carries out ``CreateInvoice`` in two transactions: the first makes the invoice final under its number, the second enters
/// the file. A crash between them leaves a final invoice whose file the next attempt makes.
public struct InvoiceCreation: Sendable {
    private let database: Database
    private let outbox: Outbox
    private let files: PrivateFiles
    private let pool: BlockingPool
    private let render: @Sendable (Invoice) throws -> [UInt8]

    /// Without an issuer the job comes back this often, without spending an attempt.
    static let issuerWait = Duration.seconds(60)

    /// - Parameter render: makes the PDF; runs on `pool`.
    public init(
        database: Database, outbox: Outbox, files: PrivateFiles, pool: BlockingPool, render: @escaping @Sendable (Invoice) throws -> [UInt8]
    ) {
        self.database = database
        self.outbox = outbox
        self.files = files
        self.pool = pool
        self.render = render
    }

    public func run(_ parameters: CreateInvoice, job: JobEnvelope, log: Log, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let started = nowMs()
        let beginning = try await database.write { [outbox] connection in
            try Self.begin(parameters, job: job, outbox: outbox, nowMs: started, in: connection)
        }
        let invoice: Invoice
        switch beginning {
        case .number(let made): invoice = made
        case .skip(let reason): return .skipped(reason: reason)
        case .finishedBefore: return .done
        case .noIssuer:
            log.warning("no issuer is set: nothing is numbered, the job waits", ["mode": .string(parameters.mode)])
            return .snooze(Self.issuerWait)
        }
        let stored = try await file(of: invoice)
        let finished = nowMs()
        let result = try await database.paidEffect(of: job, nowMs: finished, detail: invoice.label) { [outbox] payment, connection in
            for mail in try SendNotification.invoice(invoice.label, invoice.gross, path: stored.path, for: payment) {
                try outbox.add(mail, nowMs: finished, in: connection)
            }
        }
        if case .done = result { log.info("invoice issued", ["invoice": .string(invoice.label), "bytes": .int(Int64(stored.size))]) }
        return switch result {
        case .done, .finishedBefore: .done
        case .skipped(let reason): .skipped(reason: reason)
        }
    }

    /// Makes the file of a final document and enters it: the number is taken, so the file belongs to it whatever has become of the payment
    /// meanwhile; only the mail depends on that.
    private func file(of invoice: Invoice) async throws -> StoredFile {
        let document = try await pool.run { [render] in try render(invoice) }
        let stored = try await files.write(document, to: "invoices/\(invoice.year)/\(invoice.label).pdf")
        try await database.write { connection in
            try InvoiceStore.attach(path: stored.path, sha256: stored.sha256Hex, size: Int64(stored.size), to: invoice.id, in: connection)
        }
        return stored
    }

    /// A credit note, in the same two transactions.
    public func run(_ parameters: CreateCreditNote, job: JobEnvelope, log: Log, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let started = nowMs()
        let (note, payment) = try await database.write { connection -> (Invoice?, Payment?) in
            if try Outbox.isFinished(job.id, in: connection) { return (nil, nil) }
            let payment = try PaymentStore.require(parameters.payment, in: connection)
            let reason = try parameters.refund.flatMap { try Refund.find($0, in: connection)?.reason }
            let note = try InvoiceStore.credit(payment, refunded: parameters.refunded, reason: reason, nowMs: started, in: connection)
            if note == nil { _ = try Outbox.finish(job, as: .skipped, detail: Self.nothingToCredit, nowMs: started, in: connection) }
            return (note, payment)
        }
        guard let payment else { return .done }
        guard let note else { return .skipped(reason: Self.nothingToCredit) }
        let stored = try await file(of: note)
        let finished = nowMs()
        let isNew = try await database.write { [outbox] connection in
            guard try Outbox.finish(job, as: .done, detail: note.label, nowMs: finished, in: connection) else { return false }
            for mail in try SendNotification.creditNote(note.label, note.gross, of: note.invoiceLabel ?? "", path: stored.path, for: payment) {
                try outbox.add(mail, nowMs: finished, in: connection)
            }
            return true
        }
        if isNew { log.info("credit note issued", ["invoice": .string(note.label), "bytes": .int(Int64(stored.size))]) }
        return .done
    }

    private static let nothingToCredit = "nothing that was invoiced has gone back"

    private enum Beginning: Sendable {
        case number(Invoice)
        case skip(String)
        case finishedBefore
        case noIssuer
    }

    private static func begin(
        _ parameters: CreateInvoice, job: JobEnvelope, outbox: Outbox, nowMs: Int64, in connection: Connection
    ) throws -> Beginning {
        if try Outbox.isFinished(job.id, in: connection) { return .finishedBefore }
        let payment = try PaymentStore.require(job.payment ?? "", in: connection)
        guard payment.state.allowsPaidWork else {
            let reason = payment.state.skipReason
            _ = try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection)
            return .skip(reason)
        }
        do {
            let isNew = try InvoiceStore.of(payment: payment.id, in: connection) == nil
            let invoice = try InvoiceStore.finalise(payment, mode: parameters.mode, nowMs: nowMs, in: connection)
            if isNew && payment.refunded > 0 { try outbox.add(try CreateCreditNote.late(for: payment, in: connection), nowMs: nowMs, in: connection) }
            return .number(invoice)
        } catch InvoicingError.noIssuer {
            return .noIssuer
        }
    }
}
