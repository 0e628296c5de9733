import Database
import Drafts
import Formats
import Payments
import ProviderPort
import SandboxService
import TestSupport
import Testing

@Suite("The pages of checkout and return")
struct WebPageTests {
    @Test("the checkout shows what is to be paid, escaped, with the address masked and one button per provider that is on")
    func checkout() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            let page = try await stage.send("GET", "/kit/checkout/\(inquiry)/")
            #expect(page.status == 200)
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("<html lang=\"fr\">"))
            #expect(page.text.contains("Sève &amp; &lt;Racines&gt;"))
            #expect(page.text.contains("12\u{A0}500\u{A0}XOF"))
            #expect(page.text.contains("a***@example.org"))
            #expect(!page.text.contains("aicha@"))
            #expect(page.text.contains("action=\"/kit/checkout/\(inquiry)/pay/cinetpay\""))
            #expect(!page.text.contains("payment-backend"))
            // Five providers, and the choice of the country.
            #expect(page.text.split(separator: "<button").count == 7)
        }
    }

    @Test("pages run no script, are framed nowhere and kept by nobody")
    func headers() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            for path in ["/kit/checkout/\(inquiry)/", "/kit/inquiry/", "/payments/cinetpay/return/?transaction_id=none"] {
                let page = try await stage.send("GET", path)
                let policy = page.headers["content-security-policy"] ?? ""
                #expect(policy.hasPrefix("default-src 'none';"))
                #expect(policy.contains("frame-ancestors 'none'"))
                #expect(!policy.contains("unsafe"))
                #expect(page.headers["x-content-type-options"] == "nosniff")
                #expect(page.headers["referrer-policy"] == "no-referrer")
                #expect(page.headers["cache-control"] == "no-store")
                #expect(!page.text.contains("<script") && !page.text.contains("style="))
                try HTMLCheck.wellFormed(page.text)
            }
            #expect(try await stage.send("GET", "/assets/site.css").headers["content-type"] == "text/css; charset=utf-8")
        }
    }

    @Test("a click leads to the provider, fifty clicks lead to one attempt, and a late click to a new one")
    func clicks() async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            let path = "/kit/checkout/\(inquiry)/pay/cinetpay"
            let locations = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<50 { group.addTask { try await stage.form(path, []).headers["location"] } }
                return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
            }
            #expect(locations.count == 1)
            let url = try #require(locations.first ?? nil)
            #expect(url.hasPrefix("http://\(stage.sandbox.boundAddress)/cinetpay/pay/"))
            #expect(try await stage.attempts(of: payment).count == 1)
            #expect(try await stage.callCount(under: "/cinetpay/v2/payment") == 1)
            let status = try await stage.database.read { try InquiryStore.require(inquiry, in: $0).paymentStatus }
            #expect(status == "PENDING")
            stage.turnClock(by: 10 * 60_000)
            let later = try await stage.form(path, [])
            #expect(later.status == 303)
            #expect(later.headers["location"] != url)
            #expect(try await stage.attempts(of: payment).count == 2)
        }
    }

    @Test("a paid inquiry shows that it is paid, and its button leads there")
    func paid() async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            _ = try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", [])
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("the payment is paid") {
                try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid"
            }
            let page = try await stage.send("GET", "/kit/checkout/\(inquiry)/")
            #expect(page.text.contains("Paiement reçu"))
            #expect(!page.text.contains("<button"))
            let click = try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", [])
            #expect(click.status == 303)
            #expect(click.headers["location"] == "/kit/checkout/\(inquiry)/")
            #expect(try await stage.attempts(of: payment).count == 1)
        }
    }

    @Test("an inquiry or a provider that is not there is a page that says so")
    func notFound() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            for answer in [
                try await stage.send("GET", "/kit/checkout/inq_none/"), try await stage.form("/kit/checkout/inq_none/pay/cinetpay", []),
                try await stage.form("/kit/checkout/\(inquiry)/pay/payment-backend", []),
                try await stage.form("/kit/checkout/\(inquiry)/pay/wave", []),
                try await stage.send("GET", "/payments/wave/return/?transaction_id=x"), try await stage.send("GET", "/payments/cinetpay/return/"),
            ] {
                #expect(answer.status == 404)
                #expect(answer.headers["content-type"] == "text/html; charset=utf-8")
                try HTMLCheck.wellFormed(answer.text)
            }
        }
    }

    @Test("a provider in trouble is told in a page with a way back")
    func trouble() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            let answer = try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", [])
            #expect(answer.status == 503)
            #expect(answer.text.contains("href=\"/kit/checkout/\(inquiry)/\""))
            try HTMLCheck.wellFormed(answer.text)
            let again = try await stage.send("GET", "/kit/checkout/\(inquiry)/")
            #expect(again.text.contains("<button"))
        }
    }

    @Test("a form that another site's page posts is refused; the return from a provider's site is not")
    func crossSite() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            let foreign: [HTTPHeaders] = [
                ["sec-fetch-site": "cross-site"], ["sec-fetch-site": "same-site"], ["origin": "https://evil.example"], ["origin": "null"],
            ]
            for headers in foreign {
                for path in ["/kit/checkout/\(inquiry)/pay/cinetpay", "/kit/inquiry/", "/api/v1/kit/inquiries/"] {
                    #expect(try await stage.form(path, [], headers: headers).status == 403, "\(path)")
                }
                #expect(try await stage.form("/payments/cinetpay/return/", [("transaction_id", "x")], headers: headers).status == 303)
            }
            let own: [HTTPHeaders] = [["sec-fetch-site": "same-origin"], ["origin": WebStage.baseURL], ["origin": stage.webURL]]
            for headers in own {
                #expect(try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", [], headers: headers).status == 303)
            }
        }
    }

    @Test("the return page finds the payment by either reference, follows it, and changes nothing")
    func returning() async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            _ = try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", [])
            let attempt = try #require(try await stage.attempts(of: payment).first?.id)
            let references = try await stage.database.read { try PaymentStore.references(of: attempt, in: $0) }
            let token = try #require(references.first { $0.kind == "token" }?.value)
            let before = try await stage.content()
            for fields in [[("transaction_id", attempt), ("token", token)], [("token", token)]] {
                let sent = try await stage.form("/payments/cinetpay/return/", fields)
                #expect(sent.status == 303)
                let location = try #require(sent.headers["location"])
                #expect(location == "/payments/cinetpay/return/?\(fields[0].0)=\(fields[0].1)")
                let page = try await stage.send("GET", location)
                #expect(page.status == 200)
                #expect(page.text.contains("http-equiv=\"refresh\""))
                try HTMLCheck.wellFormed(page.text)
            }
            #expect(try await stage.content() == before)

            _ = try await stage.play("refuse", ["reference": .string(payment)])
            try await eventually("the attempt has failed") {
                try await stage.get("/api/v1/payments/\(payment)/").string("status") == "failed"
            }
            let failed = try await stage.send("GET", "/payments/cinetpay/return/?transaction_id=\(attempt)")
            #expect(failed.text.contains("href=\"/kit/checkout/\(inquiry)/\""))
            #expect(!failed.text.contains("http-equiv=\"refresh\""))
        }
    }

    @Test("a return without a reference, or with a hostile one, leads to a page that says nothing")
    func hostileReturn() async throws {
        try await WebStage.with { stage in
            let nothing = try await stage.form("/payments/cinetpay/return/", [])
            #expect(nothing.headers["location"] == "/payments/cinetpay/return/")
            let hostile = try await stage.form("/payments/cinetpay/return/", [("transaction_id", "\"><script>\r\nSet-Cookie: a=b")])
            let location = try #require(hostile.headers["location"])
            #expect(location == "/payments/cinetpay/return/?transaction_id=%22%3E%3Cscript%3E%0D%0ASet-Cookie%3A+a%3Db")
            #expect(hostile.headers["set-cookie"] == nil)
            let page = try await stage.send("GET", location)
            #expect(page.status == 404)
            #expect(!page.text.contains("script"))
            #expect(try await stage.send("POST", "/payments/cinetpay/return/", body: Array("%zz".utf8)).status == 303)
        }
    }

    @Test("the inquiry's form leads to the checkout; with faults it comes back as it was filled in", arguments: ["fr", "en"])
    func inquiryForm(language: String) async throws {
        try await WebStage.with { stage in
            let empty = try await stage.send("GET", "/kit/inquiry/?lang=\(language)")
            #expect(empty.status == 200)
            #expect(empty.text.contains("<html lang=\"\(language)\">"))
            try HTMLCheck.wellFormed(empty.text)
            for name in ["organization_name", "email", "documents_count"] + InquiryForm.textFields {
                #expect(empty.text.contains("name=\"\(name)\""), "\(name)")
            }
            let faulty = try await stage.form(
                "/kit/inquiry/", [("language", language), ("organization_name", "\"Sève\" <&>"), ("notes_text", "</textarea><b>")])
            #expect(faulty.status == 422)
            try HTMLCheck.wellFormed(faulty.text)
            #expect(faulty.text.contains("value=\"&quot;Sève&quot; &lt;&amp;&gt;\""))
            #expect(faulty.text.contains("&lt;/textarea&gt;&lt;b&gt;"))
            #expect(faulty.text.contains("id=\"email-fault\""))

            let taken = try await stage.form(
                "/kit/inquiry/",
                [("language", language), ("organization_name", "Sève"), ("contact_name", "Aïcha"), ("email", "a@example.org"), ("phone", "")])
            #expect(taken.status == 303)
            let checkout = try #require(taken.headers["location"])
            #expect(try await stage.send("GET", checkout).text.contains("<html lang=\"\(language)\">"))
        }
    }
}

/// A strict look at a page's tags: everything opened is closed, in order, and attributes are quoted.
enum HTMLCheck {
    static func wellFormed(_ page: String) throws {
        guard page.hasPrefix("<!DOCTYPE html>\n") else { throw FixtureError("no doctype") }
        var open: [Substring] = []
        var rest = page.dropFirst("<!DOCTYPE html>".count)
        while let start = rest.firstIndex(of: "<") {
            guard !rest[..<start].contains(">") else { throw FixtureError("a bare > before \(rest[start...].prefix(40))") }
            guard let end = rest[start...].firstIndex(of: ">") else { throw FixtureError("a tag without its end") }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("/") {
                guard open.popLast() == tag.dropFirst() else { throw FixtureError("</\(tag.dropFirst())> closes nothing; open: \(open)") }
                continue
            }
            let name = tag.prefix { $0.isLetter || $0.isNumber }
            guard !name.isEmpty, !tag.contains("<") else { throw FixtureError("no tag: <\(tag)>") }
            // Name, then pairs of `name=` and a quoted value.
            let quotes = tag.split(separator: "\"", omittingEmptySubsequences: false)
            guard quotes.count % 2 == 1 else { throw FixtureError("a quote is open in <\(tag)>") }
            for piece in quotes.enumerated() where piece.offset % 2 == 0 && piece.offset < quotes.count - 1 {
                guard piece.element.hasSuffix("=") else { throw FixtureError("an attribute without its name in <\(tag)>") }
            }
            if !tag.hasSuffix("/") { open.append(name) }
        }
        guard open.isEmpty else { throw FixtureError("never closed: \(open)") }
    }
}
