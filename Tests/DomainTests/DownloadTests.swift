import Access
import Cryptography
import Database
import Formats
import Money
import Payments
import TestSupport
import Testing

@testable import Downloads

/// A paid order with a file to download.
private struct DownloadFixture: Sendable {
    static let secret = "0123456789abcdef0123456789abcdef"
    static let nowMs = DomainFixture.nowMs

    let domain: DomainFixture
    let payment: String
    let link = DownloadLink(secret: secret)
    var database: Database { domain.database }

    init(state: PaymentState = .paid) async throws {
        domain = try DomainFixture()
        payment = try await domain.payment("order", subject: "order-1", amount: Money(5000, .xof), state: state).id
    }

    static let file = DownloadFile(
        key: "finals/inq_1/a.pdf", size: 1000, sha256: String(repeating: "ab", count: 32), name: "Rapport.pdf", type: "application/pdf")

    func issue(
        uses: Int = 1, minutes: Int = 45, subject: String = "inq_1", file: DownloadFile = file, reason: String = "published"
    ) async throws -> DownloadGrant {
        let new = NewDownload(subject: subject, payment: payment, file: file, terms: DownloadTerms(minutes: minutes, uses: uses))
        return try await database.write { try Downloads.issue(new, reason: reason, actor: "staff:awa", nowMs: Self.nowMs, in: $0) }
    }

    func claim(_ grant: DownloadGrant) throws -> DownloadClaim {
        let token = try #require(link.token(of: grant))
        return try #require(link.read(token))
    }

    /// Why a use is refused; nil when it is not.
    func consume(_ claim: DownloadClaim, from address: String = "192.0.2.1", after ms: Int64 = 0) async throws -> Result<DownloadUse, DownloadRefusal>
    {
        try await attempt { try Downloads.consume(claim, origin: link.origin(of: address), nowMs: Self.nowMs + ms, in: $0) }
    }

    func look(_ claim: DownloadClaim, after ms: Int64 = 0) async throws -> Result<DownloadGrant, DownloadRefusal> {
        try await attempt { try Downloads.look(claim, nowMs: Self.nowMs + ms, in: $0) }
    }

    func resume(
        _ claim: DownloadClaim, _ rest: DownloadRest, from address: String = "192.0.2.1", after ms: Int64
    ) async throws -> Result<DownloadUse, DownloadRefusal> {
        try await attempt { try Downloads.resume(claim, rest, origin: link.origin(of: address), nowMs: Self.nowMs + ms, in: $0) }
    }

    private func attempt<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Result<Value, DownloadRefusal> {
        do {
            return .success(try await database.write(body))
        } catch let refusal as DownloadRefusal {
            return .failure(refusal)
        }
    }

    func refusal<Value>(_ result: Result<Value, DownloadRefusal>) -> DownloadRefusal? {
        if case .failure(let refusal) = result { refusal } else { nil }
    }

    func set(_ state: PaymentState) async throws {
        let payment = payment
        try await database.write {
            try $0.execute("UPDATE payments_payments SET state = $2 WHERE id = $1", [.text(payment), .text(state.rawValue)])
        }
    }

    /// What a call that is no refusal throws.
    func error(_ body: @escaping @Sendable (Connection) throws -> Void) async throws -> DownloadError? {
        do {
            try await database.write(body)
            return nil
        } catch let error as DownloadError {
            return error
        }
    }

    func trail(_ id: String) async throws -> [DownloadStep] { try await database.read { try Downloads.trail(id, in: $0) } }
}

@Suite("Downloads")
struct DownloadTests {
    private static let minute: Int64 = 60_000

    // MARK: Links

    @Test("a link says what was signed and nothing else, whatever is changed in it")
    func tokens() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        let token = try #require(fixture.link.token(of: grant))
        #expect(token.utf8.count == 72 && token.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        #expect(fixture.link.path(of: grant) == "/downloads/\(token)")
        #expect(fixture.link.token(of: grant) == token)
        #expect(grant.expiresAtMs == DownloadFixture.nowMs + 45 * Self.minute)
        #expect(fixture.link.read(token) == DownloadClaim(download: grant.id, expiresAtMs: grant.expiresAtMs))
        for place in token.indices {
            var changed = token
            changed.replaceSubrange(place...place, with: token[place] == "A" ? "B" : "A")
            #expect(fixture.link.read(changed) == nil, "\(changed)")
        }
        for wrong in ["", "x", String(token.dropLast()), token + "A", token + "=", "../../etc/passwd", String(repeating: "é", count: 36)] {
            #expect(fixture.link.read(wrong) == nil)
        }
        #expect(DownloadLink(secret: String(repeating: "z", count: 32)).read(token) == nil)
    }

    @Test("a link signed for another purpose opens nothing, though the key is the installation's")
    func purposes() async throws {
        let fixture = try await DownloadFixture()
        let token = try #require(fixture.link.token(of: try await fixture.issue()))
        let bytes = try #require(Base64.urlDecode(token))
        let keys = SigningKeys(secret: DownloadFixture.secret, use: "quittance download 1")
        for purpose in UInt8.min...UInt8.max {
            let claim = [purpose] + bytes[1..<22]
            let signed = Base64.urlEncode(claim + keys.signing.hmac.authenticate(claim))
            #expect((fixture.link.read(signed) != nil) == (purpose == bytes[0]), "purpose \(purpose)")
        }
        // The same claim under the keys of another use.
        let others = SigningKeys(secret: DownloadFixture.secret, use: "quittance payment link 1")
        let claim = Array(bytes[..<22])
        #expect(fixture.link.read(Base64.urlEncode(claim + others.signing.hmac.authenticate(claim))) == nil)
        let paying = try #require(PaymentLink(secret: DownloadFixture.secret).token(for: fixture.payment, .pay, generation: 0, nowMs: 0))
        #expect(fixture.link.read(paying.text) == nil)
    }

    @Test("while the secret is exchanged old links live to their end; once the old secret is gone they open nothing")
    func rotation() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        let old = try #require(fixture.link.token(of: grant))
        let next = String(repeating: "n", count: 32)
        let both = DownloadLink(secret: "\(next) \(DownloadFixture.secret)")
        #expect(both.read(old)?.download == grant.id)
        let new = try #require(both.token(of: grant))
        #expect(new != old)
        #expect(fixture.link.read(new) == nil)
        #expect(DownloadLink(secret: next).read(new)?.download == grant.id)
        #expect(DownloadLink(secret: next).read(old) == nil)
    }

    @Test("a signed expiry that is not the row's, and a signed id that is nobody's, open nothing")
    func strangers() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        for claim in [
            DownloadClaim(download: grant.id, expiresAtMs: grant.expiresAtMs + 1000), DownloadClaim(download: "dl_x", expiresAtMs: grant.expiresAtMs),
            .none,
        ] {
            #expect(fixture.refusal(try await fixture.look(claim)) == .unknown)
            #expect(fixture.refusal(try await fixture.consume(claim)) == .unknown)
        }
        #expect(fixture.refusal(try await fixture.consume(try fixture.claim(grant))) == nil)
    }

    // MARK: Uses

    @Test("a link is used as often as it may be, and looking uses nothing", arguments: [1, 3])
    func uses(times: Int) async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue(uses: times)
        let claim = try fixture.claim(grant)
        var tags: Set<String> = []
        for number in 1...times {
            for _ in 0..<20 { #expect(try await fixture.look(claim).get().usedCount == Int64(number - 1)) }
            let use = try await fixture.consume(claim).get()
            #expect(use.grant.usedCount == Int64(number) && use.grant.file == DownloadFixture.file)
            tags.insert(use.tag)
        }
        #expect(tags.count == times)
        #expect(fixture.refusal(try await fixture.look(claim)) == .used)
        #expect(fixture.refusal(try await fixture.consume(claim)) == .used)
        #expect(try await fixture.trail(grant.id).map(\.kind) == [.issued] + Array(repeating: .used, count: times))
    }

    @Test("of fifty uses at once by two processes one succeeds")
    func together() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        let claim = try fixture.claim(grant)
        let other = try fixture.domain.another()
        let outcomes = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<50 {
                let database = number % 2 == 0 ? fixture.database : other
                group.addTask {
                    do {
                        _ = try await database.write { try Downloads.consume(claim, origin: [], nowMs: DownloadFixture.nowMs, in: $0) }
                        return true
                    } catch let refusal as DownloadRefusal {
                        #expect(refusal == .used)
                        return false
                    }
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        await other.close()
        #expect(outcomes == 1)
        #expect(try await fixture.trail(grant.id).map(\.kind) == [.issued, .used])
    }

    @Test("a link that has run out is refused to the second")
    func expiry() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue(minutes: 1)
        let claim = try fixture.claim(grant)
        #expect(fixture.refusal(try await fixture.look(claim, after: Self.minute - 1)) == nil)
        #expect(fixture.refusal(try await fixture.look(claim, after: Self.minute)) == .expired)
        #expect(fixture.refusal(try await fixture.consume(claim, after: Self.minute)) == .expired)
        #expect(fixture.refusal(try await fixture.consume(claim, after: Self.minute - 1)) == nil)
    }

    @Test(
        "a payment that is no longer paid, or was never, lets nothing be downloaded",
        arguments: PaymentState.allCases.filter { $0 != .paid })
    func unpaid(state: PaymentState) async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue(uses: 2)
        let claim = try fixture.claim(grant)
        let use = try await fixture.consume(claim).get()
        try await fixture.set(state)
        #expect(fixture.refusal(try await fixture.look(claim)) == .notPaid)
        #expect(fixture.refusal(try await fixture.consume(claim)) == .notPaid)
        #expect(fixture.refusal(try await fixture.resume(claim, DownloadRest(tag: use.tag, first: 10, count: 10), after: 1000)) == .notPaid)
        let (new, id) = (NewDownload(subject: "s", payment: fixture.payment, file: DownloadFixture.file, terms: .standard), grant.id)
        let refused = DownloadError.notPaid(payment: fixture.payment, state: state.rawValue)
        #expect(try await fixture.error { _ = try Downloads.issue(new, reason: "r", actor: "a", nowMs: 0, in: $0) } == refused)
        #expect(try await fixture.error { try Downloads.reissue(id, terms: .standard, reason: "r", actor: "a", nowMs: 0, in: $0) } == refused)
        #expect(try await fixture.database.read { try Downloads.show(id, in: $0) }?.usedCount == 1)
    }

    // MARK: Going on

    @Test("a download that broke may be gone on with for five minutes, by its tag from anywhere or without one from the same address")
    func resuming() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue(minutes: 1)
        let claim = try fixture.claim(grant)
        let part = DownloadRest(tag: nil, first: 500, count: 500)
        #expect(fixture.refusal(try await fixture.resume(claim, part, after: 0)) == .noUse)
        let use = try await fixture.consume(claim).get()
        let tagged = DownloadRest(tag: use.tag, first: 500, count: 500)
        // The link itself runs out meanwhile.
        for ms in [1, 2 * Self.minute, 5 * Self.minute - 1] {
            #expect(try await fixture.resume(claim, part, after: ms).get().tag == use.tag)
            #expect(try await fixture.resume(claim, tagged, from: "198.51.100.7", after: ms).get().tag == use.tag)
            #expect(fixture.refusal(try await fixture.resume(claim, part, from: "198.51.100.7", after: ms)) == .noUse)
            let wrong = DownloadRest(tag: "x", first: 500, count: 500)
            #expect(fixture.refusal(try await fixture.resume(claim, wrong, after: ms)) == .noUse)
        }
        for rest in [part, tagged] { #expect(fixture.refusal(try await fixture.resume(claim, rest, after: 5 * Self.minute)) == .noUse) }
        for whole in [DownloadRest(tag: use.tag, first: 0, count: 1000), DownloadRest(tag: use.tag, first: 0, count: 0)] {
            #expect(fixture.refusal(try await fixture.resume(claim, whole, after: 1)) == .noUse)
        }
        let now = try #require(try await fixture.database.read { try Downloads.show(grant.id, in: $0) })
        #expect(now.usedCount == 1 && now.standing(nowMs: DownloadFixture.nowMs) == .used)
        #expect(try await fixture.trail(grant.id).count { $0.kind == .resumed } == 6)
    }

    @Test("a download that was taken back is not gone on with")
    func revokedGrace() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        let claim = try fixture.claim(grant)
        let use = try await fixture.consume(claim).get()
        try await fixture.database.write {
            try Downloads.revoke(grant.id, reason: "wrong file", actor: "staff:awa", nowMs: DownloadFixture.nowMs, in: $0)
        }
        let rest = DownloadRest(tag: use.tag, first: 1, count: 10)
        #expect(fixture.refusal(try await fixture.resume(claim, rest, after: 1)) == .revoked)
    }

    // MARK: Staff

    @Test("who has downloaded needs no other link: the task to send one is closed")
    func taskClosed() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        try await fixture.database.write {
            for kind in [PaymentTask.reissueLink, "another"] {
                try PaymentTask.open(payment: fixture.payment, kind: kind, detail: "x", nowMs: DownloadFixture.nowMs, in: $0)
            }
        }
        _ = try await fixture.consume(try fixture.claim(grant)).get()
        let open = try await fixture.database.read { try PaymentTask.open(of: fixture.payment, in: $0).map(\.kind) }
        #expect(open == ["another"])
    }

    @Test("a download is taken back and reissued, each with who and why; the new link works and the old one does not")
    func reissue() async throws {
        let fixture = try await DownloadFixture()
        let first = try await fixture.issue()
        let firstClaim = try fixture.claim(first)
        _ = try await fixture.consume(firstClaim).get()
        let second = try await fixture.database.write {
            try Downloads.reissue(
                first.id, terms: DownloadTerms(minutes: 10, uses: 2), reason: "the mail was lost", actor: "staff:ben", nowMs: DownloadFixture.nowMs,
                in: $0)
        }
        #expect(second.file == first.file && second.subject == first.subject && second.usesMax == 2 && second.id != first.id)
        #expect(fixture.refusal(try await fixture.consume(firstClaim)) == .revoked)
        #expect(fixture.refusal(try await fixture.consume(try fixture.claim(second))) == nil)
        let old = try #require(try await fixture.database.read { try Downloads.show(first.id, in: $0) })
        #expect(old.replacedBy == second.id && old.standing(nowMs: DownloadFixture.nowMs) == .revoked)
        let steps = try await fixture.trail(first.id)
        #expect(steps.map(\.kind) == [.issued, .used, .revoked])
        #expect(steps.last?.actor == "staff:ben" && steps.last?.reason == "replaced by \(second.id): the mail was lost")
        #expect(try await fixture.trail(second.id).map(\.kind) == [.reissued, .used])
        #expect(try await fixture.database.read { try Downloads.list(subject: "inq_1", in: $0) }.map(\.id) == [second.id, first.id])

        let third = try await fixture.database.write {
            try Downloads.revoke(second.id, reason: "refund asked", actor: "staff:ben", nowMs: DownloadFixture.nowMs + 5, in: $0)
        }
        #expect(third.revokedAtMs == DownloadFixture.nowMs + 5)
        let again = DownloadError.revoked(second.id)
        #expect(try await fixture.error { try Downloads.revoke(second.id, reason: "r", actor: "a", nowMs: 0, in: $0) } == again)
        #expect(try await fixture.error { try Downloads.reissue(second.id, terms: .standard, reason: "r", actor: "a", nowMs: 0, in: $0) } == again)
        #expect(
            try await fixture.error { try Downloads.revoke("dl_none", reason: "r", actor: "a", nowMs: 0, in: $0) } == .notFound("dl_none"))
    }

    @Test("nothing unsound is issued")
    func unsound() async throws {
        let fixture = try await DownloadFixture()
        let payment = fixture.payment
        let (file, long) = (DownloadFixture.file, String(repeating: "x", count: 501))
        func field(_ file: DownloadFile, terms: DownloadTerms = .standard, reason: String = "r", subject: String = "s") async throws -> String? {
            let new = NewDownload(subject: subject, payment: payment, file: file, terms: terms)
            let error = try await fixture.error { _ = try Downloads.issue(new, reason: reason, actor: "a", nowMs: 0, in: $0) }
            if case .invalid(let field, _)? = error { return field }
            return nil
        }
        func changed(
            key: String = file.key, size: Int64 = file.size, sha256: String = file.sha256, name: String = file.name, type: String = file.type
        ) -> DownloadFile { DownloadFile(key: key, size: size, sha256: sha256, name: name, type: type) }
        #expect(try await field(file, reason: "") == "reason")
        #expect(try await field(file, reason: long) == "reason")
        #expect(try await field(file, subject: "") == "subject")
        #expect(try await field(changed(key: "")) == "key")
        #expect(try await field(changed(size: 0)) == "size")
        #expect(try await field(changed(sha256: String(repeating: "G", count: 64))) == "sha256")
        #expect(try await field(changed(name: "")) == "name")
        #expect(try await field(changed(type: "application/pdf\r\nX: y")) == "type")
        #expect(try await field(file, terms: DownloadTerms(lifeMs: 59_999, uses: 1)) == "life")
        #expect(try await field(file, terms: DownloadTerms(minutes: 45, uses: 0)) == "uses")
        #expect(try await field(file) == nil)
    }

    @Test("what was issued, used and noted is never changed and never goes")
    func appendOnly() async throws {
        let fixture = try await DownloadFixture()
        let grant = try await fixture.issue()
        _ = try await fixture.consume(try fixture.claim(grant)).get()
        for statement in [
            "UPDATE downloads_audit SET reason = 'x'", "DELETE FROM downloads_audit",
            "INSERT OR REPLACE INTO downloads_audit SELECT * FROM downloads_audit",
            "UPDATE downloads_uses SET used_at = 0", "DELETE FROM downloads_uses", "DELETE FROM downloads_grants",
            "UPDATE downloads_grants SET used_count = 0", "UPDATE downloads_grants SET expires_at = expires_at + 1000",
            "UPDATE downloads_grants SET max_uses = 9", "UPDATE downloads_grants SET object_key = 'x'", "UPDATE downloads_grants SET payment = 'x'",
        ] {
            await #expect(throws: DatabaseError.self, "\(statement)") { try await fixture.database.write { try $0.execute(statement) } }
        }
    }
}
