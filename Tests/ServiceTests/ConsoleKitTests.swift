import Database
import Downloads
import Drafts
import EventLoop
import Formats
import HTTPServer
import JobQueue
import ObjectStorage
import Outbox
import Payments
import PrivateFiles
import Publication
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("Kits in the console")
struct ConsoleKitTests {
    private static let pdf = Array("%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n".utf8)

    /// An inquiry whose draft is there, paid unless said otherwise.
    private func kit(_ stage: WebStage, isPaid: Bool = true) async throws -> String {
        let (inquiry, payment) = try await stage.inquire()
        if isPaid { try await stage.receive(payment) }
        try await stage.database.write {
            try $0.execute("UPDATE drafts_inquiries SET processing_state = 'DRAFT_DONE' WHERE id = $1", [.text(inquiry)])
        }
        return inquiry
    }

    private func upload(
        _ client: ConsoleClient, _ inquiry: String, _ bytes: [UInt8] = pdf, name: String = "Rapport final.pdf", token: String? = nil
    ) async throws -> WebStage.Answer {
        try await client.upload(ConsolePath.kit(inquiry) + "final", "final", bytes, name: name, [("reason", "read twice")], token: token)
    }

    private func state(_ stage: WebStage, _ inquiry: String) async throws -> ProcessingState {
        try await stage.database.read { try InquiryStore.require(inquiry, in: $0).state }
    }

    @Test("staff upload the final, publish it, send another link and take it back, each with a reason and in both trails")
    func life() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff, name: "koffi")
            let inquiry = try await kit(stage)
            let path = ConsolePath.kit(inquiry)
            #expect(try await staff.get("/console/kits/?state=DRAFT_DONE").text.contains(inquiry))
            #expect(try await staff.get("/console/kits/?q=racines").text.contains(inquiry))
            #expect(try await staff.post(path + "publish", [("reason", "early")]).status == 409)
            let uploaded = try await upload(staff, inquiry)
            #expect(uploaded.status == 303, "\(uploaded.text)")
            #expect(try await state(stage, inquiry) == .finalUploaded)
            let file = try await staff.get(path + "files/final/1")
            #expect(file.status == 200 && file.body == Self.pdf && file.headers["content-disposition"]?.hasPrefix("attachment") == true)
            #expect(try await staff.get(path + "files/final/2").status == 404)
            #expect(try await staff.post(path + "publish", [("reason", " ")]).status == 422)
            #expect(try await staff.post(path + "publish", [("reason", "checked")]).headers["location"] == path + "?done=published")
            #expect(try await state(stage, inquiry) == .published)
            #expect(try await staff.post(path + "publish", [("reason", "again")]).status == 409)
            let jobs = try await stage.database.read { connection in
                try connection.query("SELECT args FROM outbox_jobs WHERE kind = 'notification.send'").map { try $0.text("args") }
            }
            #expect(jobs.contains { $0.contains("\"published\"") } && !jobs.contains { $0.contains("/downloads/") }, "no link stands in a job")
            // Nobody used the link, and its time ran out.
            stage.turnClock(by: 25 * 60_000)
            #expect(try await staff.get("/console/tasks/").status == 200)
            stage.turnClock(by: 25 * 60_000)
            let tasks = try await staff.get("/console/tasks/")
            #expect(tasks.text.contains("lost link") && tasks.text.contains(path + "reissue"))
            let sent = try await staff.post(path + "reissue", [("reason", "ran out"), ("back", "/console/tasks/")])
            #expect(sent.headers["location"] == "/console/tasks/?done=reissued")
            #expect(!(try await staff.get("/console/tasks/").text.contains("lost link")))
            #expect(try await staff.post(path + "revoke", [("reason", "wrong file")]).status == 303)
            #expect(try await state(stage, inquiry) == .finalUploaded)
            let page = try await staff.get(path)
            for word in ["published", "link_reissued", "revoked", "staff:koffi", "read twice"] { #expect(page.text.contains(word), "\(word)") }
            let actions = try await stage.database.read { try StaffAudit.list(limit: 20, in: $0).map(\.action) }
            for action in ["kit.upload", "kit.publish", "kit.reissue", "kit.revoke"] { #expect(actions.contains(action)) }
        }
    }

    @Test("nothing is uploaded or published for what is not paid, not by viewers, and not without the session's token")
    func refused() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let (unpaid, paid) = (try await kit(stage, isPaid: false), try await kit(stage))
            #expect(try await upload(staff, unpaid).status == 409)
            #expect(try await upload(viewer, paid).status == 403)
            for token in ["", "x", StaffSession.formToken(of: viewer.sessionID ?? "")] {
                #expect(try await upload(staff, paid, token: token).status == 403)
            }
            for bytes in [Array("MZ this is no document".utf8), []] { #expect(try await upload(staff, paid, bytes).status == 422) }
            #expect(stage.privateFiles("finals/\(paid)").isEmpty, "nothing is left of what was refused")
            #expect(try await state(stage, paid) == .draftDone)
            for deed in ["publish", "reissue", "revoke", "regenerate", "text"] {
                #expect(try await viewer.post(ConsolePath.kit(paid) + deed, [("reason", "x")]).status == 403)
            }
            #expect(!(try await viewer.get(ConsolePath.kit(paid)).text.contains("<form method=\"post\" action=\"/console/kits/")))
            #expect(try await viewer.get(ConsolePath.kit(paid) + "files/final/1").status == 403)
        }
    }

    @Test("a final is taken where strangers' files are not any more: the room that is kept free is for what was paid for")
    func keptRoom() async throws {
        let folder = try TemporaryFolder("full")
        let files = PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "full", threads: 1))
        try await WebStage.with(storage: { _ in LocalStorage(files, freeMin: .max) }) { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let inquiry = try await kit(stage)
            #expect(try await upload(staff, inquiry).status == 303)
            #expect(try await state(stage, inquiry) == .finalUploaded)
            #expect(folder.list("private/finals/\(inquiry)").count == 1)
        }
    }

    @Test("on a disk that is really full a final is refused with 507, when to come again, and why; nothing is left of it")
    func noRoom() async throws {
        let folder = try TemporaryFolder("full")
        let files = PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "full", threads: 1))
        try await WebStage.with(storage: { _ in FullStorage(inner: LocalStorage(files)) }) { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let inquiry = try await kit(stage)
            let refused = try await upload(staff, inquiry)
            #expect(refused.status == 507 && refused.headers["retry-after"] == "600")
            #expect(refused.text.contains("The disk has too little room"))
            #expect(try await state(stage, inquiry) == .draftDone)
            #expect(folder.list("private/finals/\(inquiry)").isEmpty && folder.list("private/.incoming").isEmpty)
        }
    }

    @Test("texts are corrected and the draft is made anew as another version; names of files that are markup stay words")
    func correcting() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let inquiry = try await kit(stage)
            let path = ConsolePath.kit(inquiry)
            let edited = try await staff.post(path + "text", [("mission_text", "Former.\r\nEncore."), ("reason", "a typing error")])
            #expect(edited.status == 303, "\(edited.text)")
            #expect(try await stage.database.read { try InquiryStore.require(inquiry, in: $0).texts["mission_text"] } == "Former.\nEncore.")
            #expect(try await staff.post(path + "text", [("email", "no address"), ("reason", "x")]).status == 422)
            #expect(try await upload(staff, inquiry, name: "\"><script>alert(1)</script>.pdf").status == 303)
            let page = try await staff.get(path)
            #expect(!page.text.contains("<script>alert"))
            try HTMLCheck.wellFormed(page.text)
            #expect(PageCheck(page.text).problems == [])
            let other = try await kit(stage)
            #expect(try await staff.post(ConsolePath.kit(other) + "regenerate", [("reason", "better texts")]).status == 303)
            #expect(try await stage.database.read { try InquiryStore.require(other, in: $0).draftVersion } == 2)
            #expect(try await state(stage, other) == .paid)
        }
    }
}

/// A storage on a disk that has no byte left.
private struct FullStorage: ObjectStorage {
    let inner: LocalStorage

    private struct Writer: ObjectWriter {
        let inner: any ObjectWriter

        func write(_ bytes: [UInt8]) async throws(ObjectStorageError) {
            throw ObjectStorageError(code: .full, message: "No space left on device", isTransient: true)
        }
        func finish() async throws(ObjectStorageError) -> StoredObject { try await inner.finish() }
        func discard() async { await inner.discard() }
    }

    var kind: String { inner.kind }
    var linkOrigin: String? { inner.linkOrigin }

    func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter {
        Writer(inner: try await inner.begin(key, type: type))
    }
    func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8] { try await inner.read(key, limit: limit) }
    func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending {
        try await inner.open(key, as: presentation)
    }
    func size(_ key: String) async throws(ObjectStorageError) -> Int64? { try await inner.size(key) }
    func delete(_ key: String) async throws(ObjectStorageError) { try await inner.delete(key) }
    func checkRoom() async throws(ObjectStorageError) { try await inner.checkRoom() }
    func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject] {
        try await inner.list(folder, after: after, limit: limit)
    }
}
