import Cryptography
import Database
import Drafts
import EventLoop
import Formats
import HTTPClient
import ObjectStorage
import Telemetry
import TestSupport
import Testing

@Suite("Objects among the attachments that no row leads to", .timeLimit(.minutes(3)))
struct StrayObjectsTests {
    private static let dayMs: Int64 = 86_400_000
    private static let weekMs = UnpaidFiles.orphanAgeMs
    /// Objects bear the true time: the run's own is later than any form takes.
    private static var nowMs: Int64 { WallClock.nowMs + UnpaidFiles.formAgeMs + 3_600_000 }

    private func run(_ room: DraftingFixture, _ storage: (any ObjectStorage)? = nil, at nowMs: Int64) async throws -> UnpaidFiles.Outcome {
        let unpaid = UnpaidFiles(database: room.domain.database, storage: storage ?? room.storage, keepDays: 1000, log: Log())
        return try await unpaid.run(nowMs: nowMs)
    }

    private func inquiry(_ room: DraftingFixture, files count: Int = 2, storage: (any ObjectStorage)? = nil) async throws -> [String] {
        var files: [CheckedFile] = []
        for _ in 0..<count { files.append(try await object(room, storage)) }
        let form = try InquiryForm(fields: DraftingFixture.fields)
        _ = try await room.domain.database.write { [files] in
            try InquiryStore.create(form, files: files, actor: "test", nowMs: WallClock.nowMs, in: $0)
        }
        return files.map(\.path)
    }

    @discardableResult
    private func object(_ room: DraftingFixture, _ storage: (any ObjectStorage)? = nil) async throws -> CheckedFile {
        try await FileIntake.take(
            FileIntakeTests.pdf, to: storage ?? room.storage, folder: UnpaidFiles.folder, name: "a.pdf", rules: .attachment)
    }

    private func objects(_ storage: any ObjectStorage) async throws -> Set<String> {
        Set(try await storage.list(UnpaidFiles.folder, after: nil, limit: 1000).map(\.key))
    }

    private func trail(_ room: DraftingFixture) async throws -> [InquiryAudit] {
        try await room.domain.database.read { try InquiryAudit.newest(limit: 50, in: $0) }
    }

    @Test("what an upload that was broken off left goes a week after it was first found, however old it was then, with an audit row")
    func week() async throws {
        try await DraftingFixture.with { room in
            let kept = try await inquiry(room)
            let lost = try await object(room)
            // What stands beside the folder is none of its business.
            try await room.storage.put([1], key: "finals/inq_1/a", type: "x/y")
            // The object is a year old when it is found: a database that was put back yesterday finds many such.
            let found = Self.nowMs + 365 * Self.dayMs
            for at in [found, found + 60_000, found + Self.weekMs - 60_000] { #expect(try await run(room, at: at) == UnpaidFiles.Outcome()) }
            #expect(try await trail(room).isEmpty)
            #expect(try await room.storage.exists(lost.path))
            #expect(try await run(room, at: found + Self.weekMs).orphans == 1)
            #expect(try await objects(room.storage) == Set(kept))
            #expect(try await room.storage.exists("finals/inq_1/a"))
            let rows = try await trail(room)
            #expect(rows.map(\.action) == ["orphans_removed"] && rows[0].inquiry == nil && rows[0].detail == "1: \(lost.path)")
            #expect(try await run(room, at: found + Self.weekMs + 60_000) == UnpaidFiles.Outcome())
        }
    }

    @Test("what is young is not looked at, and what got a row meanwhile stays: found again, its week begins anew")
    func rowMeanwhile() async throws {
        try await DraftingFixture.with { room in
            _ = try await inquiry(room)
            let file = try await object(room)
            let young = WallClock.nowMs
            #expect(try await run(room, at: young) == UnpaidFiles.Outcome())
            #expect(try await run(room, at: young + Self.weekMs).orphans == 0, "the week counts from when it was found, of age")
            let form = try InquiryForm(fields: DraftingFixture.fields)
            let made = try await room.domain.database.write {
                try InquiryStore.create(form, files: [file], actor: "test", nowMs: young, in: $0).0
            }
            #expect(try await run(room, at: young + 3 * Self.weekMs).orphans == 0)
            try await room.domain.database.write {
                try $0.execute("DELETE FROM drafts_attachments WHERE inquiry = $1", [.text(made.id)])
            }
            #expect(try await run(room, at: young + 4 * Self.weekMs).orphans == 0)
            #expect(try await run(room, at: young + 5 * Self.weekMs).orphans == 1)
        }
    }

    @Test("a database without any inquiry removes nothing, however often it is asked: it is not that of the storage")
    func emptyDatabase() async throws {
        try await DraftingFixture.with { room in
            try await object(room)
            let before = refusals()
            for week in 0..<3 as Range<Int64> {
                let outcome = try await run(room, at: Self.nowMs + week * Self.weekMs)
                #expect(outcome.orphans == 0 && outcome.doubt == "the database has no inquiry at all")
                #expect(outcome.detail.contains("nothing else was swept: the database has no inquiry at all"))
            }
            #expect(try await objects(room.storage).count == 1)
            #expect(refusals() >= before + 3)
            let rows = try await trail(room)
            #expect(rows.map(\.action) == ["sweep_refused", "sweep_refused", "sweep_refused"])
            #expect(rows[0].detail?.hasPrefix("1 of 1, such as attachments/") == true)
            // Time under refusal is none: the week begins when the database is right.
            _ = try await inquiry(room)
            #expect(try await run(room, at: Self.nowMs + 3 * Self.weekMs).orphans == 0)
            #expect(try await run(room, at: Self.nowMs + 5 * Self.weekMs).orphans == 1)
        }
    }

    @Test("more than a tenth without a row is a wrong database, not broken uploads; a few are always few")
    func share() async throws {
        try await DraftingFixture.with { room in
            let kept = try await inquiry(room)
            for _ in 0..<UnpaidFiles.straysMax { try await object(room) }
            #expect(try await run(room, at: Self.nowMs).doubt == nil)
            try await object(room)
            let refused = try await run(room, at: Self.nowMs + Self.weekMs)
            #expect(refused.orphans == 0 && refused.doubt == "no inquiry leads to 21 of 23 objects")
            #expect(try await objects(room.storage).count == 23)
            // With many that are known beside them they are few again.
            for _ in 0..<20 { _ = try await inquiry(room, files: 10) }
            #expect(try await run(room, at: Self.nowMs + Self.weekMs).orphans == 20)
            #expect(try await objects(room.storage).isSuperset(of: kept))
            #expect(try await trail(room).map(\.action) == ["orphans_removed", "sweep_refused"])
        }
    }

    @Test("a storage that goes away in the middle of them leaves each with its audit row, and the next run goes on at once")
    func away() async throws {
        try await DraftingFixture.with { room in
            _ = try await inquiry(room)
            for _ in 0..<5 { try await object(room) }
            let found = Self.nowMs
            _ = try await run(room, at: found)
            let storage = EventfulStorage(room.storage) { number throws(ObjectStorageError) in
                if number == 3 { throw ObjectStorageError(code: .unavailable, message: "away", isTransient: true) }
            }
            await #expect(throws: ObjectStorageError.self) { try await run(room, storage, at: found + Self.weekMs) }
            #expect(try await objects(room.storage).count == 5)
            let rows = try await trail(room)
            #expect(rows.map(\.action) == ["orphans_removed"] && rows[0].detail?.hasPrefix("5: attachments/") == true)
            let next = try await run(room, at: found + Self.weekMs + 1)
            #expect(next.left == 3 && next.orphans == 0)
            #expect(try await objects(room.storage).count == 2)
            #expect(try await trail(room).count == 1)
        }
    }

    @Test("a folder marker and keys that are none of ours are left alone in a bucket, and nothing behind them is lost")
    func foreign() async throws {
        try await DraftingFixture.with { room in
            let server = try await S3Server.start()
            let client = HTTPClient(loop: try EventLoop.started(name: "s3"))
            let storage = S3Storage(server, prefix: "shop/", client)
            let kept = try await inquiry(room, storage: storage)
            let lost = try await object(room, storage)
            // As consoles and copying tools make one: no key that we would take.
            let marker = HTTPClient.Request(
                method: "PUT", url: "\(server.endpoint)/\(S3Server.bucket)/shop/attachments/",
                headers: ["Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"])
            #expect(try await client.send(marker).status == 200)
            for name in ["README.txt", String(repeating: "A", count: 32), "zz"] {
                try await storage.put([1], key: "attachments/\(name)", type: "x/y")
            }
            let all = try await objects(storage)
            #expect(all.count == 7 && all.contains("attachments/"))
            let found = Self.nowMs
            #expect(try await run(room, storage, at: found) == UnpaidFiles.Outcome())
            #expect(try await run(room, storage, at: found + Self.weekMs).orphans == 1)
            #expect(try await objects(storage) == all.subtracting([lost.path]))
            #expect(try await objects(storage).isSuperset(of: kept))
            withExtendedLifetime(server) {}
        }
    }

    private func refusals() -> Double {
        let name = "attachments_sweeps_refused_total "
        let line = MetricRegistry.shared.prometheusText().split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Double($0.dropFirst(name.count)) } ?? 0
    }
}
