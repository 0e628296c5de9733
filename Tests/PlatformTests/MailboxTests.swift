import Formats
import Testing

@Suite("Mailboxes as settings write them")
struct MailboxTests {
    @Test(
        "Name and address are told apart",
        arguments: [
            ("Quittance <no-reply@example.com>", "Quittance", "no-reply@example.com"), ("<a@b.c>", nil, "a@b.c"), (" a@b.c ", nil, "a@b.c"),
            ("\"Kit Complet\" <kit@example.com>", "Kit Complet", "kit@example.com"),
        ] as [(String, String?, String)])
    func reads(_ text: String, _ name: String?, _ address: String) {
        #expect(Mailbox(parsing: text)?.name == name)
        #expect(Mailbox(parsing: text)?.address == address)
    }

    @Test("What is no mailbox is refused", arguments: ["", "nobody", "A <b>", "A <a@b.c", "a b@c", "A <a@b.c> x", "A <<a@b.c>>"])
    func refuses(_ text: String) {
        #expect(Mailbox(parsing: text) == nil)
    }
}
