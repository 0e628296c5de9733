import Database
import Drafts
import EventLoop
import Formats
import HTTPClient
import JobQueue
import ObjectStorage
import Payments
import ProviderPort
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing

/// A storage that goes away, or has something happen, at a deletion.
struct EventfulStorage: ObjectStorage {
    let base: any ObjectStorage
    /// Gets the number of the deletion, from 1, before it is carried out.
    let beforeDelete: @Sendable (Int) async throws(ObjectStorageError) -> Void
    private let count = DeletionCount()

    private final class DeletionCount: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }

    init(_ base: any ObjectStorage, beforeDelete: @escaping @Sendable (Int) async throws(ObjectStorageError) -> Void) {
        self.base = base
        self.beforeDelete = beforeDelete
    }

    var kind: String { base.kind }
    var linkOrigin: String? { base.linkOrigin }
    func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter { try await base.begin(key, type: type) }
    func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8] { try await base.read(key, limit: limit) }
    func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending {
        try await base.open(key, as: presentation)
    }
    func size(_ key: String) async throws(ObjectStorageError) -> Int64? { try await base.size(key) }
    func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject] {
        try await base.list(folder, after: after, limit: limit)
    }
    func delete(_ key: String) async throws(ObjectStorageError) {
        try await beforeDelete(count.next())
        try await base.delete(key)
    }
}

/// An inquiry with files that are really there.
private struct Handed: Sendable {
    let id: String
    let payment: String
    let keys: [String]
}

@Suite("Files of inquiries that nobody paid for", .timeLimit(.minutes(3)))
struct UnpaidFilesTests {
    private static let dayMs: Int64 = 86_400_000
    /// Objects bear the true time, so the run's own must go by it: far enough ahead that nothing is too young to be an orphan.
    private static let nowMs = WallClock.nowMs + 60 * dayMs
    private static let keepDays = 30

    private func unpaid(_ room: DraftingFixture, _ storage: (any ObjectStorage)? = nil) -> UnpaidFiles {
        UnpaidFiles(database: room.domain.database, storage: storage ?? room.storage, keepDays: Self.keepDays, log: Log())
    }

    private func inquiry(
        _ room: DraftingFixture, files count: Int = 2, daysAgo: Int64 = 31, storage: (any ObjectStorage)? = nil
    ) async throws -> Handed {
        var files: [CheckedFile] = []
        for number in 0..<count {
            files.append(
                try await FileIntake.take(
                    FileIntakeTests.pdf, to: storage ?? room.storage, folder: UnpaidFiles.folder, name: "papier \(number).pdf", rules: .attachment))
        }
        let form = try InquiryForm(fields: DraftingFixture.fields)
        let made = try await room.domain.database.write { [files] in
            try InquiryStore.create(form, files: files, actor: "test", nowMs: Self.nowMs - daysAgo * Self.dayMs, in: $0)
        }
        return Handed(id: made.0.id, payment: made.2.id, keys: files.map(\.path))
    }

    private func rows(_ room: DraftingFixture, _ inquiry: String) async throws -> [String] {
        try await room.domain.database.read { try InquiryAttachment.of(inquiry: inquiry, in: $0).map(\.path) }
    }

    private func objects(_ storage: any ObjectStorage) async throws -> Set<String> {
        Set(try await storage.list(UnpaidFiles.folder, after: nil, limit: 1000).map(\.key))
    }

    private func trail(_ room: DraftingFixture, _ inquiry: String) async throws -> [InquiryAudit] {
        try await room.domain.database.read { try InquiryAudit.of(inquiry: inquiry, in: $0) }
    }

    // MARK: What goes, what stays

    private func purges(_ room: DraftingFixture, _ storage: any ObjectStorage) async throws {
        let old = try await inquiry(room, files: 3, storage: storage)
        let young = try await inquiry(room, daysAgo: 29, storage: storage)
        let paid = try await inquiry(room, storage: storage)
        _ = try await room.domain.tell(.captured, of: paid.payment, nowMs: Self.nowMs - 31 * Self.dayMs)
        let size = Int64(FileIntakeTests.pdf.count)
        #expect(try await room.domain.database.read { try UnpaidFiles.bytes(in: $0) } == 5 * size, "what is paid for does not count")

        let outcome = try await unpaid(room, storage).run(nowMs: Self.nowMs)
        #expect(outcome.inquiries == 1 && outcome.files == 3 && outcome.bytes == 3 * size && outcome.orphans == 0)
        #expect(try await rows(room, old.id).isEmpty)
        for one in [young, paid] { #expect(try await rows(room, one.id) == one.keys) }
        #expect(try await objects(storage) == Set(young.keys + paid.keys))
        let trail = try await trail(room, old.id)
        #expect(trail.map(\.action) == ["attachments_purged"] && trail[0].actor == "system" && trail[0].reason == "no payment within 30 days")
        #expect(trail[0].detail?.hasPrefix("pdf (\(size) bytes, ") == true)
        #expect(trail[0].detail?.contains("papier") == false, "the trail stays for good: it names no file as the customer did")
        // The inquiry itself stays, and can be paid for; its files' number is what the customer handed in.
        #expect(try await room.found(old.id).state == .inquiryReceived)
        // A second run finds nothing to do, and writes nothing.
        #expect(try await unpaid(room, storage).run(nowMs: Self.nowMs) == UnpaidFiles.Outcome())
        #expect(try await self.trail(room, old.id).count == 1)
    }

    @Test("go when their time is over, rows and objects, with one audit row; those of young and of paid inquiries stay")
    func local() async throws {
        try await DraftingFixture.with { room in try await purges(room, room.storage) }
    }

    @Test("go from a bucket as they do from a folder")
    func bucket() async throws {
        try await DraftingFixture.with { room in
            let server = try await S3Server.start()
            let client = HTTPClient(loop: try EventLoop.started(name: "s3"))
            let storage = S3Storage(server, prefix: "shop/", client)
            try await purges(room, storage)
            // Another installation's objects in the same bucket are nobody's business.
            try await S3Storage(server, prefix: "other/", client).put([1], key: "attachments/theirs", type: "x/y")
            #expect(try await unpaid(room, storage).run(nowMs: Self.nowMs).orphans == 0)
            withExtendedLifetime(server) {}
        }
    }

    @Test(
        "stay for good once money was seen, whatever became of it", arguments: PaymentState.allCases)
    func seen(state: PaymentState) async throws {
        try await DraftingFixture.with { room in
            let handed = try await inquiry(room)
            try await room.domain.database.write {
                try $0.execute("UPDATE payments_payments SET state = $2 WHERE id = $1", [.text(handed.payment), .text(state.rawValue)])
            }
            let unseen: Set<PaymentState> = [.created, .pending, .processing, .failed, .cancelled, .expired]
            #expect(try await unpaid(room).run(nowMs: Self.nowMs).files == (unseen.contains(state) ? 2 : 0))
            #expect(try await rows(room, handed.id).isEmpty == unseen.contains(state))
        }
    }

    @Test(
        "stay while something that could bring money is young: the payment moved, an attempt began, a notice came",
        arguments: [
            "UPDATE payments_payments SET updated_at = $2 WHERE id = $1", "UPDATE payments_attempts SET created_at = $2 WHERE payment = $1",
            "UPDATE payments_attempts SET webhook_received_at = $2 WHERE payment = $1",
            "UPDATE payments_attempts SET expires_at = $2 WHERE payment = $1",
        ])
    func moving(change: String) async throws {
        try await DraftingFixture.with { room in
            let handed = try await inquiry(room)
            let old = Self.nowMs - 31 * Self.dayMs
            try await room.domain.database.write { connection in
                let payment = try PaymentStore.require(handed.payment, in: connection)
                _ = try PaymentStore.startAttempt(of: payment, provider: "played", mode: "sandbox", method: nil, nowMs: old, in: connection)
                try connection.execute("UPDATE payments_payments SET updated_at = $2 WHERE id = $1", [.text(payment.id), .integer(old)])
                try connection.execute(change, [.text(payment.id), .integer(Self.nowMs - 29 * Self.dayMs)])
            }
            #expect(try await unpaid(room).run(nowMs: Self.nowMs).files == 0)
            #expect(try await unpaid(room).run(nowMs: Self.nowMs + 2 * Self.dayMs).files == 2, "a start that came to nothing keeps nothing for good")
        }
    }

    // MARK: In between

    @Test("a payment that comes while the files of others go wins: everything of its inquiry stays")
    func paidMeanwhile() async throws {
        try await DraftingFixture.with { room in
            let (first, second) = (try await inquiry(room, daysAgo: 40), try await inquiry(room, daysAgo: 35))
            // Both are on the list by the time the first file of the first goes.
            let storage = EventfulStorage(room.storage) { number throws(ObjectStorageError) in
                guard number == 1 else { return }
                do { _ = try await room.domain.tell(.captured, of: second.payment, nowMs: Self.nowMs) } catch {
                    throw ObjectStorageError(code: .unavailable, message: "\(error)", isTransient: false)
                }
            }
            #expect(try await unpaid(room, storage).run(nowMs: Self.nowMs).inquiries == 1)
            #expect(try await rows(room, first.id).isEmpty)
            #expect(try await rows(room, second.id) == second.keys)
            #expect(try await room.found(second.id).state == .paid)
            #expect(try await objects(room.storage) == Set(second.keys))
        }
    }

    @Test("payments and purges at once: no inquiry is left with a row and no object, and each is either whole or gone")
    func race() async throws {
        try await DraftingFixture.with { room in
            var handed: [Handed] = []
            for _ in 0..<12 { handed.append(try await inquiry(room)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for one in handed.suffix(6) { group.addTask { _ = try await room.domain.tell(.captured, of: one.payment, nowMs: Self.nowMs) } }
                for _ in 0..<3 { group.addTask { _ = try await unpaid(room).run(nowMs: Self.nowMs) } }
                try await group.waitForAll()
            }
            let left = try await objects(room.storage)
            for one in handed {
                let rows = try await rows(room, one.id)
                #expect(rows.isEmpty || rows == one.keys)
                #expect(Set(one.keys).intersection(left) == Set(rows))
                #expect(try await trail(room, one.id).map(\.action) == (rows.isEmpty ? ["attachments_purged"] : []))
            }
            for one in handed.prefix(6) { #expect(try await rows(room, one.id).isEmpty) }
        }
    }

    @Test("a process that dies at any file leaves rows and objects that the next run finds: nothing stays for good", arguments: 1...4)
    func dies(at step: Int) async throws {
        try await DraftingFixture.with { room in
            let (first, second) = (try await inquiry(room, daysAgo: 40), try await inquiry(room, daysAgo: 35))
            let paid = try await inquiry(room, daysAgo: 50)
            _ = try await room.domain.tell(.captured, of: paid.payment, nowMs: Self.nowMs)
            let storage = EventfulStorage(room.storage) { number throws(ObjectStorageError) in
                if number >= step { throw ObjectStorageError(code: .unavailable, message: "away", isTransient: true) }
            }
            await #expect(throws: ObjectStorageError.self) { try await unpaid(room, storage).run(nowMs: Self.nowMs) }
            // What has a row has its object.
            let left = try await objects(room.storage)
            for one in [first, second, paid] { #expect(Set(try await rows(room, one.id)).isSubset(of: left)) }
            let rest = left.count - paid.keys.count
            #expect(rest == 4 - (step - 1))
            let outcome = try await unpaid(room).run(nowMs: Self.nowMs)
            #expect(outcome.files + outcome.left == rest && outcome.orphans == 0, "what was noted needs no listing, and no week")
            #expect(try await objects(room.storage) == Set(paid.keys))
            #expect(try await trail(room, first.id).map(\.action) == ["attachments_purged"])
            #expect(try await trail(room, second.id).map(\.action) == ["attachments_purged"])
        }
    }

    @Test("an object that the storage refuses to remove stops none of the others, and is tried again; a storage that refuses all is an error")
    func refused() async throws {
        try await DraftingFixture.with { room in
            let handed = try await inquiry(room, files: 3)
            let storage = EventfulStorage(room.storage) { number throws(ObjectStorageError) in
                if number == 2 { throw ObjectStorageError(code: .refused, message: "locked", isTransient: false) }
            }
            let outcome = try await unpaid(room, storage).run(nowMs: Self.nowMs)
            #expect(outcome.files == 3 && outcome.refused == 1 && outcome.detail.contains("1 that the storage refuses to remove"))
            #expect(try await objects(room.storage) == [handed.keys[1]])
            #expect(try await unpaid(room).run(nowMs: Self.nowMs).left == 1)
            #expect(try await objects(room.storage).isEmpty)

            for _ in 0..<4 { _ = try await inquiry(room, files: 7) }
            let shut = EventfulStorage(room.storage) { _ throws(ObjectStorageError) in
                throw ObjectStorageError(code: .refused, message: "AccessDenied", isTransient: false)
            }
            await #expect(throws: ObjectStorageError.self) { try await unpaid(room, shut).run(nowMs: Self.nowMs) }
            let after = try await unpaid(room).run(nowMs: Self.nowMs)
            #expect(after.left + after.files == 28)
            #expect(try await objects(room.storage).isEmpty)
        }
    }

    @Test("who pays after the files are gone has a task opened for staff, which says so once; who pays before has none")
    func paidLate() async throws {
        try await DraftingFixture.with { room in
            let (gone, kept) = (try await inquiry(room), try await inquiry(room, daysAgo: 3))
            _ = try await unpaid(room).run(nowMs: Self.nowMs)
            for one in [gone, kept] { #expect(try await room.domain.tell(.captured, of: one.payment, nowMs: Self.nowMs) == .paid) }
            let tasks = try await room.domain.database.read { try PaymentTask.open(in: $0) }
            #expect(tasks.map(\.kind) == [KitPurpose.filesGone] && tasks.first?.payment == gone.payment)
            #expect(tasks.first?.detail.contains("inquiry \(gone.id) were removed at ") == true)
            #expect(tasks.first?.detail.contains("ask the customer for them (pdf (") == true)
        }
    }

    @Test("whoever is asked for the money once more has the time of the files begin anew, as long as there is something to pay")
    func askedAgain() async throws {
        try await DraftingFixture.with { room in
            let handed = try await inquiry(room, daysAgo: 29)
            let payment = try await room.domain.database.write { connection in
                let payment = try PaymentStore.require(handed.payment, in: connection)
                try PaymentStore.noteAsked(for: payment, nowMs: Self.nowMs, in: connection)
                return payment
            }
            #expect(try await unpaid(room).run(nowMs: Self.nowMs + 2 * Self.dayMs).files == 0)
            _ = try await room.domain.tell(.captured, of: payment.id, nowMs: Self.nowMs)
            let moved = try await room.domain.database.write { connection in
                let paid = try PaymentStore.require(payment.id, in: connection)
                try PaymentStore.noteAsked(for: paid, nowMs: Self.nowMs + Self.dayMs, in: connection)
                return (paid.updatedAtMs, try PaymentStore.require(payment.id, in: connection).updatedAtMs)
            }
            #expect(moved.0 == moved.1, "what is paid waits for nothing")
        }
    }

    @Test("the sum of all files of unpaid inquiries follows what comes, is paid for, goes back to unpaid and is removed")
    func sum() async throws {
        try await DraftingFixture.with { room in
            let size = Int64(FileIntakeTests.pdf.count)
            func expect(_ files: Int64) async throws {
                let (kept, counted) = try await room.domain.database.read { connection in
                    let row = try connection.first(
                        """
                        SELECT COALESCE(SUM(size), 0) AS bytes FROM drafts_attachments
                        WHERE inquiry IN (SELECT id FROM drafts_inquiries WHERE processing_state = 'INQUIRY_RECEIVED')
                        """)
                    return (try UnpaidFiles.bytes(in: connection), try row?.int("bytes"))
                }
                #expect(kept == files * size && counted == kept)
            }
            try await expect(0)
            let (old, paid) = (try await inquiry(room, files: 3), try await inquiry(room, files: 2))
            _ = try await inquiry(room, files: 0)
            try await expect(5)
            _ = try await room.domain.tell(.captured, of: paid.payment, nowMs: Self.nowMs)
            try await expect(3)
            try await room.domain.database.write {
                try InquiryStore.move(paid.id, to: .draftDone, nowMs: Self.nowMs, in: $0)
                try InquiryStore.move(paid.id, to: .inquiryReceived, nowMs: Self.nowMs, in: $0)
            }
            try await expect(5)
            try await room.domain.database.write { try InquiryStore.move(paid.id, to: .paid, nowMs: Self.nowMs, in: $0) }
            #expect(try await unpaid(room).run(nowMs: Self.nowMs).files == 3)
            try await expect(0)
            #expect(try await rows(room, old.id).isEmpty)
        }
    }

    @Test("what goes is counted by a metric")
    func metric() async throws {
        func count(_ name: String) -> Double {
            let line = MetricRegistry.shared.prometheusText().split(separator: "\n").first { $0.hasPrefix("\(name) ") }
            return line.flatMap { Double($0.split(separator: " ")[1]) } ?? -1
        }
        try await DraftingFixture.with { room in
            let purge = unpaid(room)
            let (files, bytes) = (count("attachments_purged_total"), count("attachments_purged_bytes_total"))
            #expect(files >= 0 && bytes >= 0, "there before the first, so that an increase is seen")
            _ = try await inquiry(room)
            _ = try await purge.run(nowMs: Self.nowMs)
            #expect(count("attachments_purged_total") >= files + 2)
            #expect(count("attachments_purged_bytes_total") >= bytes + 2 * Double(FileIntakeTests.pdf.count))
        }
    }

    // MARK: Room on the disk

    @Test("no stranger's file is taken while the disk has less room than is kept for what was paid for; what staff hand in and we make goes there")
    func room() async throws {
        try await DraftingFixture.with { room in
            let storage = LocalStorage(room.files, freeMin: .max)
            let refused = await #expect(throws: FileIntakeError.self) {
                _ = try await FileIntake.take(FileIntakeTests.pdf, to: storage, folder: "attachments", name: "a.pdf", rules: .attachment)
            }
            guard case .storage(let cause)? = refused else { throw FixtureError("\(String(describing: refused))") }
            #expect(cause.code == .full && cause.isTransient && cause.message.contains("MiB are kept free"))
            #expect(room.domain.folder.list("private/attachments").isEmpty && room.domain.folder.list("private/.incoming").isEmpty)
            try await storage.put([1], key: "drafts/a", type: "x/y")
            let final = try await FileIntake.take(FileIntakeTests.pdf, to: storage, folder: "finals/inq_1", name: "a.pdf", rules: .final)
            #expect(try await storage.exists(final.path))
            // With less asked for than there is, and with nothing asked for, files are taken.
            for freeMin in [0, 1] as [Int64] {
                _ = try await FileIntake.take(
                    FileIntakeTests.pdf, to: LocalStorage(room.files, freeMin: freeMin), folder: "attachments", name: "a.pdf", rules: .attachment)
            }
        }
    }
}

extension S3Storage {
    /// A part of the one bucket of a test's own server.
    init(_ server: S3Server, prefix: String, _ client: HTTPClient) {
        self.init(
            S3Storage.Bucket(
                endpoint: server.endpoint, region: "us-east-1", name: S3Server.bucket, prefix: prefix, accessKey: "test", secretKey: Secret("test")),
            client: client)
    }
}
