import Access
import Database
import Formats
import HTTPServer
import Payments
import SandboxService
import Settings
import TestSupport
import Testing

@testable import WebService

@Suite("Payment links")
struct WebLinkTests {
    @Test("a token says what was signed and nothing else, whatever is changed in it")
    func tokens() throws {
        let link = PaymentLink(secret: WebStage.secret)
        let payment = "pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9"
        let token = try #require(link.token(for: payment, .pay, generation: 3, lifeMs: 60_000, nowMs: 1_700_000_000_999))
        #expect(token.text.utf8.count == 54)
        #expect(token.text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
        let grant = try #require(link.read(token.text))
        #expect(grant == PaymentLink.Grant(purpose: .pay, payment: payment, generation: 3, expiresAtMs: 1_700_000_060_000))
        for place in token.text.indices {
            var changed = token.text
            let letter = changed[place]
            changed.replaceSubrange(place...place, with: letter == "A" ? "B" : "A")
            #expect(link.read(changed) == nil, "\(changed)")
        }
        for wrong in ["", "x", String(token.text.dropLast()), token.text + "A", token.text + "=", "%", String(repeating: "é", count: 27)] {
            #expect(link.read(wrong) == nil)
        }
        #expect(PaymentLink(secret: String(repeating: "z", count: 32)).read(token.text) == nil)
        #expect(link.token(for: "inq_1", .pay, generation: 0, nowMs: 0) == nil)
    }

    @Test("while the secret is exchanged both verify and the first signs; a phrase with blanks is one secret")
    func rotation() throws {
        let (old, new) = (String(repeating: "o", count: 32), String(repeating: "n", count: 32))
        let payment = "pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9"
        let before = try #require(PaymentLink(secret: old).token(for: payment, .watch, generation: 0, nowMs: 0))
        let both = PaymentLink(secret: "\(new) \(old)")
        #expect(both.read(before.text)?.purpose == .watch)
        let after = try #require(both.token(for: payment, .watch, generation: 0, nowMs: 0))
        #expect(PaymentLink(secret: new).read(after.text) != nil)
        #expect(PaymentLink(secret: old).read(after.text) == nil)
        let phrase = "correct horse battery staple and some more words"
        let spoken = try #require(PaymentLink(secret: phrase).token(for: payment, .pay, generation: 0, nowMs: 0))
        #expect(PaymentLink(secret: "correct").read(spoken.text) == nil)
    }

    @Test("a payment's id and its sixteen bytes are the same thing")
    func identifiers() throws {
        for _ in 0..<100 {
            let id = ULID.make()
            let bytes = try #require(ULID.bytes(of: id))
            #expect(bytes.count == 16)
            #expect(ULID.text(of: bytes) == id)
        }
        #expect(ULID.text(of: [UInt8](repeating: 255, count: 16)) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
        #expect(ULID.bytes(of: "8ZZZZZZZZZZZZZZZZZZZZZZZZZ") == nil)
    }

    @Test("the link of an order shows what is owed with the ways that fit, and leads to the provider and to paid", arguments: ["fr", "en"])
    func paying(language: String) async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order(language: language)
            let made = try await stage.post("/api/v1/payments/\(payment)/link/", [:])
            #expect(made.status == 201)
            let url = try #require(made.string("url"))
            #expect(url.hasPrefix("\(WebStage.baseURL)/pay/"))
            let path = String(url.dropFirst(WebStage.baseURL.count))
            let page = try await stage.send("GET", path)
            #expect(page.status == 200)
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("<html lang=\"\(language)\">"))
            #expect(page.text.contains("Chaise &lt;bleue&gt;"))
            #expect(page.text.contains("12\u{A0}500\u{A0}XOF"))
            #expect(page.text.contains("action=\"\(path)/pay/cinetpay\""))
            #expect(page.headers["cache-control"] == "no-store")
            #expect(page.headers["referrer-policy"] == "no-referrer")
            let policy = page.headers["content-security-policy"] ?? ""
            #expect(policy.hasPrefix("default-src 'none';") && !policy.contains("unsafe") && policy.contains("connect-src 'self'"))

            let sent = try await stage.form("\(path)/pay/cinetpay", [])
            #expect(sent.status == 303)
            #expect(sent.headers["location"]?.hasPrefix("http://\(stage.sandbox.boundAddress)/cinetpay/pay/") == true)
            #expect(try await stage.form("\(path)/pay/cinetpay", []).headers["location"] == sent.headers["location"])
            let waiting = try await stage.send("GET", path)
            #expect(waiting.text.contains(language == "fr" ? "Reprendre le paiement commencé" : "Take up the payment that was started"))
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("the payment is paid") { try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid" }

            let paid = try await stage.send("GET", path)
            #expect(paid.text.contains(language == "fr" ? "Paiement reçu" : "Payment received"))
            #expect(!paid.text.contains("<form") && !paid.text.contains("<script"))
            let late = try await stage.form("\(path)/pay/cinetpay", [])
            #expect(late.status == 303 && late.headers["location"] == path)
            #expect(try await stage.attempts(of: payment).count == 1)
        }
    }

    @Test("whatever is wrong with a token is one answer; one that has run out or was taken back says so, and how to get another")
    func refusals() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order(language: "en")
            let path = try await stage.link(to: payment, ["expires_in": 3600])
            let token = String(path.dropFirst(5))
            let stranger = try #require(
                PaymentLink(secret: WebStage.secret).token(for: "pay_\(ULID.make())", .pay, generation: 0, nowMs: stage.nowMs))
            var bodies: Set<String> = []
            for wrong in ["x", String(token.dropLast()) + (token.last == "A" ? "B" : "A"), stranger.text, String(repeating: "A", count: 54)] {
                let answer = try await stage.send("GET", "/pay/\(wrong)")
                #expect(answer.status == 404)
                bodies.insert(answer.text)
                #expect(try await stage.form("/pay/\(wrong)/pay/cinetpay", []).status == 404)
                #expect(try await stage.send("GET", "/pay/\(wrong)/status").status == 404)
                #expect(try await stage.send("GET", "/pay/\(wrong)/events").status == 404)
            }
            #expect(bodies.count == 1)

            #expect(try await stage.delete("/api/v1/payments/\(payment)/link/").status == 200)
            for answer in [try await stage.send("GET", path), try await stage.form("\(path)/pay/cinetpay", [])] {
                #expect(answer.status == 410)
                #expect(answer.text.contains("ask whoever sent it"))
                #expect(!answer.text.contains("Chaise"))
                try HTMLCheck.wellFormed(answer.text)
            }
            let next = try await stage.link(to: payment, ["expires_in": 3600])
            #expect(try await stage.send("GET", next).status == 200)
            stage.turnClock(by: 3_600_000)
            #expect(try await stage.send("GET", next).status == 410)
            let status = try await stage.send("GET", "\(next)/status")
            #expect(status.status == 410 && status.headers["content-type"] == "application/problem+json")
            #expect(try await stage.attempts(of: payment).isEmpty)
        }
    }

    @Test("a link for looking shows where the payment stands and starts nothing")
    func watching() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment, ["purpose": "watch"])
            let page = try await stage.send("GET", path)
            #expect(page.status == 200 && !page.text.contains("<form"))
            #expect(try await stage.form("\(path)/pay/cinetpay", []).status == 404)
            let start = try await stage.send(
                "POST", "\(path)/initiate", headers: ["content-type": "application/json"], body: Array(#"{"provider":"cinetpay"}"#.utf8))
            #expect(start.status == 403)
            #expect(try await stage.send("GET", "\(path)/status").json["may_pay"]?.bool == false)
            #expect(try await stage.attempts(of: payment).isEmpty)
        }
    }

    @Test("a page of any site may ask with the token, is told what fits, starts once however often it asks, and starts anew on purpose")
    func fromOtherSites() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment)
            let foreign: HTTPHeaders = ["origin": "https://shop.example", "sec-fetch-site": "cross-site", "content-type": "application/json"]
            let asked = try await stage.send("OPTIONS", "\(path)/initiate", headers: ["origin": "https://shop.example"])
            #expect(asked.status == 204)
            #expect(asked.headers["access-control-allow-origin"] == "*")
            #expect(asked.headers["access-control-allow-credentials"] == nil)
            let status = try await stage.send("GET", "\(path)/status", headers: foreign)
            #expect(status.headers["access-control-allow-origin"] == "*")
            #expect(status.string("status") == "created" && status.string("amount") == "12500")
            let choices = try await stage.send("GET", "\(path)/choices", headers: foreign)
            #expect(choices.string("country") == "BJ")
            let feexpay = try #require(choices.json["choices"]?.array?.first { $0["provider"]?.string == "feexpay" })
            let networks = (feexpay["ways"]?.array ?? []).compactMap { $0["network"]?.string }
            #expect(networks.contains("mtn") && !networks.contains("orange_sn"))

            func start(_ verb: String, _ phone: String) async throws -> WebStage.Answer {
                let body: JSON = ["provider": "feexpay", "network": "mtn", "phone": .string(phone)]
                return try await stage.send("POST", "\(path)/\(verb)", headers: foreign, body: body.bytes)
            }
            let first = try await start("initiate", "+229 01 66 00 00 03")
            #expect(first.status == 201, "\(first.text)")
            #expect(first.headers["access-control-allow-origin"] == "*")
            #expect(first.json["step"]?["kind"]?.string == "approve")
            let second = try await start("initiate", "+2290166000003")
            #expect(second.string("payment_url") == first.string("payment_url"))
            #expect(try await stage.attempts(of: payment).count == 1)
            let other = try await start("retry", "+2290167000003")
            #expect(other.status == 201, "\(other.text)")
            let gaveWay = try await stage.database.read {
                try $0.first("SELECT COUNT(*) AS n FROM payments_facts WHERE claim = 'replaced'")?.int("n")
            }
            #expect(gaveWay == 1)
            #expect(try await stage.attempts(of: payment).count == 2)
            let wrong = try await start("initiate", "66000000")
            #expect(wrong.status == 422)
            #expect(wrong.headers["access-control-allow-origin"] == "*")
        }
    }

    @Test("one phone is asked five times in ten minutes, whichever payment it is for, and one payment is tried ten times an hour")
    func pushes() async throws {
        try await WebStage.with { stage in
            stage.turnClock(by: 600_000 - stage.nowMs % 600_000)
            func push(_ path: String, _ phone: String) async throws -> WebStage.Answer {
                let body: JSON = ["provider": "feexpay", "network": "mtn", "phone": .string(phone)]
                return try await stage.send("POST", "\(path)/retry", headers: ["content-type": "application/json"], body: body.bytes)
            }
            let (first, second) = (try await stage.order("order-1"), try await stage.order("order-2"))
            let paths = [try await stage.link(to: first), try await stage.link(to: second)]
            for number in 0..<CheckoutStart.pushesMax {
                let answer = try await push(paths[number % 2], number < 2 ? "+2290166000003" : "+22966000003")
                #expect(answer.status == 201, "\(answer.text)")
            }
            let refused = try await push(paths[0], "+2290166000003")
            #expect(refused.status == 429 && refused.headers["retry-after"] == "600", "\(refused.text)")
            #expect(try await push(paths[0], "+2290166000007").status == 201)
            stage.turnClock(by: 600_000)
            #expect(try await push(paths[0], "+2290166000003").status == 201)

            let made = try await stage.attempts(of: first).count
            for number in made..<CheckoutStart.attemptsMax { #expect(try await push(paths[0], "+22901660001\(10 + number)").status == 201) }
            let over = try await push(paths[0], "+2290166000199")
            #expect(over.status == 429 && over.string("detail")?.contains("10 times") == true, "\(over.text)")
            #expect(try await push(paths[1], "+2290166000199").status == 201)
            stage.turnClock(by: 3_600_000)
            #expect(try await push(paths[0], "+2290166000199").status == 201)
        }
    }

    @Test("what anybody may post is counted by address, behind the proxies that are named")
    func openPosts() async throws {
        var api = WebStage.unlimited
        api.openPostsPerMinute = 3
        try await WebStage.with(api: api) { stage in
            stage.turnClock(by: 60_000 - stage.nowMs % 60_000)
            func post(_ forwarded: String) async throws -> WebStage.Answer {
                try await stage.form("/kit/inquiry/", [("contact_name", "Awa")], headers: ["x-forwarded-for": forwarded])
            }
            for _ in 0..<3 { #expect(try await post("203.0.113.7").status == 422) }
            #expect(try await post("203.0.113.7").status == 429)
            // What a customer writes in front of what the proxy has written changes nothing.
            let api = try await stage.send("POST", "/api/v1/kit/inquiries/", headers: ["x-forwarded-for": "198.51.100.1, 203.0.113.7"])
            #expect(api.status == 429 && api.headers["retry-after"] == "60")
            #expect(try await post("203.0.113.8").status == 422)
            for number in 1...3 { #expect(try await post("2001:db8::\(number)").status == 422) }
            #expect(try await post("2001:db8::4").status == 429)
            #expect(try await stage.send("GET", "/kit/inquiry/", headers: ["x-forwarded-for": "203.0.113.7"]).status == 200)
            stage.turnClock(by: 60_000)
            #expect(try await post("203.0.113.7").status == 422)
        }
    }

    @Test("an address that guesses, or asks too much, waits a minute")
    func limits() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment)
            func ask(_ path: String, from address: String) async throws -> Int {
                try await stage.send("GET", path, headers: ["x-forwarded-for": address]).status
            }
            // What is counted is counted by the minute: it begins anew here, and not on the way.
            func beginMinute() { stage.turnClock(by: 60_000 - stage.nowMs % 60_000) }
            beginMinute()
            for _ in 0..<30 { #expect(try await ask("/pay/guess", from: "203.0.113.7") == 404) }
            #expect(try await ask("/pay/guess", from: "203.0.113.7") == 429)
            #expect(try await ask(path, from: "203.0.113.7") == 429)
            #expect(try await ask(path, from: "203.0.113.8") == 200)
            var statuses: Set<Int> = []
            beginMinute()
            for _ in 0..<245 { statuses.insert(try await ask("\(path)/status", from: "203.0.113.9")) }
            #expect(statuses == [200, 429])
            stage.turnClock(by: 60_000)
            #expect(try await ask(path, from: "203.0.113.7") == 200)
        }
    }

    @Test("what the API is asked for links is checked: a payment that is not there, a life too long, a word that is none")
    func badRequests() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            #expect(try await stage.post("/api/v1/payments/pay_none/link/", [:]).status == 404)
            #expect(try await stage.delete("/api/v1/payments/pay_none/link/").status == 404)
            for body: JSON in [["expires_in": 59], ["expires_in": 7_776_001], ["purpose": "steal"], ["expires_in": "1h"]] {
                #expect(try await stage.post("/api/v1/payments/\(payment)/link/", body).status == 422)
            }
            #expect(try await stage.send("POST", "/api/v1/payments/\(payment)/link/").status == 401)
            #expect(
                try await stage.send("POST", "/api/v1/payments/\(payment)/link/", headers: ["authorization": "Bearer \(stage.key)"]).status == 201)
        }
    }

    @Test("a link to pay counts as a move of its payment, since somebody was asked for the money; one to watch does not")
    func moves() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            func moved() async throws -> Int64 { try await stage.database.read { try PaymentStore.require(payment, in: $0).updatedAtMs } }
            let start = try await moved()
            stage.turnClock(by: 60_000)
            #expect(try await stage.post("/api/v1/payments/\(payment)/link/", ["purpose": "watch"]).status == 201)
            #expect(try await moved() == start)
            #expect(try await stage.post("/api/v1/payments/\(payment)/link/", [:]).status == 201)
            #expect(try await moved() >= start + 60_000)
        }
    }

    @Test("a country that is chosen narrows the networks; the phone's country is the first choice")
    func countries() async throws {
        try await WebStage.with { stage in
            let path = try await stage.link(to: try await stage.order(phone: "+22890112233", language: "en"))
            let togo = try await stage.send("GET", path)
            #expect(togo.text.contains(">Moov Togo<") && !togo.text.contains(">MTN Bénin<"))
            #expect(togo.text.contains("<option value=\"TG\" selected=\"selected\">Togo</option>"))
            let benin = try await stage.send("GET", "\(path)?country=BJ")
            #expect(benin.text.contains(">MTN Bénin<") && !benin.text.contains(">Moov Togo<"))
            let all = try await stage.send("GET", "\(path)?country=all")
            #expect(all.text.contains("(Benin)") && all.text.contains("(Togo)"))
            try HTMLCheck.wellFormed(all.text)
        }
    }
}
