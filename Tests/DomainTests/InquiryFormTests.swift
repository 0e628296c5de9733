import Drafts
import HTTPClient
import Testing

@Suite("The Kit's form")
struct InquiryFormTests {
    private static let good = ["organization_name": "Association", "contact_name": "Awa", "email": "awa@example.org"]

    private static func faults(_ changes: [String: String]) -> [String] {
        do {
            _ = try InquiryForm(fields: good.merging(changes) { $1 })
            return []
        } catch {
            guard case .invalid(let faults) = error else { return ["\(error)"] }
            return faults.map(\.field)
        }
    }

    @Test(
        "is taken with",
        arguments: [
            [:], ["phone": "+2250707123456"], ["phone": ""], ["language": "en"], ["language": ""], ["documents_count": "0"],
            ["documents_count": "100"], ["organization_name": "  Sève & Racines <SARL>  "], ["contact_name": String(repeating: "é", count: 200)],
            ["mission_text": String(repeating: "x", count: 10_000)], ["mission_text": "two\nlines\tand a tab"], ["email": "a.b+c@mail.example.co"],
            ["unknown_field": "is not looked at"],
        ])
    func taken(changes: [String: String]) { #expect(Self.faults(changes).isEmpty) }

    @Test(
        "is refused, naming the field, with",
        arguments: [
            ("organization_name", ""), ("organization_name", "   "), ("contact_name", ""), ("contact_name", String(repeating: "x", count: 201)),
            ("email", ""), ("email", "awa"), ("email", "awa@example"), ("email", "a@b@c.org"), ("email", "a b@example.org"),
            ("email", "awa@example.org\nbcc: x@example.org"), ("email", "<awa@example.org>"), ("phone", "0707123456"), ("phone", "+0707123456"),
            ("phone", "+225 0707"), ("phone", "+1"), ("language", "de"), ("documents_count", "-1"), ("documents_count", "101"),
            ("documents_count", "four"), ("mission_text", String(repeating: "x", count: 10_001)), ("sector", "a\u{0}b"), ("notes_text", "\u{1b}[31m"),
        ])
    func refused(field: String, value: String) { #expect(Self.faults([field: value]) == [field]) }

    @Test("says everything that is wrong at once")
    func allFaults() {
        #expect(
            Self.faults(["organization_name": "", "email": "x", "phone": "1", "language": "zz"]) == [
                "organization_name", "email", "phone", "language",
            ])
    }

    @Test("keeps every text of the template, without the blanks around it, French by default")
    func texts() throws {
        var fields = Self.good
        for name in InquiryForm.textFields { fields[name] = " \(name) é " }
        let form = try InquiryForm(fields: fields)
        #expect(form.language == "fr" && form.phone == nil && form.documentsCount == 0)
        #expect(form.texts == Dictionary(uniqueKeysWithValues: InquiryForm.textFields.map { ($0, "\($0) é") }))
        #expect(InquiryForm.textFields.count == 12)
    }

    @Test(
        "only takes addresses that the mail client can write to",
        arguments: [
            "awa@example.org", "a.b+c@mail.example.co", "o'neil@example.org", "é@example.org", "awa@exämple.org", "a..b@example.org",
            ".a@example.org",
            "a@example..org", "a@-example.org", "a@example-.org", "a@.org", "a@org.", "a@org", "\"a b\"@example.org", "a@[127.0.0.1]",
            "a(b)@example.org",
            "a@b@example.org", String(repeating: "a", count: 65) + "@example.org", "a@" + String(repeating: "b", count: 64) + ".org",
        ])
    func writable(email: String) {
        let isTaken = Self.faults(["email": email]).isEmpty
        // A bare host name is an address inside a network, not one that a customer has.
        #expect(isTaken == (MailAddress.isValid(email) && email.split(separator: "@").last?.contains(".") == true))
    }

    @Test("every field is checked for what may not be in it", arguments: ["organization_name", "contact_name"] + InquiryForm.textFields)
    func everyField(name: String) {
        #expect(Self.faults([name: "a\u{7}b"]) == [name])
        let limit = name.hasSuffix("_text") ? InquiryForm.longLimit : InquiryForm.shortLimit
        #expect(Self.faults([name: String(repeating: "é", count: limit)]).isEmpty)
        #expect(Self.faults([name: String(repeating: "é", count: limit + 1)]) == [name])
    }
}
