import Cryptography
import Database
import Formats
import HTTPServer
import Payments
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("Who comes into the console")
struct ConsoleAccessTests {
    @Test("the first sign-in enrols codes; later ones ask for one, take none twice, and a recovery code once")
    func signIn() async throws {
        try await WebStage.with { stage in
            let client = ConsoleClient(stage, name: "awa")
            try await ConsoleClient.add(stage, "awa", .viewer)
            let codes = try await client.enrol()
            #expect(codes.count == 10 && Set(codes).count == 10)
            #expect(try await client.get("/console/").status == 200)
            let first = try #require(client.sessionID)

            client.sessionID = nil
            let again = try await client.signIn()
            #expect(again.status == 303 && again.headers["location"] == "/console/")
            #expect(client.sessionID != first)
            // The same code once more, and one that is two steps old.
            for code in [client.code(), client.code(stepsAhead: -2), "000000", ""] {
                client.sessionID = nil
                _ = try await client.enter(ConsoleClient.password)
                #expect(try await client.post("/console/code", [("code", code)]).status == 401, "\(code)")
                stage.turnClock(by: 3_600_000)
            }
            for expected in [303, 401] {
                client.sessionID = nil
                _ = try await client.enter(ConsoleClient.password)
                let typed = codes[3].lowercased().replacing("-", with: " ")
                #expect(try await client.post("/console/code", [("code", typed)]).status == expected)
            }
            let key = try await stage.database.read { try $0.first("SELECT code_key FROM staff_users")?.blob("code_key") }
            #expect(key?.count == 12 + OneTimeCode.keyLength + 16, "the key lies sealed")
        }
    }

    @Test("whoever has only told the password sees nothing but the step that is next, and the code's step gives a new session")
    func stages() async throws {
        try await WebStage.with { stage in
            let client = try await ConsoleClient.signedIn(stage, .admin)
            client.sessionID = nil
            _ = try await client.enter(ConsoleClient.password)
            let half = try #require(client.sessionID)
            for path in ["/console/", "/console/payments/", "/console/users/", "/console/account/"] {
                let answer = try await client.get(path)
                #expect(answer.status == 303 && answer.headers["location"]?.hasPrefix("/console/sign-in") == true)
            }
            // Codes are enrolled once: the enrolment's pages give nothing away any more.
            #expect(try await client.get("/console/enrol").headers["location"] == "/console/code")
            #expect(try await client.get("/console/enrol/code.svg").status == 404)
            #expect(try await client.post("/console/enrol", [("code", client.code())]).headers["location"] == "/console/code")
            stage.turnClock(by: 30_000)
            #expect(try await client.post("/console/code", [("code", client.code())]).status == 303)
            #expect(client.sessionID != half)
            let old = ConsoleClient(stage, name: "admin")
            old.sessionID = half
            #expect(try await old.get("/console/").status == 303, "the id before the code is worth nothing")
        }
    }

    @Test("an id that was planted before is not taken over, and none is told in an address")
    func fixation() async throws {
        try await WebStage.with { stage in
            let client = ConsoleClient(stage, name: "awa")
            try await ConsoleClient.add(stage, "awa", .viewer)
            let planted = SecureRandom.token()
            client.sessionID = planted
            try await client.enrol()
            #expect(client.sessionID != planted)
            let thief = ConsoleClient(stage, name: "thief")
            thief.sessionID = planted
            #expect(try await thief.get("/console/").status == 303)
            let kept = try await stage.database.read { try $0.query("SELECT digest FROM staff_sessions").map { try $0.blob("digest") } }
            #expect(!kept.contains(Array((client.sessionID ?? "").utf8)), "ids lie hashed")
        }
    }

    @Test("the cookie is for the console alone, out of scripts' reach, and goes over TLS only; signing out ends it")
    func cookie() async throws {
        try await WebStage.with { stage in
            let client = try await ConsoleClient.signedIn(stage, .viewer)
            client.sessionID = nil
            let begun = try await client.enter(ConsoleClient.password)
            let cookie = begun.headers["set-cookie"] ?? ""
            for part in ["Path=/console", "HttpOnly", "SameSite=Lax", "Secure"] { #expect(cookie.contains(part), "\(cookie)") }
            stage.turnClock(by: 30_000)
            _ = try await client.post("/console/code", [("code", client.code())])
            let id = client.sessionID
            #expect(try await client.post("/console/sign-out").headers["set-cookie"]?.contains("Max-Age=0") == true)
            client.sessionID = id
            #expect(try await client.get("/console/").status == 303)
        }
    }

    @Test("each try counts by name and by address; waits grow, and the right password has to wait as well")
    func lockOut() async throws {
        try await WebStage.with { stage in
            let client = try await ConsoleClient.signedIn(stage, .viewer)
            client.sessionID = nil
            for _ in 0..<5 { #expect(try await client.enter("wrong and wrong again").status == 401) }
            let locked = try await client.enter(ConsoleClient.password)
            #expect(locked.status == 429)
            let first = try #require(locked.headers["retry-after"].flatMap { Int64($0) })
            #expect((1...15).contains(first))
            stage.turnClock(by: 15_000)
            #expect(try await client.enter("wrong and wrong again").status == 401)
            let second = try #require(try await client.enter(ConsoleClient.password).headers["retry-after"].flatMap { Int64($0) })
            #expect((16...30).contains(second), "the second wait is twice as long")
            stage.turnClock(by: 30_000)
            #expect(try await client.signIn().status == 303)
            // What nobody is called is locked as well: nothing is told by it.
            let nobody = ConsoleClient(stage, name: "nobody-here")
            for _ in 0..<5 { #expect(try await nobody.enter("wrong and wrong again").status == 401) }
            #expect(try await nobody.enter("wrong and wrong again").status == 429)
            // One address that tries many names.
            var statuses: [Int] = []
            for number in 0..<30 { statuses.append(try await ConsoleClient(stage, name: "guess-\(number)").enter("some password").status) }
            #expect(statuses.first == 401 && statuses.last == 429)
        }
    }

    @Test(
        "after the sign-in only pages of the console are led to",
        arguments: [
            ("https://evil.example/", "/console/"), ("//evil.example/", "/console/"), ("/console/..//evil.example", "/console/"),
            ("/console/\\evil.example", "/console/"), ("/api/v1/", "/console/"), ("javascript:alert(1)", "/console/"),
            ("/console/\r\nX: y", "/console/"),
            ("/console/payments/?state=paid", "/console/payments/?state=paid"),
        ])
    func openRedirect(next: String, expected: String) async throws {
        try await WebStage.with { stage in
            let client = try await ConsoleClient.signedIn(stage, .viewer)
            client.sessionID = nil
            let begun = try await client.enter(ConsoleClient.password, [("next", next)])
            #expect(begun.headers["location"]?.hasPrefix("/console/code") == true)
            stage.turnClock(by: 30_000)
            #expect(try await client.post("/console/code", [("code", client.code()), ("next", next)]).headers["location"] == expected)
            let deed = try await client.post("/console/account/language", [("language", "fr"), ("back", next)])
            #expect(deed.headers["location"]?.hasPrefix(expected == "/console/" ? "/console/account/" : expected) == true)
        }
    }

    @Test("a session ends when nobody uses it, when it has lasted long enough, when it is ended elsewhere and when its user is disabled")
    func expiry() async throws {
        try await WebStage.with { stage in
            let client = try await ConsoleClient.signedIn(stage, .viewer)
            stage.turnClock(by: 25 * 60_000)
            #expect(try await client.get("/console/").status == 200)
            stage.turnClock(by: 25 * 60_000)
            #expect(try await client.get("/console/").status == 200, "its use was noted")
            stage.turnClock(by: 31 * 60_000)
            #expect(try await client.get("/console/").status == 303)
            _ = try await client.signIn()
            // Time goes on by itself too: some of the half hour is left to it.
            for _ in 0..<26 {
                #expect(try await client.get("/console/").status == 200)
                stage.turnClock(by: 28 * 60_000)
            }
            #expect(try await client.get("/console/").status == 303, "twelve hours are over")
            _ = try await client.signIn()
            let other = ConsoleClient(stage, name: "viewer")
            other.sessionID = client.sessionID
            client.sessionID = nil
            stage.turnClock(by: 60_000)
            _ = try await client.signIn()
            let numbers = try await stage.database.read {
                try $0.query("SELECT number FROM staff_sessions ORDER BY number DESC").map { try $0.int("number") }
            }
            #expect(try await client.post("/console/account/sessions/\(numbers[1])/end").status == 303)
            #expect(try await other.get("/console/").status == 303)
            let now = stage.nowMs
            try await ConsoleClient.add(stage, "boss", .admin)
            _ = try await stage.database.write { try StaffStore.setEnabled(false, "viewer", actor: "test", nowMs: now, in: $0) }
            #expect(try await client.get("/console/").status == 303)
            #expect(try await client.enter(ConsoleClient.password).status == 401)
        }
    }

    @Test("a password that somebody else chose is changed before anything else, and the rule is kept")
    func mustChange() async throws {
        try await WebStage.with { stage in
            let client = ConsoleClient(stage, name: "new")
            try await ConsoleClient.add(stage, "new", .viewer, mustChange: true)
            try await client.enrol()
            #expect(try await client.get("/console/payments/").headers["location"] == "/console/account/?must=change")
            func change(_ old: String, _ new: String, _ again: String? = nil) async throws -> Int {
                try await client.post("/console/account/password", [("old", old), ("new", new), ("again", again ?? new)]).status
            }
            let old = ConsoleClient.password
            #expect(try await change(old, "short") == 422)
            #expect(try await change(old, "aaaaaaaaaaaaaaaaaa") == 422)
            #expect(try await change(old, "this holds new my name") == 422)
            stage.turnClock(by: 3_600_000 / 2 - 60_000)
            #expect(try await change("not the old one", "another long passphrase") == 422)
            #expect(try await change(old, "another long passphrase", "yet another passphrase") == 422)
            stage.turnClock(by: 1_200_000)
            #expect(try await change(old, "another long passphrase") == 303)
            #expect(try await client.get("/console/payments/").status == 200)
        }
    }

    @Test("a form without its session's token, with another one's, or from another site changes nothing")
    func crossSite() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin)
            let other = try await ConsoleClient.signedIn(stage, .operator)
            let tokens = ["", "x", StaffSession.formToken(of: other.sessionID ?? "")]
            for token in tokens {
                #expect(try await admin.post("/console/users/", [("name", "mallory"), ("role", "admin")], token: token).status == 403)
            }
            let foreign: [HTTPHeaders] = [["sec-fetch-site": "cross-site"], ["sec-fetch-site": "same-site"], ["origin": "https://evil.example"]]
            for headers in foreign {
                #expect(try await admin.post("/console/users/", [("name", "mallory"), ("role", "admin")], headers: headers).status == 403)
                #expect(try await admin.post("/console/sign-in", [("name", "admin"), ("password", "x")], headers: headers).status == 403)
            }
            let names = try await stage.database.read { try StaffStore.list(in: $0).map(\.name) }
            #expect(names == ["admin", "operator"])
            let added = try await admin.post(
                "/console/users/", [("name", "mallory"), ("role", "viewer")], headers: ["sec-fetch-site": "same-origin"])
            #expect(added.status == 200 && added.text.contains("mallory"))
        }
    }

    @Test("every route takes exactly those whose role it asks for, and nobody who is not signed in", arguments: StaffRole.allCases)
    func roles(role: StaffRole) async throws {
        try await WebStage.with { stage in
            let entries = stage.web.consoleEntries
            #expect(entries.count > 35)
            let client = try await ConsoleClient.signedIn(stage, role)
            let nobody = ConsoleClient(stage, name: "nobody")
            for entry in entries {
                guard case .role(let needed) = entry.audience else { continue }
                let path = entry.pattern.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix("{") ? "x" : $0 }.joined(
                    separator: "/")
                let isRead = entry.method == "GET"
                let outside = isRead ? try await nobody.get(path, method: "HEAD") : try await nobody.post(path)
                #expect(outside.status == 303 && outside.headers["location"]?.hasPrefix("/console/sign-in") == true, "\(entry.method) \(path)")
                guard path != "/console/sign-out" else { continue }
                let inside = isRead ? try await client.get(path, method: "HEAD") : try await client.post(path)
                #expect((inside.status == 403) == (role < needed), "\(entry.method) \(path) as \(role): \(inside.status)")
                #expect(inside.status < 500, "\(entry.method) \(path) as \(role): \(inside.status)")
                if !isRead, entry.pattern.hasPrefix("/console/account/") == false { #expect(needed > .viewer, "a viewer must not act: \(path)") }
            }
            #expect(try await client.get("/console/").status == 200, "the session has outlived all of it")
        }
    }
}
