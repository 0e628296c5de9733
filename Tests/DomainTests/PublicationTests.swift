import Database
import Downloads
import Drafts
import Formats
import JobQueue
import NotificationDelivery
import Notifications
import ObjectStorage
import Outbox
import Payments
import ProviderPort
import Publication
import Synchronization
import TestSupport
import Testing

@Suite("Finals and their publication")
struct PublicationTests {
    private static let nowMs = DomainFixture.nowMs

    /// Publishes as the product does, with a message that can be told apart.
    private static func publication(canSign: Bool = true) -> Publication {
        Publication(outbox: Outbox(slot: "web.0"), canSign: canSign) { grant, inquiry, payment in
            [try JobRequest(Told(download: grant.id, inquiry: inquiry.id), payment: payment.id, unique: "told:\(grant.id)")]
        }
    }

    private struct Told: JobParameters {
        static let kind = "test.told"
        static let queue = "notifications"
        let download: String
        let inquiry: String
    }

    private func told(_ room: DraftingFixture) async throws -> [String] {
        try await room.domain.database.read { connection in
            try connection.query("SELECT args FROM outbox_jobs WHERE kind = 'test.told' ORDER BY sequence").map { try $0.text("args") }
        }
    }

    private func final(_ room: DraftingFixture, _ id: String, name: String = "kit.docx") async throws -> CheckedFile {
        try await FileIntake.take(
            try await room.document("The final of \(id)"), to: room.storage, folder: "finals/\(id)", name: name, rules: .final)
    }

    /// An inquiry with its final uploaded.
    private func ready(_ room: DraftingFixture) async throws -> (id: String, payment: String, final: FinalAsset) {
        let (id, payment) = try await room.drafted()
        let file = try await final(room, id)
        let asset = try await room.domain.database.write {
            try Self.publication().attach(file, to: id, actor: "staff:awa", reason: "checked twice", nowMs: Self.nowMs, in: $0)
        }
        return (id, payment, asset)
    }

    private func publish(_ id: String, _ room: DraftingFixture, canSign: Bool = true) async throws -> DownloadGrant {
        try await room.domain.database.write {
            try Self.publication(canSign: canSign).publish(id, actor: "staff:awa", reason: "ready", nowMs: Self.nowMs, in: $0)
        }
    }

    private func refused(_ room: DraftingFixture, _ body: @escaping @Sendable (Publication, Connection) throws -> Void) async -> KitActionError? {
        await #expect(throws: KitActionError.self) { try await room.domain.database.write { try body(Self.publication(), $0) } }
    }

    @Test("an upload becomes the final, publishing lets it be downloaded for 45 minutes, once, and tells the customer without a link in the job")
    func wholeWay() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, final) = try await ready(room)
            #expect(final.version == 1 && final.kind == .docx && final.fileName == "kit.docx" && final.sha256.count == 64)
            #expect(try await room.found(id).state == .finalUploaded)
            #expect(try await told(room).isEmpty)

            let grant = try await publish(id, room)
            #expect(try await room.found(id).state == .published)
            #expect(grant.subject == id && grant.payment == payment && grant.usesMax == 1)
            #expect(grant.expiresAtMs == Self.nowMs + 45 * 60_000)
            #expect(grant.file.key == final.path && grant.file.sha256 == final.sha256 && grant.file.type == FileKind.docx.contentType)
            let jobs = try await told(room)
            #expect(jobs.count == 1 && jobs[0].contains(grant.id) && !jobs[0].contains("/downloads/"))

            let trail = try await room.domain.database.read { try InquiryAudit.of(inquiry: id, in: $0) }
            #expect(trail.map(\.action) == ["final_attached", "published"])
            #expect(trail.map(\.actor) == ["staff:awa", "staff:awa"] && trail.map(\.reason) == ["checked twice", "ready"])
            await #expect(throws: DatabaseError.self) {
                try await room.domain.database.write { try $0.execute("UPDATE drafts_audit SET reason = 'other'") }
            }
        }
    }

    @Test("an address that staff corrects is the one that is written to, and what it was stands in no trail")
    func correctedAddress() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, _) = try await ready(room)
            let before = try await room.domain.database.read { try PaymentStore.require(payment, in: $0).customer.email }
            try await room.domain.database.write {
                _ = try DraftWork.edit(id, ["email": "right@example.org"], actor: "staff:awa", reason: "she rang", nowMs: Self.nowMs, in: $0)
            }
            let (found, trail) = try await room.domain.database.read { connection in
                (try PaymentStore.require(payment, in: connection), try PaymentAudit.of(payment: payment, in: connection))
            }
            #expect(before != "right@example.org" && found.customer.email == "right@example.org")
            let mail = try SendNotification.published(download: "dl_1", for: found)
            #expect(mail.count == 1 && mail.allSatisfy { $0.args.text.contains("right@example.org") })
            #expect(trail.last?.actor == "staff:awa" && trail.last?.detail == "the customer's e-mail address was corrected: she rang")
            #expect(trail.allSatisfy { !($0.detail ?? "").contains(before ?? "@") })
        }
    }

    @Test("of two who publish at once, one does: one download, one message, one row in the trail")
    func twoPublishers() async throws {
        try await DraftingFixture.with { room in
            let (id, _, _) = try await ready(room)
            let all = try await withThrowingTaskGroup(of: KitActionError?.self) { group in
                for number in 0..<6 {
                    let database = try room.domain.another()
                    group.addTask {
                        var outcome: KitActionError?
                        do {
                            _ = try await database.write {
                                try Self.publication().publish(id, actor: "staff:\(number)", reason: "ready", nowMs: Self.nowMs, in: $0)
                            }
                        } catch let error as KitActionError {
                            outcome = error
                        }
                        await database.close()
                        return outcome
                    }
                }
                return try await group.reduce(into: [KitActionError?]()) { $0.append($1) }
            }
            #expect(all.count { $0 == nil } == 1)
            #expect(all.compactMap { $0?.code } == Array(repeating: "wrong_state", count: 5))
            #expect(try await told(room).count == 1)
            let grants = try await room.domain.database.read { try Downloads.list(subject: id, in: $0) }
            #expect(grants.count == 1)
            let trail = try await room.domain.database.read { try InquiryAudit.of(inquiry: id, in: $0) }
            #expect(trail.count { $0.action == "published" } == 1)
        }
    }

    @Test(
        "a payment that is not paid any more stops publishing, attaching and reissuing, and leaves nothing behind",
        arguments: [ProviderClaim.refunded, .chargedBack])
    func refundedBetween(claim: ProviderClaim) async throws {
        try await DraftingFixture.with { room in
            let (id, payment, _) = try await ready(room)
            try await room.domain.tell(claim, of: payment)
            #expect(await refused(room) { try $0.publish(id, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "not_paid")
            #expect(try await room.found(id).state == .finalUploaded)
            #expect(try await told(room).isEmpty)
            let file = try await final(room, id)
            #expect(await refused(room) { try $0.attach(file, to: id, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "not_paid")
            #expect(try await room.domain.database.read { try FinalAsset.all(of: id, in: $0).count } == 1)
        }
    }

    @Test("without a final, before the draft, without a reason, without SECRET_KEY: nothing is published, and each says why")
    func guards() async throws {
        try await DraftingFixture.with { room in
            let (id, _) = try await room.drafted()
            #expect(await refused(room) { try $0.publish(id, actor: "a", reason: "r", nowMs: 1, in: $1) } == .noFinal)
            let (unpaid, _, _) = try await room.inquiry()
            #expect(await refused(room) { try $0.publish(unpaid.id, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "not_paid")
            let file = try await final(room, id)
            #expect(await refused(room) { try $0.attach(file, to: unpaid.id, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "not_paid")
            let (waiting, _, _) = try await room.paidInquiry()
            #expect(await refused(room) { try $0.attach(file, to: waiting, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "wrong_state")
            #expect(await refused(room) { try $0.attach(file, to: id, actor: "a", reason: " \n", nowMs: 1, in: $1) } == .reasonMissing)
            #expect(try await room.found(id).state == .draftDone)

            let (good, _, _) = try await ready(room)
            #expect(await refused(room) { try $0.publish(good, actor: "a", reason: "", nowMs: 1, in: $1) } == .reasonMissing)
            let unsigned = await #expect(throws: KitActionError.self) { try await publish(good, room, canSign: false) }
            #expect(unsigned == .noSecretKey)
            #expect(await refused(room) { try $0.reissue(good, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "wrong_state")
            #expect(await refused(room) { _ = try $0.revoke(good, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "wrong_state")
            #expect(try await room.found(good).state == .finalUploaded)
            #expect(try await told(room).isEmpty)
        }
    }

    @Test("a reissued link ends the one before; a revoked publication ends them all and can be corrected and published anew")
    func revokeAndReissue() async throws {
        try await DraftingFixture.with { room in
            let (id, _, _) = try await ready(room)
            let first = try await publish(id, room)
            let second = try await room.domain.database.write {
                try Self.publication().reissue(id, actor: "staff:b", reason: "the mail was lost", nowMs: Self.nowMs + 1000, in: $0)
            }
            let grants = try await room.domain.database.read { try Downloads.list(subject: id, in: $0) }
            #expect(grants.map(\.id) == [second.id, first.id])
            #expect(grants[1].revokedAtMs != nil && grants[1].replacedBy == second.id)
            #expect(try await told(room).count == 2)

            let count = try await room.domain.database.write {
                try Self.publication().revoke(id, actor: "staff:b", reason: "a wrong page", nowMs: Self.nowMs + 2000, in: $0)
            }
            #expect(count == 1)
            #expect(try await room.found(id).state == .finalUploaded)
            let after = try await room.domain.database.read { try Downloads.list(subject: id, in: $0) }
            #expect(after.allSatisfy { $0.revokedAtMs != nil })

            let corrected = try await FileIntake.take(
                try await room.document("Corrected"), to: room.storage, folder: "finals/\(id)", name: "corrected.docx", rules: .final)
            let asset = try await room.domain.database.write {
                try Self.publication().attach(corrected, to: id, actor: "staff:b", reason: "corrected", nowMs: Self.nowMs + 3000, in: $0)
            }
            #expect(asset.version == 2)
            let third = try await publish(id, room)
            #expect(third.file.key == asset.path)
            #expect(try await told(room).count == 3)
            let trail = try await room.domain.database.read { try InquiryAudit.of(inquiry: id, in: $0).map(\.action) }
            #expect(trail == ["final_attached", "published", "link_reissued", "revoked", "final_attached", "published"])
            // What stands published is not changed under the customer's hands.
            let late = try await final(room, id)
            #expect(await refused(room) { try $0.attach(late, to: id, actor: "a", reason: "r", nowMs: 1, in: $1) }?.code == "wrong_state")
        }
    }

    @Test("another link that is asked for twice within ten seconds is sent once; later it is another one")
    func reissuedTwice() async throws {
        try await DraftingFixture.with { room in
            let (id, _, _) = try await ready(room)
            let first = try await publish(id, room)
            func reissue(at nowMs: Int64) async throws -> String {
                try await room.domain.database.write {
                    try Self.publication().reissue(id, actor: "staff:b", reason: "the mail was lost", nowMs: nowMs, in: $0).id
                }
            }
            let second = try await reissue(at: Self.nowMs + 1000)
            #expect(second != first.id)
            #expect(try await reissue(at: Self.nowMs + 1000) == second)
            #expect(try await reissue(at: Self.nowMs + 10_999) == second)
            #expect(try await told(room).count == 2)
            let third = try await reissue(at: Self.nowMs + 11_000)
            #expect(third != second)
            #expect(try await told(room).count == 3)
            let trail = try await room.domain.database.read { try InquiryAudit.of(inquiry: id, in: $0).map(\.action) }
            #expect(trail == ["final_attached", "published", "link_reissued", "link_reissued"])
        }
    }

    @Test("a message finds its link signed, run out, or settled: used, taken back or replaced")
    func linking() async throws {
        try await DraftingFixture.with { room in
            let sign = DownloadLink(secret: String(repeating: "k", count: 32)).linking(baseURL: "https://shop.example.org")
            func signed(_ id: String, at nowMs: Int64 = Self.nowMs + 5000) async throws -> SignedLink {
                try await room.domain.database.read { try sign(id, nowMs, $0) }
            }
            let (id, _, _) = try await ready(room)
            let first = try await publish(id, room)
            guard case .good(let url, first.expiresAtMs, 1) = try await signed(first.id) else {
                Issue.record("an open download has no link")
                return
            }
            #expect(url.hasPrefix("https://shop.example.org/downloads/"))
            #expect(try await signed(first.id, at: first.expiresAtMs) == .over(reason: "download \(first.id) is expired"))
            #expect(try await signed("dl_none") == .over(reason: "there is no download dl_none"))
            let second = try await room.domain.database.write {
                try Self.publication().reissue(id, actor: "a", reason: "r", nowMs: Self.nowMs + 1000, in: $0)
            }
            #expect(try await signed(first.id) == .settled(reason: "download \(first.id) is revoked"))
            try await room.domain.database.write {
                try $0.execute("UPDATE downloads_grants SET used_count = max_uses WHERE id = $1", [.text(second.id)])
            }
            #expect(try await signed(second.id) == .settled(reason: "download \(second.id) is used"))
        }
    }

    @Test("a link that ran out unused is a person's task until another is sent; one that was used is none")
    func lostLinks() async throws {
        try await DraftingFixture.with { room in
            let (id, _, _) = try await ready(room)
            let grant = try await publish(id, room)
            func lost(_ at: Int64) async throws -> [String] {
                try await room.domain.database.read { try Publication.lostLinks(limit: 10, nowMs: at, in: $0).map(\.inquiry) }
            }
            #expect(try await lost(Self.nowMs + 1000).isEmpty)
            #expect(try await lost(grant.expiresAtMs + 1) == [id])
            // What is not paid any more has no link that could be sent.
            func stand(_ state: String) async throws {
                try await room.domain.database.write { try $0.execute("UPDATE payments_payments SET state = $1", [.text(state)]) }
            }
            try await stand("refunded")
            #expect(try await lost(grant.expiresAtMs + 1).isEmpty)
            try await stand("paid")
            try await room.domain.database.write {
                _ = try Self.publication().reissue(id, actor: "a", reason: "r", nowMs: grant.expiresAtMs + 1, in: $0)
            }
            #expect(try await lost(grant.expiresAtMs + 2).isEmpty)
            try await room.domain.database.write { try $0.execute("UPDATE downloads_grants SET used_count = 1 WHERE revoked_at IS NULL") }
            #expect(try await lost(grant.expiresAtMs + 100 * 60_000).isEmpty)
        }
    }

    @Test("links that ran out unused are found by an index of the unused ones, however many kits are published")
    func lostLinksByIndex() async throws {
        let fixture = try DomainFixture()
        let steps = try await fixture.database.read { connection in
            try connection.query(
                "EXPLAIN QUERY PLAN \(Publication.lostLinksQuery)",
                [.text(ProcessingState.published.rawValue), .integer(Self.nowMs), .int(10)]
            ).map { try $0.text("detail") }
        }
        let first = try #require(steps.first)
        #expect(first.hasPrefix("SEARCH g USING INDEX downloads_grants_unused (expires_at<?)"), "\(steps)")
        #expect(!steps.contains { $0.hasPrefix("SCAN") || $0.contains("TEMP B-TREE") }, "\(steps)")
    }

    @Test("a task that asks for another link is closed by sending one, and by taking the publication back")
    func reissueTask() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, _) = try await ready(room)
            _ = try await publish(id, room)
            func open() async throws -> Int {
                try await room.domain.database.write { connection in
                    try connection.execute(
                        """
                        INSERT INTO payments_tasks (payment, kind, detail, created_at) VALUES ($1, $2, 'late', $3)
                        ON CONFLICT (payment, kind, detail) DO UPDATE SET closed_at = NULL
                        """, [.text(payment), .text(PaymentTask.reissueLink), .integer(Self.nowMs)])
                }
                return try await tasks()
            }
            func tasks() async throws -> Int {
                try await room.domain.database.read { try PaymentTask.open(of: payment, in: $0).count(where: { $0.kind == PaymentTask.reissueLink }) }
            }
            #expect(try await open() == 1)
            try await room.domain.database.write {
                _ = try Self.publication().reissue(id, actor: "a", reason: "r", nowMs: Self.nowMs + 1000, in: $0)
            }
            #expect(try await tasks() == 0)
            #expect(try await open() == 1)
            try await room.domain.database.write {
                _ = try Self.publication().revoke(id, actor: "a", reason: "r", nowMs: Self.nowMs + 2000, in: $0)
            }
            #expect(try await tasks() == 0)
        }
    }
}
