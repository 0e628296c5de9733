import HTTPClient
import TestSupport
import Testing

@Suite struct SMTPClientTests {
    private static let message = Array("Subject: test\r\n\r\nhello\r\n".utf8)

    private func client(_ url: String, timeout: Duration = .seconds(120), trusting certificate: TestCertificate? = nil) throws -> SMTPClient {
        SMTPClient(address: try SMTPAddress(parsing: url), timeout: timeout, trustedCertificates: certificate?.certificatePath)
    }

    private func failure(_ client: SMTPClient, to recipients: [String] = ["to@example.org"]) async throws -> SMTPError {
        do throws(SMTPError) {
            try await client.send(from: "from@example.org", to: recipients, message: Self.message)
        } catch {
            return error
        }
        throw FixtureError("the message was accepted")
    }

    @Test func aMessageArrivesByteForByteWithItsEnvelope() async throws {
        let server = try await SMTPServer.start()
        let client = try client(server.url)
        let message = Array("Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\nmid.dle\r\n\r\n.\r\nend\r\n".utf8)
        try await client.send(from: "from@example.org", to: ["one@example.org", "two@example.org"], message: message)
        let received = try #require(try await server.waitForMessages().first)
        #expect(received.data == message)
        #expect(received.from == "from@example.org")
        #expect(received.to == ["one@example.org", "two@example.org"])
        #expect(!received.isEncrypted && received.user == nil)
    }

    @Test func aLargeMessageArrivesWhole() async throws {
        let server = try await SMTPServer.start()
        let message = Self.message + Array(repeatElement(Array("0123456789.\r\n.123456789\r\n".utf8), count: 10_000).joined())
        try await client(server.url).send(from: "from@example.org", to: ["to@example.org"], message: message)
        #expect(try await server.waitForMessages().first?.data == message)
    }

    @Test func theConnectionIsUsedAgain() async throws {
        let server = try await SMTPServer.start()
        let client = try client(server.url)
        for _ in 0..<3 { try await client.send(from: "from@example.org", to: ["to@example.org"], message: Self.message) }
        #expect(Set(try await server.waitForMessages(3).map(\.peerPort)).count == 1)
    }

    @Test(arguments: [
        (SMTPServer.Refusal("bad@example.org", code: 550), 550, true), (.init("bad@example.org", code: 452), 452, false),
        (.init("from@example.org", code: 553), 553, true), (.init("from@example.org", code: 451), 451, false),
        (.message(code: 554), 554, true), (.message(code: 451), 451, false),
    ])
    func theServersReplyCodeDecides(_ refusal: SMTPServer.Refusal, code: Int, isPermanent: Bool) async throws {
        let server = try await SMTPServer.start(refusing: [refusal])
        let client = try client(server.url)
        let error = try await failure(client, to: ["good@example.org", "bad@example.org"])
        #expect(error.kind == .refused && error.code == code)
        #expect(error.isPermanent == isPermanent && error.isTransient == !isPermanent)
        #expect(error.message.contains("refused by the test"), "\(error)")
        #expect(!error.mayHaveBeenAccepted)
        #expect(try server.received().isEmpty, "a message that one recipient is refused goes to none")
    }

    @Test func whatWasRefusedForNowIsAcceptedLater() async throws {
        let server = try await SMTPServer.start(refusing: [.init("to@example.org", code: 451, times: 1)])
        let client = try client(server.url)
        #expect(try await failure(client).isTransient)
        try await client.send(from: "from@example.org", to: ["to@example.org"], message: Self.message)
        try await server.waitForMessages(1)
    }

    @Test func noServerIsTransient() async throws {
        let error = try await failure(client("smtp://127.0.0.1:\(try freePort())"))
        #expect(error.kind == .connection && error.isTransient && error.code == nil && !error.mayHaveBeenAccepted)
    }

    @Test func silenceAfterTheMessageIsToldApart() async throws {
        let server = try await SMTPServer.start(isSilent: true)
        let error = try await failure(client(server.url, timeout: .seconds(1)))
        #expect(error.kind == .timeout && error.isTransient)
        #expect(error.mayHaveBeenAccepted)
    }

    @Test func cancellationAbortsTheWaitForTheAnswer() async throws {
        let server = try await SMTPServer.start(isSilent: true)
        let client = try client(server.url)
        let started = ContinuousClock.now
        let task = Task { try await failure(client) }
        try await server.process.waitForLine(containing: "swallowed", within: .seconds(60))
        task.cancel()
        let error = try await task.value
        #expect(error.kind == .cancelled && error.mayHaveBeenAccepted)
        #expect(ContinuousClock.now - started < .seconds(60), "the time-out came first")
    }

    @Test func aMessageCancelledHalfWayIsNotDeliveredInPart() async throws {
        let server = try await SMTPServer.start(stall: .seconds(2))
        let client = try client(server.url)
        let message = Self.message + Array(repeatElement(Array((String(repeating: "x", count: 900) + "\r\n").utf8), count: 20_000).joined())
        let task = Task { try await client.send(from: "from@example.org", to: ["to@example.org"], message: message) }
        try await server.process.waitForLine(containing: "stalled", within: .seconds(60))
        task.cancel()
        await #expect { try await task.value } throws: { error in
            guard let error = error as? SMTPError else { return false }
            return error.kind == .cancelled && !error.mayHaveBeenAccepted
        }
        try await server.process.waitForLine(containing: "lost", within: .seconds(60))
        #expect(try server.received().isEmpty, "a part was taken for the whole")
    }

    @Test func closingTheClientAborts() async throws {
        let server = try await SMTPServer.start(isSilent: true)
        let client = try client(server.url)
        let task = Task { try await failure(client) }
        try await server.process.waitForLine(containing: "swallowed", within: .seconds(60))
        client.close()
        let closed = ContinuousClock.now
        #expect(try await task.value.kind == .cancelled)
        #expect(try await failure(client).kind == .cancelled)
        #expect(ContinuousClock.now - closed < .seconds(60))
    }

    // MARK: Encryption and log in

    @Test(arguments: [
        (SMTPServer.Security.offered, "smtp", ""), (.offered, "smtp", "?tls=required"), (.required, "smtp", "?tls=offered"), (.implicit, "smtps", ""),
    ])
    func encryptionIsUsedWhereItIs(_ security: SMTPServer.Security, scheme: String, query: String) async throws {
        let certificate = try await TestCertificate.make()
        let server = try await SMTPServer.start(credentials: ("user@x", "p:ss wörd"), security: security, certificate: certificate)
        let client = try client("\(scheme)://user%40x:p%3Ass%20w%C3%B6rd@localhost:\(server.port)\(query)", trusting: certificate)
        try await client.send(from: "from@example.org", to: ["to@example.org"], message: Self.message)
        let received = try #require(try await server.waitForMessages().first)
        #expect(received.isEncrypted && received.user == "user@x")
    }

    @Test func requiredEncryptionThatIsNotOfferedFails() async throws {
        let server = try await SMTPServer.start()
        let error = try await failure(client("\(server.url)?tls=required"))
        #expect(error.kind == .tls)
        #expect(try server.received().isEmpty)
    }

    @Test(arguments: [("smtp", SMTPServer.Security.offered), ("smtps", .implicit)])
    func aCertificateThatNobodyVouchesForFails(scheme: String, security: SMTPServer.Security) async throws {
        let certificate = try await TestCertificate.make()
        let server = try await SMTPServer.start(security: security, certificate: certificate)
        let error = try await failure(client("\(scheme)://localhost:\(server.port)"))
        #expect(error.kind == .tls && error.isPermanent)
        #expect(try server.received().isEmpty)
    }

    @Test func aWrongPasswordIsToldWithoutSayingIt() async throws {
        let server = try await SMTPServer.start(credentials: ("user", "right"))
        let error = try await failure(client("smtp://user:hunter2@127.0.0.1:\(server.port)"))
        #expect(error.kind == .authentication && error.code == 535)
        #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("user"))
        let missing = try await failure(client(server.url))
        #expect(missing.kind == .refused && missing.code == 530, "\(missing)")
    }

    // MARK: Input

    @Test(arguments: [
        ("", ["to@example.org"]), ("from@example.org", []), ("from@example.org", ["to"]), ("from@example.org", ["a b@example.org"]),
        ("from@example.org", ["to@example.org>\r\nRCPT TO:<evil@example.org"]), ("from@example.org\r\nDATA", ["to@example.org"]),
        ("from@example.org", ["é@example.org"]), ("from@example.org", Array(repeating: "to@example.org", count: 101)),
    ])
    func anAddressThatIsNoneIsRefusedBeforeItLeaves(sender: String, recipients: [String]) async throws {
        let client = try client("smtp://127.0.0.1:1")
        await #expect { try await client.send(from: sender, to: recipients, message: Self.message) } throws: {
            ($0 as? SMTPError)?.kind == .invalid
        }
    }

    @Test(arguments: [
        "", "http://localhost", "smtp://", "smtp://user:pw@", "smtp://host:0", "smtp://host:70000", "smtp://host:25?tls=maybe",
        "smtps://host?tls=off",
        "smtp://%zz@host", "smtp://a%0d%0ab:c@host", "smtp://ho st",
    ])
    func aURLThatIsNoneIsRefusedWithoutRepeatingIt(url: String) {
        #expect { try SMTPAddress(parsing: url) } throws: { error in
            (error as? SMTPError)?.kind == .invalid && !"\(error)".contains("pw")
        }
    }

    @Test func theURLSaysHowToProtect() throws {
        let cases: [(String, String, Int, SMTPAddress.Security)] = [
            ("smtp://localhost", "localhost", 587, .startTLSOffered), ("smtps://mail.example.org", "mail.example.org", 465, .implicitTLS),
            ("smtp://mail.example.org:25", "mail.example.org", 25, .startTLSOffered),
            ("smtp://u:p@mail.example.org", "mail.example.org", 587, .startTLSRequired),
            ("smtp://u:p@mail.example.org?tls=offered", "mail.example.org", 587, .startTLSOffered),
            ("smtp://u:p@127.0.0.1:1025/", "127.0.0.1", 1025, .startTLSOffered), ("smtp://[::1]:25?tls=off", "::1", 25, .none),
        ]
        for (url, host, port, security) in cases {
            let address = try SMTPAddress(parsing: url)
            #expect(address.host == host && address.port == port && address.security == security, "\(url)")
        }
    }
}
