import Database
import Drafts
import EventLoop
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import ObjectStorage
import Payments
import PrivateFiles
import RedisClient
import Staff
import Synchronization
import TestSupport
import Testing

@testable import WebService

@Suite("What the console asks before a deed, and what it keeps of one")
struct ConsoleGuardTests {
    private func audit(_ stage: WebStage, _ prefix: String) async throws -> [StaffAudit] {
        try await stage.database.read { try StaffAudit.list(limit: 100, in: $0).filter { $0.action.hasPrefix(prefix) }.reversed() }
    }

    // MARK: Held money

    /// An order of 12,500 XOF that euros have come in for.
    private func paidInEuros(_ stage: WebStage, _ amount: String, _ order: String = "order-1") async throws -> (payment: String, held: HeldMoney) {
        let payment = try await stage.order(order)
        let now = stage.nowMs
        let attempt = try await stage.database.write { connection in
            try PaymentStore.startAttempt(
                of: try PaymentStore.require(payment, in: connection), provider: "standard-webhooks", mode: "sandbox", method: nil, nowMs: now,
                in: connection)
        }
        #expect(try await stage.report("payment.succeeded", order: attempt.id, amount: amount, currency: "EUR") == 200)
        return (payment, try #require(try await held(stage, payment).first))
    }

    private func held(_ stage: WebStage, _ payment: String) async throws -> [HeldMoney] {
        try await stage.database.read { try HeldMoney.of(try PaymentStore.require(payment, in: $0), in: $0) }
    }

    private func say(_ client: ConsoleClient, _ payment: String, _ held: HeldMoney, _ reference: String) async throws -> String? {
        let fields = [("decision", "returned"), ("reference", reference), ("reason", "not ours")]
        return try await client.post(ConsolePath.payment(payment) + "held/\(held.id)", fields).headers["location"]
    }

    @Test("held money above the limit has gone back once two people say so with the same reference, up to it once one does")
    func heldMoney() async throws {
        try await WebStage.with { stage in
            let first = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let second = try await ConsoleClient.signedIn(stage, .operator, name: "fatou")
            let (payment, large) = try await paidInEuros(stage, "50.00")
            for _ in 0..<3 { #expect(try await say(first, payment, large, "SEPA-1")?.hasSuffix("done=waits") == true) }
            #expect(try await say(second, payment, large, "SEPA-2")?.hasSuffix("done=waits") == true, "another reference is another word")
            #expect(try await held(stage, payment).count == 1)
            let page = try await second.get(ConsolePath.payment(payment))
            #expect(page.text.contains("staff:oumar says that it went back:") && page.text.contains("value=\"SEPA-1\""), "\(page.text)")
            try HTMLCheck.wellFormed(page.text)
            #expect(PageCheck(page.text).problems == [])

            #expect(try await say(second, payment, large, "SEPA-1")?.hasSuffix("done=decided") == true)
            #expect(try await held(stage, payment).isEmpty)
            #expect(try await say(first, payment, large, "SEPA-1") == nil, "it is decided once")
            let trail = try await stage.database.read { try PaymentAudit.of(payment: payment, in: $0) }
            #expect(trail.contains { $0.actor == "staff:oumar+fatou" && $0.detail?.contains("given back as SEPA-1") == true })
            #expect(trail.count { $0.source.hasSuffix("is said to be returned") } == 2, "each word is kept once")
            #expect(try await audit(stage, "held.").map(\.action).suffix(2) == ["held.say", "held.decide"])

            let (other, small) = try await paidInEuros(stage, "20.00", "order-2")
            #expect(try await say(first, other, small, "SEPA-3")?.hasSuffix("done=decided") == true)
            #expect(try await held(stage, other).isEmpty)
        }
    }

    @Test("of many who say at once that money went back one decides it, and never with the own word")
    func heldAtOnce() async throws {
        try await WebStage.with { stage in
            let clients = [
                try await ConsoleClient.signedIn(stage, .operator, name: "oumar"), try await ConsoleClient.signedIn(stage, .admin, name: "awa"),
            ]
            let (payment, large) = try await paidInEuros(stage, "50.00")
            let ends = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let location = try await say(clients[number % 2], payment, large, "SEPA-1") ?? "refused"
                        return String(location.split(separator: "=").last ?? "")
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(ends["decided"] == 1)
            let trail = try await stage.database.read { try PaymentAudit.of(payment: payment, in: $0) }
            #expect(trail.count { $0.actor == "staff:oumar+awa" || $0.actor == "staff:awa+oumar" } >= 1)
        }
    }

    // MARK: What the audit holds

    @Test("the audit of an export names the filters that were used, and nothing of what was typed into them")
    func export() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            for query in ["", "?q=awa%40example.org&provider=awa%40example.org&state=paid", "?from=2026-01-01&state="] {
                #expect(try await staff.get("/console/payments.csv\(query)").status == 200)
            }
            let details = try await audit(stage, "payments.export").compactMap(\.detail)
            #expect(details == ["all", "filtered by state, provider", "filtered by from"])
        }
    }

    @Test("new recovery codes ask for the password; who tries another one is in the audit, with the address, and has to wait")
    func recoveryCodes() async throws {
        try await WebStage.with { stage in
            let client = ConsoleClient(stage, name: "awa")
            try await ConsoleClient.add(stage, "awa", .viewer)
            let old = try await client.enrol()
            func renew(_ password: String) async throws -> WebStage.Answer {
                try await client.post("/console/account/codes", [("password", password)])
            }
            let wrong = try await renew("not the password")
            #expect(wrong.status == 422 && wrong.text.contains("The password is not right."), "\(wrong.text)")
            #expect(PageCheck(wrong.text).problems == [])
            let renewed = try await renew(ConsoleClient.password)
            let codes = renewed.text.split(separator: "<li>").dropFirst().compactMap { String($0).between("", "</li>") }
            #expect(renewed.status == 200 && codes.count == 10 && Set(codes).isDisjoint(with: old))
            let rows = try await audit(stage, "codes.renew")
            #expect(rows.map(\.action) == ["codes.renew.refused", "codes.renew"] && rows.allSatisfy { $0.address?.isEmpty == false })

            _ = try await client.post(
                "/console/account/password", [("old", "not the password"), ("new", "another long phrase"), ("again", "another long phrase")])
            let refused = try #require(try await audit(stage, "user.password").first)
            #expect(refused.action == "user.password.refused" && refused.address?.isEmpty == false)
            var statuses: [Int] = []
            for _ in 0..<12 { statuses.append(try await renew("not the password").status) }
            #expect(statuses.first == 422 && statuses.last == 429, "\(statuses)")
            #expect(try await renew(ConsoleClient.password).status == 429)
        }
    }

    @Test("a code that does not enrol its key is in the audit, with the address")
    func enrolment() async throws {
        try await WebStage.with { stage in
            let client = ConsoleClient(stage, name: "awa")
            try await ConsoleClient.add(stage, "awa", .viewer)
            _ = try await client.enter(ConsoleClient.password)
            #expect(try await client.post("/console/enrol", [("code", "no code")]).status == 401)
            let row = try #require(try await audit(stage, "sign-in.refused").first)
            #expect(row.detail == "enrolment" && row.actor == "staff:awa" && row.address?.isEmpty == false)
        }
    }

    @Test("a deed outside of SQL is in the audit before it is begun, and once more where it came to nothing")
    func intents() async throws {
        let redis = try await RedisServer.start()
        try await WebStage.with(redis: redis) { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            for deed in ["run", "pause", "resume"] { #expect(try await clerk.post("/console/cron/sweep", [("deed", deed)]).status == 303) }
            let rows = try await audit(stage, "cron.")
            #expect(rows.map(\.action) == ["cron.run", "cron.pause", "cron.resume"] && rows.allSatisfy { $0.subject == "sweep" })
            #expect(try await clerk.post("/console/cron/broken", [("deed", "run")]).status == 409)
            #expect(try await clerk.post("/console/cron/sweep", [("deed", "explode")]).status == 422)
            let broken = try await audit(stage, "cron.").suffix(2)
            #expect(broken.map(\.action) == ["cron.run", "cron.run.failed"] && broken.last?.detail?.contains("the shelf is empty") == true)

            let queues = try #require(stage.queues)
            let driver = queues.redisDriver(of: "drafts")
            let record = DeadRecord(
                job: "job_1", kind: "draft.generate", payment: nil, reason: "no template", buriedAtMs: stage.nowMs, worker: "w",
                body: Array(
                    #"{"v":1,"id":"job_1","kind":"draft.generate","queue":"drafts","args":{},"payment":null,"attempt":3,"enqueued_at":1}"#.utf8))
            _ = try await queues.connection.call("ZADD", driver.keys.dead, stage.nowMs, record.bytes)
            // Where its intent cannot be written nothing is done: a row comes before its deed.
            try await stage.database.write {
                try $0.execute(
                    """
                    CREATE TRIGGER no_intent BEFORE INSERT ON staff_audit WHEN NEW.action LIKE 'job.%'
                    BEGIN SELECT RAISE(ABORT, 'no room'); END
                    """)
            }
            for deed in ["retry", "bury"] {
                #expect(try await clerk.post("/console/queues/drafts/dead", [("job", "job_1"), ("deed", deed)]).status >= 500)
            }
            #expect(try await driver.counts().dead == 1)
            try await stage.database.write { try $0.execute("DROP TRIGGER no_intent") }
            #expect(try await clerk.post("/console/queues/drafts/dead", [("job", "job_1"), ("deed", "bury")]).status == 303)
            let row = try #require(try await audit(stage, "job.").last)
            #expect(row.action == "job.bury" && row.subject == "job_1" && row.detail == "drafts: no template")
        }
        try await redis.stop()
    }

    // MARK: Kits

    @Test("kits are found by e-mail addresses by those who may see them, and not by viewers")
    func searching() async throws {
        try await WebStage.with { stage in
            let (staff, viewer) = (try await ConsoleClient.signedIn(stage, .staff), try await ConsoleClient.signedIn(stage, .viewer))
            let (inquiry, _) = try await stage.inquire()
            for (word, found) in [("aicha@example", false), ("@example.org", false), ("racines", true), (inquiry, true)] {
                #expect(try await staff.get("/console/kits/?q=\(word)").text.contains(">\(inquiry)</a>"), "\(word)")
                #expect(try await viewer.get("/console/kits/?q=\(word)").text.contains(">\(inquiry)</a>") == found, "\(word)")
            }
        }
    }

    @Test("a kit's file that the storage cannot give now is 503 and no loss; one that is not there is 404; only what was handed out is recorded")
    func awayStorage() async throws {
        let folder = try TemporaryFolder("console-storage")
        let storage = LeavingStorage(LocalStorage(PrivateFiles(root: folder.file("private"), pool: Self.pool)))
        try await WebStage.with(storage: { _ in storage }) { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let (inquiry, payment) = try await stage.inquire()
            try await stage.receive(payment)
            try await stage.database.write {
                try $0.execute("UPDATE drafts_inquiries SET processing_state = 'DRAFT_DONE' WHERE id = $1", [.text(inquiry)])
            }
            let pdf = Array("%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n".utf8)
            let path = ConsolePath.kit(inquiry)
            #expect(try await staff.upload(path + "final", "final", pdf, name: "a.pdf", [("reason", "read twice")]).status == 303)
            storage.leave(true)
            let gone = try await staff.get(path + "files/final/1")
            #expect(gone.status == 503 && gone.headers["retry-after"] != nil, "\(gone.text)")
            #expect(try await audit(stage, "kit.look").isEmpty)
            storage.leave(false)
            #expect(try await staff.get(path + "files/final/1").body == pdf)
            let key = try #require(try await stage.database.read { try FinalAsset.all(of: inquiry, in: $0).first }).path
            try await storage.delete(key)
            #expect(try await staff.get(path + "files/final/1").status == 404)
            #expect(try await audit(stage, "kit.look").count == 1)
        }
    }

    private static let pool = BlockingPool(name: "console-storage", threads: 2)
}

/// A storage that can be away for those who read from it.
private final class LeavingStorage: ObjectStorage {
    private let inner: LocalStorage
    private let isAway = Mutex(false)

    init(_ inner: LocalStorage) { self.inner = inner }

    func leave(_ away: Bool) { isAway.withLock { $0 = away } }

    var kind: String { inner.kind }
    var linkOrigin: String? { inner.linkOrigin }

    func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter { try await inner.begin(key, type: type) }
    func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8] { try await inner.read(key, limit: limit) }
    func size(_ key: String) async throws(ObjectStorageError) -> Int64? { try await inner.size(key) }
    func delete(_ key: String) async throws(ObjectStorageError) { try await inner.delete(key) }
    func checkRoom() async throws(ObjectStorageError) { try await inner.checkRoom() }
    func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject] {
        try await inner.list(folder, after: after, limit: limit)
    }

    func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending {
        guard !isAway.withLock({ $0 }) else { throw ObjectStorageError(code: .unavailable, message: "the disk is away", isTransient: true) }
        return try await inner.open(key, as: presentation)
    }
}
