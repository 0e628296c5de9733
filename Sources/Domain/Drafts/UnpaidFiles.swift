import Database
import Formats
import JobQueue
import ObjectStorage
import Outbox
import Payments
import Telemetry

/// Takes away the files of inquiries that nobody paid for, and objects that nothing leads to.
///
/// Rows go first, in one transaction that reads the payment anew and notes what is to be taken away: whoever pays before it keeps everything.
/// The objects follow. Where the process ends in between, the next run goes on by the notes; what was left by an upload that was broken off is
/// found by listing. So nothing is lost that was paid for, and nothing stays for good.
public struct UnpaidFiles: Sendable {
    /// Where files that come with a form are kept.
    public static let folder = "attachments"
    /// An object without a row is left alone so long after it was first found so: time to put a mistaken restore right.
    public static let orphanAgeMs: Int64 = 7 * 86_400_000
    /// An object so young may get its row yet: no form takes so long.
    public static let formAgeMs: Int64 = 86_400_000
    /// So many without a row are never too many.
    public static let straysMax = 20
    /// More of them than one in so many objects are.
    public static let straysShare = 10

    /// What a run came to.
    public struct Outcome: Sendable, Equatable {
        public internal(set) var inquiries = 0
        public internal(set) var files = 0
        public internal(set) var bytes: Int64 = 0
        public internal(set) var orphans = 0
        /// Objects that an earlier run did not come to.
        public internal(set) var left = 0
        /// Objects that the storage refused to take away for good.
        public internal(set) var refused = 0
        /// Why nothing was removed of what nothing led to.
        public internal(set) var doubt: String?

        public init() {}

        public var detail: String {
            var parts = ["\(files) files of \(inquiries) unpaid inquiries removed, \(bytes >> 20) MiB", "\(orphans) objects that nothing led to"]
            if left > 0 { parts.append("\(left) that were left before") }
            if refused > 0 { parts.append("\(refused) that the storage refuses to remove") }
            if let doubt { parts.append("nothing else was swept: \(doubt)") }
            return parts.joined(separator: "; ")
        }
    }

    let database: Database
    let storage: any ObjectStorage
    private let keepDays: Int
    let log: Log

    /// - Parameter keepDays: how long an inquiry's files wait for its payment.
    public init(database: Database, storage: any ObjectStorage, keepDays: Int, log: Log) {
        self.database = database
        self.storage = storage
        self.keepDays = keepDays
        self.log = log
        // There from the start: an increase is seen only of what was there before.
        _ = (Self.purged, Self.purgedBytes, Self.orphaned, Self.refusedSweeps)
    }

    /// Inquiries looked at in one reading, and objects in one question.
    static let pageMax = 500
    /// Objects of one listing: a folder's names are read and sorted for each; a service gives as many as it likes.
    static let listedMax = 20_000
    /// Objects that one audit row has room to name.
    static let namedMax = 20
    /// Objects that may be refused before the storage is taken for one that takes nothing away.
    static let refusedMax = 20
    /// Inquiries and orphans of one run: what is left is the next one's.
    static let runMax = 20_000

    /// Carries out the job.
    public func run(_ context: JobContext, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let outcome = try await run(nowMs: nowMs())
        let finishedMs = nowMs()
        _ = try await database.write { try Outbox.finish(context.job, as: .done, detail: outcome.detail, nowMs: finishedMs, in: $0) }
        return .done
    }

    /// Goes through all of them. It may be broken off anywhere and run again, and several may run at once.
    public func run(nowMs: Int64) async throws -> Outcome {
        var outcome = Outcome()
        try await removeLeft(&outcome)
        try await purge(nowMs: nowMs, &outcome)
        try await sweep(nowMs: nowMs, &outcome)
        return outcome
    }

    // MARK: Unpaid

    private func purge(nowMs: Int64, _ outcome: inout Outcome) async throws {
        let cutoffMs = nowMs - Int64(keepDays) * 86_400_000
        var after = ""
        while outcome.inquiries < Self.runMax {
            let from = after
            let page = try await database.read { try Self.candidates(after: from, createdBefore: cutoffMs, in: $0) }
            guard let last = page.last else { return }
            after = last
            for inquiry in page { try await purge(inquiry, cutoffMs: cutoffMs, nowMs: nowMs, &outcome) }
        }
    }

    private func purge(_ inquiry: String, cutoffMs: Int64, nowMs: Int64, _ outcome: inout Outcome) async throws {
        try Task.checkCancellation()
        let reason = "no payment within \(keepDays) days"
        let files = try await database.write { try Self.release(inquiry, unpaidSince: cutoffMs, reason: reason, nowMs: nowMs, in: $0) }
        guard !files.isEmpty else { return }
        let bytes = files.reduce(0) { $0 + $1.size }
        outcome.inquiries += 1
        outcome.files += files.count
        outcome.bytes += bytes
        Self.purged.add(Int64(files.count))
        Self.purgedBytes.add(bytes)
        log.info(
            "files of an unpaid inquiry removed",
            ["inquiry_id": .string(inquiry), "files": .int(Int64(files.count)), "bytes": .int(bytes)])
        try await remove(files.map(\.path), &outcome)
    }

    /// Inquiries with files that may have waited too long, by id; money is looked at where each is decided.
    static func candidates(after: String, createdBefore cutoffMs: Int64, in connection: Connection) throws -> [String] {
        try connection.query(
            """
            SELECT DISTINCT a.inquiry AS inquiry FROM drafts_attachments a JOIN drafts_inquiries i ON i.id = a.inquiry
            WHERE a.inquiry > $1 AND i.processing_state = 'INQUIRY_RECEIVED' AND i.created_at < $2 ORDER BY a.inquiry LIMIT $3
            """, [.text(after), .integer(cutoffMs), .int(pageMax)]
        ).map { try $0.text("inquiry") }
    }

    /// Removes the rows of an inquiry's files, with an audit row, unless it is paid for or something happened to its payment lately.
    /// - Returns: the files that nothing leads to from now on; none when they stay.
    static func release(
        _ inquiry: String, unpaidSince cutoffMs: Int64, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> [InquiryAttachment] {
        guard try isForsaken(inquiry, since: cutoffMs, in: connection) else { return [] }
        let files = try InquiryAttachment.of(inquiry: inquiry, in: connection)
        guard !files.isEmpty else { return [] }
        try connection.execute("DELETE FROM drafts_attachments WHERE inquiry = $1", [.text(inquiry)])
        try StrayObjects.release(files.map(\.path), nowMs: nowMs, in: connection)
        // Their names are the customer's: the trail stays for good, and is to say nothing about anybody.
        try InquiryAudit.record(
            .attachmentsPurged, inquiry: inquiry, actor: "system", reason: reason,
            detail: files.map { "\($0.kind.rawValue) (\($0.size) bytes, \($0.sha256.prefix(16)))" }.joined(separator: "; "), nowMs: nowMs,
            in: connection)
        return files
    }

    /// Whether no money was ever seen of an inquiry, and nothing moved since `cutoffMs` that could bring some.
    private static func isForsaken(_ inquiry: String, since cutoffMs: Int64, in connection: Connection) throws -> Bool {
        guard let found = try InquiryStore.find(inquiry, in: connection), found.state == .inquiryReceived, found.paymentStatus != "PAID",
            found.createdAtMs < cutoffMs
        else { return false }
        // What cannot be looked up is kept, and stops nothing else.
        let order: Order
        do { order = try InquiryStore.requireOrder(of: inquiry, in: connection) } catch is InquiryError { return false }
        guard let payment = try PaymentStore.find(order.payment, in: connection) else { return false }
        guard order.paidAtMs == nil, payment.paidAtMs == nil, payment.captured == 0, payment.refunded == 0, payment.updatedAtMs < cutoffMs,
            [.created, .pending, .processing, .failed, .cancelled, .expired].contains(payment.state)
        else { return false }
        return try PaymentStore.attempts(of: payment.id, in: connection).allSatisfy {
            $0.createdAtMs < cutoffMs && $0.webhookReceivedAtMs ?? 0 < cutoffMs && $0.expiresAtMs ?? 0 < cutoffMs
        }
    }

    // MARK: Objects

    /// Takes away what an earlier run had released and did not come to.
    private func removeLeft(_ outcome: inout Outcome) async throws {
        var after = ""
        while true {
            let from = after
            let page = try await database.read { try StrayObjects.released(after: from, limit: Self.pageMax, in: $0) }
            guard let last = page.last else { return }
            after = last
            let refused = outcome.refused
            try await remove(page, &outcome)
            outcome.left += page.count - (outcome.refused - refused)
        }
    }

    /// Takes released objects away and forgets them. One that the storage refuses stays released, and stops none of the others.
    func remove(_ paths: [String], _ outcome: inout Outcome) async throws {
        var gone: [String] = []
        do {
            for path in paths {
                try Task.checkCancellation()
                do throws(ObjectStorageError) {
                    try await storage.delete(path)
                    gone.append(path)
                } catch {
                    outcome.refused += 1
                    guard error.code != .cancelled, !error.isTransient, outcome.refused < Self.refusedMax else { throw error }
                    log.error("an object could not be removed", ["path": .string(path), "error": .string(error.message)])
                }
            }
        } catch {
            // What is not forgotten now is taken away once more.
            try? await forget(gone)
            throw error
        }
        try await forget(gone)
    }

    private func forget(_ paths: [String]) async throws {
        guard !paths.isEmpty else { return }
        try await database.write { try StrayObjects.forget(paths, in: $0) }
    }

    // MARK: How much there is

    /// Bytes of all files that came with inquiries nobody has paid for.
    public static func bytes(in connection: Connection) throws -> Int64 {
        let row = try connection.first("SELECT bytes FROM drafts_unpaid")
        return try row?.int("bytes") ?? 0
    }

    private static let purged = MetricRegistry.shared.counter(
        "attachments_purged_total", help: "Files of unpaid inquiries that were removed when their time was over.")
    private static let purgedBytes = MetricRegistry.shared.counter(
        "attachments_purged_bytes_total", help: "Bytes of files of unpaid inquiries that were removed.")
    static let orphaned = MetricRegistry.shared.counter(
        "attachments_orphaned_total", help: "Objects of attachments that no row led to and that were removed.")
    static let refusedSweeps = MetricRegistry.shared.counter(
        "attachments_sweeps_refused_total", help: "Sweeps that removed nothing because too much was led to by nothing.")
}

/// `attachments.purge`: removes what ``UnpaidFiles`` says. The scheduler's entry adds it, worker-drafts carries it out, which has the files.
public struct PurgeAttachments: JobParameters {
    public static let kind = "attachments.purge"
    public static let queue = GenerateDraft.queue
    /// Such as `2026-11-21T02:25Z`.
    public let tick: String

    public init(tick: String) { self.tick = tick }

    /// A storage that is away is asked again for some hours; the next tick is not long after.
    public static let retry = RetryPolicy.exponential(base: .seconds(30), factor: 3, cap: .seconds(900), jitter: .equal, attemptsMax: 8)
    /// What an attempt may take. What it did stays done.
    public static let timeout = Duration.seconds(30 * 60)

    public func request() throws -> JobRequest { try JobRequest(self, unique: "\(Self.kind):\(tick)") }
}
