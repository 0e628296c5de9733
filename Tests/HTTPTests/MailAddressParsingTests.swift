import HTTPClient
import Testing

@Suite("Mail addresses as settings write them")
struct MailAddressParsingTests {
    @Test(
        "Name and address are told apart",
        arguments: [
            ("Quittance <no-reply@example.com>", "Quittance", "no-reply@example.com"), ("<a@b.c>", nil, "a@b.c"), (" a@b.c ", nil, "a@b.c"),
            ("\"Kit Complet\" <kit@example.com>", "Kit Complet", "kit@example.com"),
        ] as [(String, String?, String)])
    func reads(_ text: String, _ name: String?, _ address: String) {
        #expect(MailAddress(parsing: text)?.name == name)
        #expect(MailAddress(parsing: text)?.address == address)
    }

    @Test("What is no mail address is refused", arguments: ["", "nobody", "A <b>", "A <a@b.c", "a b@c", "A <a@b.c> x", "A <<a@b.c>>"])
    func refuses(_ text: String) {
        #expect(MailAddress(parsing: text) == nil)
    }
}
