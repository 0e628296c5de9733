import Cryptography
import Database
import Formats
import Ledger
import Money
import Outbox
import Payments
import Staff
import TestSupport
import Testing

@Suite("Staff")
struct StaffTests {
    private struct Fixture: Sendable {
        let folder: TemporaryFolder
        let database: Database
        static let nowMs = DomainFixture.nowMs

        init() throws {
            folder = try TemporaryFolder("quittance-staff")
            database = try Database.open(.sqlite(path: folder.file("staff.db")))
            _ = try database.migrate([Outbox.migrations, Ledger.migrations, PaymentStore.migrations, StaffStore.migrations])
        }

        @discardableResult
        func add(_ name: String, _ role: StaffRole = .viewer) async throws -> StaffUser {
            let hash = PasswordHash(of: "a long enough passphrase", cost: Self.cost)
            return try await database.write {
                try StaffStore.add(name, role: role, password: hash, mustChange: false, actor: "test", nowMs: Self.nowMs, in: $0)
            }
        }

        static let cost = PasswordHash.Cost(n: 256, r: 8, p: 1)

        func signIn(_ passwords: PasswordRoom, secret: String = "0123456789abcdef0123456789abcdef", nowMs: Int64 = nowMs) -> SignIn {
            SignIn(database: database, passwords: passwords, keys: SealingKeys(secret: secret), nowMs: { nowMs })
        }

        func session(_ id: String, nowMs: Int64 = nowMs) async throws -> StaffSession {
            try #require(try await database.read { try StaffSession.find(id, limits: StaffSession.Limits(), nowMs: nowMs, in: $0) })
        }
    }

    private static let place = SignIn.Place(address: "192.0.2.7", network: "192.0.2.7", agent: "test")

    @Test(
        "codes are those of RFC 6238",
        arguments: [
            (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"), (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ])
    func vectors(seconds: Int64, expected: String) {
        let key = Array("12345678901234567890".utf8)
        #expect(OneTimeCode.code(key, step: OneTimeCode.step(atMs: seconds * 1000), digits: 8) == expected)
        #expect(OneTimeCode.code(key, step: OneTimeCode.step(atMs: seconds * 1000)) == String(expected.suffix(6)))
    }

    @Test("while the secret key is exchanged codes and recovery codes go on; whoever came in then has codes after it too; with another key nobody")
    func rotation() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: Fixture.cost)
        defer { passwords.close() }
        let (old, new) = (String(repeating: "o", count: 32), String(repeating: "n", count: 32))
        let first = fixture.signIn(passwords, secret: old)
        let begun = try await first.password(name: "awa", "a long enough passphrase", from: Self.place)
        let key = try await first.pendingKey(of: try await fixture.session(begun.id))
        let codes = try await first.enrol(
            OneTimeCode.code(key, step: OneTimeCode.step(atMs: Fixture.nowMs)), session: try await fixture.session(begun.id), from: Self.place
        ).recoveryCodes
        for (number, secret) in ["\(new) \(old)", new, String(repeating: "x", count: 32)].enumerated() {
            let now = Fixture.nowMs + Int64(number + 1) * 60_000
            let signIn = fixture.signIn(passwords, secret: secret, nowMs: now)
            func enter(_ code: String) async throws -> Bool {
                let begun = try await signIn.password(name: "awa", "a long enough passphrase", from: Self.place)
                do {
                    _ = try await signIn.code(code, session: try await fixture.session(begun.id, nowMs: now), from: Self.place)
                    return true
                } catch StaffError.refused {
                    return false
                }
            }
            #expect(try await enter(OneTimeCode.code(key, step: OneTimeCode.step(atMs: now))) == (number < 2), "the key was sealed anew")
            #expect(try await enter(codes[number]) == (number == 0), "recovery codes are made anew by hand")
        }
    }

    /// What becomes of a password: `in`, `refused`, or for how many seconds it is locked.
    private static func outcome(of password: String, from place: SignIn.Place, at signIn: SignIn) async throws -> String {
        do {
            _ = try await signIn.password(name: "awa", password, from: place)
            return "in"
        } catch let error as StaffError {
            switch error {
            case .refused: return "refused"
            case .locked(let untilMs): return "locked \((untilMs - signIn.nowMs()) / 1000)"
            default: throw error
            }
        }
    }

    @Test("strangers who go on failing, from however many networks, lock a name for strangers, and never where its user signed in of late")
    func strangers() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: Fixture.cost)
        defer { passwords.close() }
        let (right, wrong) = ("a long enough passphrase", "wrong and wrong again")
        func home(_ last: Int) -> SignIn.Place { SignIn.Place(address: "2001:db8::\(last)", network: "2001:db8::/64", agent: "test") }
        func away(_ number: Int) -> SignIn.Place {
            SignIn.Place(address: "198.51.100.\(number)", network: "198.51.100.\(number)", agent: "test")
        }
        func enter(_ password: String, _ place: SignIn.Place, afterMs: Int64) async throws -> String {
            try await Self.outcome(of: password, from: place, at: fixture.signIn(passwords, nowMs: Fixture.nowMs + afterMs))
        }
        // The user comes in at home, once.
        let signIn = fixture.signIn(passwords)
        let begun = try await signIn.password(name: "awa", right, from: home(1))
        let session = try await fixture.session(begun.id)
        let key = try await signIn.pendingKey(of: session)
        _ = try await signIn.enrol(OneTimeCode.code(key, step: OneTimeCode.step(atMs: Fixture.nowMs)), session: session, from: home(1))

        // One network that guesses has to wait alone.
        for _ in 0..<5 { #expect(try await enter(wrong, away(1), afterMs: 1000) == "refused") }
        #expect(try await enter(right, away(1), afterMs: 1000) == "locked 15")
        #expect(try await enter(right, away(2), afterMs: 1000) == "in")

        // Many networks with few guesses each: in the end all of them wait, however right the password is.
        var refused = 5
        for number in 10..<25 {
            for _ in 0..<3 {
                #expect(try await enter(wrong, away(number), afterMs: 2000) == "refused")
                refused += 1
            }
        }
        #expect(refused == 50)
        #expect(try await enter(right, away(30), afterMs: 2000) == "locked 15")
        #expect(try await enter(wrong, away(31), afterMs: 18_000) == "refused", "one more, when the wait is over")
        #expect(try await enter(right, away(30), afterMs: 18_000) == "locked 30")
        // Where its user is known nothing of that counts, also from the network's other addresses; and it gives strangers nothing back.
        #expect(try await enter(right, home(2), afterMs: 18_000) == "in")
        #expect(try await enter(right, away(30), afterMs: 18_000) == "locked 30")
        // At home it is still counted strictly.
        for _ in 0..<5 { #expect(try await enter(wrong, home(3), afterMs: 19_000) == "refused") }
        #expect(try await enter(right, home(1), afterMs: 19_000) == "locked 15")
        // A new password forgets all of it.
        let hash = PasswordHash(of: right, cost: Fixture.cost)
        try await fixture.database.write {
            try StaffStore.setPassword(hash, of: "awa", mustChange: false, dropsCodes: false, actor: "test", nowMs: Fixture.nowMs, in: $0)
        }
        for place in [home(1), away(1), away(30)] { #expect(try await enter(right, place, afterMs: 20_000) == "in") }

        // A month later nobody knows the network any more.
        let later: Int64 = 31 * 24 * 60 * 60_000
        for number in 40..<57 {
            for _ in 0..<3 { #expect(try await enter(wrong, away(number), afterMs: later) != "in") }
        }
        #expect(try await enter(right, home(1), afterMs: later).hasPrefix("locked"))
    }

    @Test("a session guesses its user's password ten times at most, from however many networks, and locks out nobody but sessions")
    func guessingSession() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: Fixture.cost)
        defer { passwords.close() }
        let right = "a long enough passphrase"
        func from(_ number: Int) -> SignIn.Place {
            SignIn.Place(address: "198.51.100.\(number)", network: "198.51.100.\(number)", agent: "test")
        }
        let signIn = fixture.signIn(passwords)
        let begun = try await signIn.password(name: "awa", right, from: from(1))
        let session = try await fixture.session(begun.id)
        func change(from old: String, _ place: SignIn.Place) async throws -> String {
            do {
                try await signIn.changePassword(from: old, to: "another long enough phrase", session: session, from: place)
                return "changed"
            } catch StaffError.locked {
                return "locked"
            } catch {
                return "refused"
            }
        }
        var outcomes: [String] = []
        for number in 0..<12 { outcomes.append(try await change(from: "wrong and wrong again", from(10 + number))) }
        #expect(outcomes == Array(repeating: "refused", count: 10) + ["locked", "locked"])
        #expect(try await change(from: right, from(40)) == "locked", "however right it is")
        #expect(try await Self.outcome(of: right, from: from(50), at: signIn) == "in", "whoever signs in is not kept out by it")
        // Strangers who fail at the name fill a count of theirs.
        let other = try Fixture()
        try await other.add("awa")
        let theirs = other.signIn(passwords)
        let own = try await other.session(try await theirs.password(name: "awa", right, from: from(1)).id)
        for number in 0..<50 { _ = try await Self.outcome(of: "wrong and wrong again", from: from(60 + number), at: theirs) }
        #expect(try await Self.outcome(of: right, from: from(200), at: theirs).hasPrefix("locked"))
        try await theirs.changePassword(from: right, to: "another long enough phrase", session: own, from: from(2))
    }

    @Test("of fifty requests with the same code at once one comes in")
    func codeOnce() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: Fixture.cost)
        defer { passwords.close() }
        let signIn = fixture.signIn(passwords)
        let begun = try await signIn.password(name: "awa", "a long enough passphrase", from: Self.place)
        let session = try await fixture.session(begun.id)
        let code = OneTimeCode.code(try await signIn.pendingKey(of: session), step: OneTimeCode.step(atMs: Fixture.nowMs))
        let count = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    do {
                        _ = try await signIn.enrol(code, session: session, from: Self.place)
                        return true
                    } catch is StaffError {
                        return false
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(count == 1)
    }

    @Test("a password made at other costs is made anew at the next sign-in")
    func rehash() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: PasswordHash.Cost(n: 512, r: 8, p: 1))
        defer { passwords.close() }
        _ = try await fixture.signIn(passwords).password(name: "awa", "a long enough passphrase", from: Self.place)
        #expect(try await fixture.database.read { try $0.first("SELECT password_n FROM staff_users")?.int("password_n") } == 512)
        _ = try await fixture.signIn(passwords).password(name: "AWA", "a long enough passphrase", from: Self.place)
    }

    @Test("a code of a key that was dropped meanwhile is worth nothing, and brings the key not back")
    func droppedKey() async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        let passwords = PasswordRoom(cost: Fixture.cost)
        defer { passwords.close() }
        let first = fixture.signIn(passwords)
        let begun = try await first.password(name: "awa", "a long enough passphrase", from: Self.place)
        let key = try await first.pendingKey(of: try await fixture.session(begun.id))
        _ = try await first.enrol(
            OneTimeCode.code(key, step: OneTimeCode.step(atMs: Fixture.nowMs)), session: try await fixture.session(begun.id), from: Self.place)
        let now = Fixture.nowMs + 60_000
        let later = fixture.signIn(passwords, nowMs: now)
        let entering = try await later.password(name: "awa", "a long enough passphrase", from: Self.place)
        let session = try await fixture.session(entering.id, nowMs: now)
        try await fixture.database.write { try $0.execute("UPDATE staff_users SET code_key = NULL") }
        await #expect(throws: StaffError.refused) {
            try await later.code(OneTimeCode.code(key, step: OneTimeCode.step(atMs: now)), session: session, from: Self.place)
        }
        #expect(try await fixture.database.read { try StaffStore.require("awa", in: $0).hasCodes } == false)
    }

    @Test("nothing of what staff did is changed or taken out, and there is an admin always")
    func audit() async throws {
        let fixture = try Fixture()
        try await fixture.add("boss", .admin)
        for sql in ["UPDATE staff_audit SET actor = 'x'", "DELETE FROM staff_audit"] {
            await #expect(throws: DatabaseError.self) { try await fixture.database.write { try $0.execute(sql) } }
        }
        await #expect(throws: StaffError.self) {
            try await fixture.database.write { try StaffStore.setEnabled(false, "boss", actor: "test", nowMs: 1, in: $0) }
        }
        await #expect(throws: StaffError.self) {
            try await fixture.database.write { try StaffStore.setRole(.operator, "boss", actor: "test", nowMs: 1, in: $0) }
        }
        try await fixture.add("second", .admin)
        #expect(try await fixture.database.write { try StaffStore.setEnabled(false, "boss", actor: "test", nowMs: 1, in: $0) })
        #expect(try await fixture.database.read { try StaffAudit.list(limit: 9, in: $0).map(\.action) } == ["user.disable", "user.add", "user.add"])
    }

    @Test(
        "names are plain, and taken once however they are written",
        arguments: [
            ("a", false), ("Awa Koné", false), ("awa/../x", false), ("awa", false), ("AWA", false), ("awa.kone@example.org", true),
            ("x\u{0}y", false), (String(repeating: "a", count: 41), false),
        ])
    func names(name: String, isTaken: Bool) async throws {
        let fixture = try Fixture()
        try await fixture.add("awa")
        if isTaken {
            try await fixture.add(name)
        } else {
            await #expect(throws: StaffError.self) { try await fixture.add(name) }
        }
    }
}
