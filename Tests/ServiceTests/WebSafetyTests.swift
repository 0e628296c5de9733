import Cryptography
import Database
import Downloads
import Drafts
import Formats
import HTTPServer
import ObjectStorage
import Payments
import Staff
import TestSupport
import Testing

@testable import WebService

/// What OWASP's lists begin with, over every route there is: a page that is new is looked at without being named here.
@Suite("Pages in a hostile web", .timeLimit(.minutes(3)))
struct WebSafetyTests {
    private static let pdf = Array("%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n".utf8)

    /// The path of a route; what is not known stands as something that is not there.
    private func path(_ pattern: some StringProtocol, _ values: [String: String] = [:]) -> String {
        pattern.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.hasPrefix("{") ? values[String(part.dropFirst().dropLast())] ?? "x" : String(part)
        }.joined(separator: "/")
    }

    /// The patterns of a method's routes but the API's, which browsers' cookies and forms have no part in.
    private func pages(_ stage: WebStage, _ method: String) -> [String] {
        stage.web.routes.filter { $0.hasPrefix("\(method) /") && !$0.contains(" /api/") }.map { String($0.dropFirst(method.count + 1)) }
    }

    // MARK: Forged forms

    @Test("every form of the console is refused without its session's token, and a step of the sign-in too")
    func consoleTokens() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin)
            let half = ConsoleClient(stage, name: "admin")
            _ = try await half.enter(ConsoleClient.password)
            let foreign = StaffSession.formToken(of: SecureRandom.token())
            let posts = stage.web.consoleEntries.filter { $0.method == "POST" }
            #expect(posts.count > 20)
            let before = try await stage.content()
            for entry in posts {
                let client: ConsoleClient
                switch entry.audience {
                // Nobody is known there yet: what is posted is name and password, from our own page only (below).
                case .anybody: continue
                case .entering: client = half
                case .role: client = admin
                }
                for token in ["", "x", foreign] {
                    let answer = try await client.post(path(entry.pattern), [("reason", "x")], token: token)
                    #expect(answer.status == 403 || answer.headers["location"] == "/console/", "\(entry.pattern): \(answer.status)")
                }
            }
            #expect(try await stage.content() == before)
            #expect(try await admin.get("/console/").status == 200, "not even the sign-out was taken")
        }
    }

    @Test("a form that another site's page posts is refused everywhere; only where a link or a provider's own page leads to, none is needed")
    func foreignForms() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin)
            let token = admin.sessionID.map(StaffSession.formToken) ?? ""
            var taken: Set<String> = []
            let before = try await stage.content()
            for pattern in pages(stage, "POST") {
                for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")] {
                    let headers: HTTPHeaders = [name: value, "cookie": "quittance_console=\(admin.sessionID ?? "")"]
                    let answer = try await stage.form(path(pattern), [("token", token)], headers: headers)
                    if answer.status != 403 { taken.insert(pattern) }
                }
            }
            // A provider's page posts the customer back; whoever has a payment's link has it on any page. Neither knows anybody by a cookie.
            #expect(taken == ["/payments/{provider}/return/", "/pay/{token}/initiate", "/pay/{token}/retry"])
            #expect(try await stage.content() == before)
        }
    }

    // MARK: Markup in texts

    /// Every text of the form; each says which it is.
    private static let fields: [String] = ["organization_name", "contact_name"] + InquiryForm.textFields
    private static func attack(_ field: String) -> String { "\"'><script>alert_\(field)</script><img src=x onerror=alert(1)>{{7*7}}&" }

    private static func form(email: String, phone: String) -> [(String, String)] {
        fields.map { ($0, attack($0)) } + [("email", email), ("phone", phone), ("language", "en"), ("documents_count", "1")]
    }

    private func expectHarmless(_ answer: WebStage.Answer, _ place: String) throws {
        for part in ["<script>alert", "<img src=x", "javascript:"] { #expect(!answer.text.contains(part), "\(place) holds \(part)") }
        do { try HTMLCheck.wellFormed(answer.text) } catch { Issue.record("\(place): \(error)") }
    }

    @Test("markup in each text of the form is words wherever it is shown: the form, the checkout, the lists, the kit, the payment, the link's page")
    func texts() async throws {
        try await WebStage.with { stage in
            // Nothing of these is an address or a number, and all of it comes back as it was typed.
            let typed = Self.form(email: Self.attack("email"), phone: Self.attack("phone")).filter { $0.0 != "documents_count" }
            let bad = typed + [("documents_count", Self.attack("documents_count"))]
            let back = try await stage.form("/kit/inquiry/", bad)
            #expect(back.status == 422)
            try expectHarmless(back, "the form")
            for field in Self.fields + ["email", "phone", "documents_count"] { #expect(back.text.contains("alert_\(field)"), "\(field) came back") }

            // What an address may hold.
            let sent = try await stage.form("/kit/inquiry/", Self.form(email: "o'neil&{{7*7}}`+x@example.org", phone: "+2250707123456"))
            #expect(sent.status == 303, "\(sent.text)")
            let checkout = try await stage.send("GET", try #require(sent.headers["location"]))
            try expectHarmless(checkout, "the checkout")
            let inquiry = try #require(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).first?.id })
            let payment = try await stage.database.read { try InquiryStore.requireOrder(of: inquiry, in: $0).payment }
            for name in ["evil\"><script>alert_file</script>.pdf", "a&b'{{7*7}}.pdf"] {
                let file = try await FileIntake.take(Self.pdf, to: stage.storage, folder: "attachments", name: name, rules: .attachment)
                let now = stage.nowMs
                try await stage.database.write {
                    try $0.execute(
                        "INSERT INTO drafts_attachments VALUES ($1, (SELECT COUNT(*) + 1 FROM drafts_attachments), $2, 'pdf', $3, $4, $5, $6)",
                        [.text(inquiry), .text(file.path), .text(file.name.text), .text(file.sha256), .integer(file.size), .integer(now)])
                }
            }
            for language in ["en", "fr"] {
                let staff = try await ConsoleClient.signedIn(stage, .admin, name: "admin-\(language)", language: language)
                for path in [
                    ConsolePath.kit(inquiry), "/console/kits/", "/console/kits/?q=alert_organization_name", ConsolePath.payment(payment),
                    "/console/payments/", "/console/", "/console/tasks/", "/console/notifications/", "/console/audit/",
                ] {
                    let page = try await staff.get(path)
                    #expect(page.status == 200, "\(path): \(page.status)")
                    try expectHarmless(page, path)
                }
                let kit = try await staff.get(ConsolePath.kit(inquiry)).text
                for field in InquiryForm.textFields + ["organization_name"] { #expect(kit.contains("alert_\(field)"), "the kit shows \(field)") }
            }
            let link = try await stage.link(to: payment)
            try expectHarmless(try await stage.send("GET", link), "the payment's page")
        }
    }

    @Test("markup and tricks in a file's name are words on its page, and break out of no header and no folder")
    func fileNames() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            try await stage.receive(payment)
            let names = [
                "</bdi><script>alert_file</script>.pdf", "a\r\nSet-Cookie: quittance_console=x.pdf", "../../etc/passwd", "..\\..\\win.ini",
                ".htaccess", "x\"; filename=evil.exe", "gpj.\u{202E}fdp.exe", "/\u{301}etc/\u{338}shadow",
            ]
            for (number, name) in names.enumerated() {
                let key = "finals/order/\(number)"
                let stored = try await stage.storage.put(Self.pdf, key: key, type: "application/pdf")
                let file = DownloadFile(key: key, size: stored.size, sha256: stored.sha256, name: name, type: "application/pdf")
                let now = stage.nowMs
                let grant = try await stage.database.write {
                    try Downloads.issue(
                        NewDownload(subject: "order-\(number)", payment: payment, file: file, terms: .standard), reason: "test", actor: "test",
                        nowMs: now, in: $0)
                }
                let path = try #require(DownloadLink(secret: WebStage.secret).path(of: grant))
                let page = try await stage.send("GET", path)
                #expect(page.status == 200)
                try expectHarmless(page, "the page of \(name)")
                let got = try await stage.send("POST", path)
                #expect(got.status == 200 && got.body == Self.pdf, "\(name)")
                let disposition = try #require(got.headers["content-disposition"])
                #expect(got.headers["set-cookie"] == nil && got.headers.values("content-disposition").count == 1)
                #expect(disposition.hasPrefix("attachment; filename=\"") && disposition.split(separator: "\"").count == 3, "\(disposition)")
                for part in ["/", "\\", "<", ">", "..", "\u{202E}"] { #expect(!disposition.contains(part), "\(disposition)") }
            }
        }
    }

    @Test("a final's name from the sender's machine is no path: it lies under a name of ours, and is offered without folders")
    func finals() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let (inquiry, payment) = try await stage.inquire()
            try await stage.receive(payment)
            try await stage.database.write {
                try $0.execute("UPDATE drafts_inquiries SET processing_state = 'DRAFT_DONE' WHERE id = $1", [.text(inquiry)])
            }
            let names = ["../../../etc/passwd", "..\\..\\boot.ini", "/etc/cron.d/x.pdf", ".ssh%2fauthorized_keys.pdf", "a/\u{301}../b.pdf"]
            for (number, name) in names.enumerated() {
                var body = Array("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n".utf8)
                body += Array((staff.sessionID.map(StaffSession.formToken) ?? "").utf8)
                body += Array("\r\n--b\r\nContent-Disposition: form-data; name=\"final\"; filename=\"\(name)\"\r\n\r\n".utf8) + Self.pdf
                body += Array("\r\n--b--\r\n".utf8)
                let headers: HTTPHeaders = [
                    "content-type": "multipart/form-data; boundary=b", "cookie": "quittance_console=\(staff.sessionID ?? "")",
                ]
                let sent = try await stage.send("POST", ConsolePath.kit(inquiry) + "final", headers: headers, body: body)
                #expect(sent.status == 303, "\(name): \(sent.text)")
                let got = try await staff.get(ConsolePath.kit(inquiry) + "files/final/\(number + 1)")
                #expect(got.status == 200 && got.body == Self.pdf)
                let disposition = got.headers["content-disposition"] ?? ""
                for part in ["/", "\\", ".."] { #expect(!disposition.contains(part), "\(disposition)") }
            }
            let stored = stage.privateFiles("finals/\(inquiry)")
            #expect(stored.count == names.count && stored.allSatisfy { $0.utf8.count == 32 && $0.allSatisfy(\.isHexDigit) })
            #expect(stage.privateFiles("").allSatisfy { [".incoming", "finals"].contains($0) })
            for path in ["files/final/..%2f..%2fquittance.db", "files/final/1%2f..", "files/..%2f..%2f/1", "files/template/1"] {
                #expect([404, 405].contains(try await staff.get(ConsolePath.kit(inquiry) + path).status), "\(path)")
            }
        }
    }

    // MARK: Ways out

    @Test("no word of a visitor's makes a page lead away, whatever it is called and whichever host was asked")
    func redirects() async throws {
        try await WebStage.with { stage in
            let inquiry = try await stage.inquire().inquiry
            let evil = "https://evil.example/"
            let words = ["next", "url", "back", "return", "return_url", "redirect", "redirect_uri", "continue", "target"].map { ($0, evil) }
            let query = "?\(FormURLEncoded.encode(words))"
            for pattern in pages(stage, "GET") where !pattern.hasPrefix("/assets/") {
                let path = path(pattern, ["inquiry": inquiry])
                let answer = try await stage.send("HEAD", path + query, headers: ["accept": "text/html", "x-forwarded-host": "evil.example"])
                let location = answer.headers["location"] ?? "/"
                #expect(location.hasPrefix("/") && !location.hasPrefix("//"), "\(path) leads to \(location)")
            }
            for path in ["/payments/cinetpay/return/", "/payments/om/return/"] {
                let sent = try await stage.form(path, words)
                #expect(sent.status == 303 && sent.headers["location"] == path)
            }
            // The way of a payment goes to the provider that was chosen, and nowhere else.
            let paid = try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", words)
            #expect(paid.status == 303 && paid.headers["location"]?.contains("evil.example") == false)
        }
    }

    // MARK: Policies

    @Test("every page there is says by its policy that nothing of its own runs, and holds nothing that would", arguments: [false, true])
    func policies(isSignedIn: Bool) async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            let client = ConsoleClient(stage, name: "admin")
            if isSignedIn {
                try await ConsoleClient.add(stage, "admin", .admin)
                try await client.enrol()
            }
            var seen = 0
            for pattern in pages(stage, "GET") {
                let path = path(pattern, ["inquiry": inquiry, "payment": payment, "provider": "cinetpay"])
                // An answer that goes on would never come to its end.
                let head = try await client.get(path, method: "HEAD")
                guard head.headers["content-type"]?.hasPrefix("text/html") == true else { continue }
                seen += 1
                try Self.check(try await client.get(path), path)
            }
            #expect(seen > (isSignedIn ? 15 : 5), "\(seen) pages were looked at")
            // Pages that say no.
            for answer in [
                try await stage.send("GET", "/nowhere", headers: ["accept": "text/html"]), try await stage.form("/kit/inquiry/", []),
                try await stage.form("/kit/inquiry/", [], headers: ["sec-fetch-site": "cross-site"]),
                try await stage.form("/kit/checkout/none/pay/cinetpay", []), try await client.post("/console/users/", token: "x"),
            ] where answer.headers["content-type"]?.hasPrefix("text/html") == true {
                try Self.check(answer, "\(answer.status)")
            }
        }
    }

    private static func check(_ page: WebStage.Answer, _ path: String) throws {
        let policy = page.headers["content-security-policy"] ?? ""
        #expect(policy.hasPrefix("default-src 'none'") && !policy.contains("unsafe"), "\(path): \(policy)")
        #expect(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "\(path): \(policy)")
        #expect(page.headers["x-content-type-options"] == "nosniff", "\(path)")
        #expect(!page.text.contains(" style=\"") && !page.text.contains("<style"), "\(path) has styles of its own")
        #expect(page.text.firstMatch(of: #/<[a-z][^>]*\son[a-z]+="/#) == nil, "\(path) has handlers of its own")
        for tag in page.text.split(separator: "<script").dropFirst() {
            #expect(tag.hasPrefix(" src=\"/assets/"), "\(path): <script\(tag.prefix(60))")
        }
    }
}
