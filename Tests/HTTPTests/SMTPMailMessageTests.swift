import Formats
import HTTPClient
import TestSupport
import Testing

@Suite struct SMTPMailMessageTests {
    private func message(_ change: (inout MailMessage) -> Void = { _ in }) -> MailMessage {
        var message = MailMessage(
            from: .init("facture@example.org", name: "Quittance"), to: ["client@example.org"], subject: "Test", textBody: "Hello\n",
            messageID: "<job_01@example.org>", dateMs: 1_795_248_000_000)
        change(&message)
        return message
    }

    /// Sends it through a real server and gives what Python's email package reads.
    private func delivered(_ messages: [MailMessage]) async throws -> [SMTPServer.Received] {
        let server = try await SMTPServer.start()
        let client = try SMTPClient(url: server.url)
        for message in messages {
            try await client.send(from: message.from.address, to: message.to.map(\.address), message: message.encoded())
        }
        client.close()
        let received = try await server.waitForMessages(messages.count)
        for one in received {
            #expect(one.defects.isEmpty)
            #expect(one.longestLine <= 78, "a line of \(one.longestLine) bytes in \(one.subject)")
        }
        return received
    }

    @Test func everythingIsReadBackByAnotherImplementation() async throws {
        let attachment = MailMessage.Attachment(
            name: "facture n° 2026-0001 – élève.pdf", contentType: "application/pdf", bytes: (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 13) })
        let text = "Bonjour Aïcha,\n\nvotre reçu de 12 500 XOF est joint.\r\n.\nÀ bientôt \n" + String(repeating: "très long = ", count: 50)
        let html = "<p lang=\"fr\">Votre reçu &amp; merci – <b>12 500 XOF</b></p>\n"
        let received = try await delivered([
            message {
                $0.from = .init("facture@example.org", name: "Société \"Élan\", Côte d'Ivoire")
                $0.to = [.init("a@example.org", name: "Dupont, Jean"), .init("b@example.org", name: "משה כהן"), "c@example.org"]
                $0.replyTo = .init("aide@example.org", name: "Service d'aide (24 h)")
                $0.subject = "Votre reçu n° 2026-0001: été, œuvre, 12 500 XOF, et une fin assez longue pour que la ligne soit pliée"
                $0.textBody = text
                $0.htmlBody = html
                $0.attachments = [attachment, .init(name: "vide.txt", contentType: "text/plain", bytes: [])]
                $0.headers = ["Auto-Submitted": "auto-generated", "X-Note": "voilà"]
            }
        ])
        let one = try #require(received.first)
        #expect(one.subject == "Votre reçu n° 2026-0001: été, œuvre, 12 500 XOF, et une fin assez longue pour que la ligne soit pliée")
        #expect(one.sender == [["Société \"Élan\", Côte d'Ivoire", "facture@example.org"]])
        #expect(one.recipients == [["Dupont, Jean", "a@example.org"], ["משה כהן", "b@example.org"], ["", "c@example.org"]])
        #expect(one.header("Reply-To") == "\"Service d'aide (24 h)\" <aide@example.org>")
        #expect(one.header("Message-ID") == "<job_01@example.org>")
        #expect(one.header("Auto-Submitted") == "auto-generated")
        #expect(one.header("X-Note") == "voilà")
        #expect(one.date == 1_795_248_000)
        let lines = { (text: String) in text.replacing("\r\n", with: "\n") }
        #expect(one.text.map(lines)?.hasPrefix(lines(text)) == true)
        #expect(one.html.map(lines) == html || one.html.map(lines) == String(html.dropLast()))
        #expect(one.attachments.map(\.name) == [attachment.name, "vide.txt"])
        #expect(one.attachments.map(\.type) == ["application/pdf", "text/plain"])
        #expect(one.attachments.first?.bytes == attachment.bytes)
        #expect(one.attachments.last?.bytes == [])
    }

    @Test func subjectsInManyScriptsAndShapesComeThrough() async throws {
        let subjects = [
            "Plain", "שלום, הקבלה שלך מוכנה ומצורפת להודעה זו", "עם English וגם français à la fois", String(repeating: "é", count: 200),
            String(repeating: "x", count: 300), "=?utf-8?B?bm90IGRlY29kZWQ=?= as it stands", "two  blanks", " leading and trailing ",
            "🎉🇨🇮 combined é e\u{301}",
            "a: b; c=\"d\" <e@f>",
        ]
        let received = try await delivered(subjects.map { subject in message { $0.subject = subject } })
        #expect(received.map(\.subject) == subjects)
    }

    @Test func bodiesInManyShapesComeThrough() async throws {
        let bodies = [
            "", "one line", "\n\nblank lines\n\n\n", "trailing blank \nand tab\t\n", String(repeating: "a", count: 5000), "=3D =\n=",
            "From me\n.\n..\n",
            String(repeating: "שורה בעברית\n", count: 100), String(repeating: "é", count: 76) + "\n", "old\rMac",
            String(repeating: "a", count: 75) + " \nb",
            String(repeating: "a", count: 76) + "\n" + String(repeating: "b", count: 77),
        ]
        let received = try await delivered(bodies.map { body in message { $0.textBody = body } })
        for (body, one) in zip(bodies, received) {
            let expected = body.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
            let got = (one.text ?? "").replacing("\r\n", with: "\n")
            // A message ends with a line end, whether the text does or not.
            #expect(got == expected || got == expected + "\n")
        }
    }

    @Test func theSameMessageIsTheSameBytes() throws {
        let one = message { $0.attachments = [.init(name: "a", contentType: "a/b", bytes: [1, 2, 3])] }
        #expect(try one.encoded() == one.encoded())
    }

    @Test func theDateIsWrittenAsMailWantsIt() throws {
        let text = String(decoding: try message().encoded(), as: UTF8.self)
        #expect(text.hasPrefix("Date: Sat, 21 Nov 2026 08:00:00 +0000\r\n"), "\(text)")
    }

    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let apply: @Sendable (inout MailMessage) -> Void
    }

    @Test(arguments: [
        Attack(testDescription: "subject") { $0.subject = "a\r\nBcc: evil@example.org" },
        Attack(testDescription: "subject, bare line feed") { $0.subject = "a\nBcc: evil@example.org" },
        Attack(testDescription: "subject, bare return") { $0.subject = "a\rb" },
        Attack(testDescription: "from name") { $0.from.name = "a\r\nBcc: evil@example.org" },
        Attack(testDescription: "from address") { $0.from.address = "a@example.org\r\nBcc: evil@example.org" },
        Attack(testDescription: "to name") { $0.to[0].name = "a\nb" },
        Attack(testDescription: "to address") { $0.to[0].address = "a@example.org>, <evil@example.org" },
        Attack(testDescription: "no recipient") { $0.to = [] },
        Attack(testDescription: "message id") { $0.messageID = "a@b>\r\nX: 1" },
        Attack(testDescription: "header value") { $0.headers = ["X-A": "a\r\nb"] },
        Attack(testDescription: "header name") { $0.headers = ["X-A: 1\r\nX-B": "a"] },
        Attack(testDescription: "own header") { $0.headers = ["bcc": "evil@example.org"] },
        Attack(testDescription: "content header") { $0.headers = ["Content-Type": "text/html"] },
        Attack(testDescription: "attachment name") { $0.attachments = [.init(name: "a\r\nX: 1", contentType: "a/b", bytes: [])] },
        Attack(testDescription: "attachment type") { $0.attachments = [.init(name: "a", contentType: "a/b\r\nX: 1", bytes: [])] },
        Attack(testDescription: "attachment without a subtype") { $0.attachments = [.init(name: "a", contentType: "a", bytes: [])] },
        Attack(testDescription: "zero byte") { $0.subject = "a\u{0}b" },
        Attack(testDescription: "endless subject") { $0.subject = String(repeating: "a", count: 3000) },
    ])
    func nothingBreaksOutOfItsPlace(_ attack: Attack) {
        #expect(throws: MailMessageError.self) { try message(attack.apply).encoded() }
    }
}
