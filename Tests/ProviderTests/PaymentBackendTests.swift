import Cryptography
import Formats
import Money
import PaymentBackend
import ProviderPort
import StandardWebhooks
import Testing

private let plainSecret = "k-3f9b2d71e6-made-up"
private let signedSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

private func backend(_ secrets: [String] = [plainSecret]) throws -> PaymentBackendProvider {
    try PaymentBackendProvider(baseURL: "http://localhost:8001/", apiKey: "key_1", secrets: secrets)
}

private func post(_ body: String, _ headers: HTTPHeaders) -> IncomingWebhook {
    IncomingWebhook(method: "POST", headers: headers, body: Array(body.utf8))
}

private let completed = """
    {"external_payment_id":"ext_xyz789","status":"completed","amount":3.0,"currency":"EUR","completed_at":"2025-01-25T10:15:00Z",\
    "metadata":{"attempt":"A-1","transaction_id":"txn_123"}}
    """

@Suite("Payment back end: callback")
struct PaymentBackendCallbackTests {
    static let vectors = [
        (#"{"event":"payment","id":42}"#, "e0e76dbf695b2dff9f9babbc8b2259b89118aa37f062174c4f150b47742d3f21"),
        (
            #"{"client":"Kouadio N'Guessan","montant":5000,"devise":"XOF","note":"payé à Abidjan"}"#,
            "e9ef04a7991456e4e2c2ca77179b4e4d1d85cf2f147650fd0d0214d4b2dac277"
        ),
        ("", "8a039a0e0ba5ebf4fb344784425bfb6c1fe9991af46a18a26b1b44fe205dc39e"),
    ]

    @Test("the published vectors verify, with and without prefix, in either case", arguments: vectors)
    func hexVectors(_ body: String, _ digits: String) throws {
        for header in [digits, digits.uppercased(), "sha256=\(digits)", "SHA256=\(digits)"] {
            let accepted = try #require(try backend().verifyWebhook(post(body, ["x-webhook-signature": header]), nowMs: 0).accepted)
            #expect(accepted.trust == .signed)
            #expect(accepted.matchedKey == 0)
        }
        for header in ["", "sha256=", "\(digits)00", String(digits.dropLast(2)), "sha1=\(digits)", "4Odtv2lbLf+fm6u8iyJZuJEYqjfwYhdMTxULR3QtPyE="] {
            #expect(try backend().verifyWebhook(post(body, ["x-webhook-signature": header]), nowMs: 0).refusal != nil)
        }
        #expect(try backend().verifyWebhook(post(body + " ", ["x-webhook-signature": digits]), nowMs: 0).refusal != nil)
    }

    @Test("Standard Webhooks' headers decide where they are there")
    func standardWebhooks() throws {
        let provider = try backend([signedSecret])
        let body = Array(completed.utf8)
        let headers = try StandardWebhooksSigner(secret: signedSecret).headers(id: "msg_1", timestamp: 1_700_000_000, body: body)
        let accepted = try #require(
            provider.verifyWebhook(IncomingWebhook(method: "POST", headers: headers, body: body), nowMs: 1_700_000_000_000).accepted)
        #expect(accepted.deliveryID == "msg_1")
        // An old post is not let in again by adding the header that knows no time.
        var both = headers
        both["x-webhook-signature"] = Hex.encode(HMACSHA256(key: Array(signedSecret.utf8)).authenticate(body))
        let late = IncomingWebhook(method: "POST", headers: both, body: body)
        #expect(provider.verifyWebhook(late, nowMs: 1_700_000_301_000).refusal != nil)
        both["webhook-signature"] = nil
        #expect(provider.verifyWebhook(IncomingWebhook(method: "POST", headers: both, body: body), nowMs: 0).accepted != nil)
    }

    @Test("each secret verifies in the scheme it fits, and its number is told")
    func rotation() throws {
        let provider = try backend(["not base64!", signedSecret, plainSecret])
        let body = Array(completed.utf8)
        let headers = try StandardWebhooksSigner(secret: signedSecret).headers(id: "msg_1", timestamp: 1_700_000_000, body: body)
        let signed = IncomingWebhook(method: "POST", headers: headers, body: body)
        #expect(provider.verifyWebhook(signed, nowMs: 1_700_000_000_000).accepted?.matchedKey == 1)
        let digits = Hex.encode(HMACSHA256(key: Array(plainSecret.utf8)).authenticate(body))
        #expect(provider.verifyWebhook(post(completed, ["x-webhook-signature": digits]), nowMs: 0).accepted?.matchedKey == 2)
    }

    @Test("an unsigned callback is refused, and so is every one without a secret")
    func unsigned() throws {
        #expect(try backend().verifyWebhook(post(completed, [:]), nowMs: 0).refusal?.contains("x-webhook-signature") == true)
        let empty = Hex.encode(HMACSHA256(key: []).authenticate(Array(completed.utf8)))
        #expect(try backend([]).verifyWebhook(post(completed, ["x-webhook-signature": empty]), nowMs: 0).refusal != nil)
    }

    @Test("an unusable secret stops the start", arguments: ["", "whsec_", "whsec_not base64"])
    func badSecret(_ secret: String) async {
        let error = await providerError { try backend([plainSecret, secret]) }
        #expect(error?.kind == .misconfigured)
        #expect(error?.message.contains("number 2") == true)
    }

    @Test(
        "the five statuses",
        arguments: [("pending", .pending), ("processing", .processing), ("completed", .captured), ("failed", .failed), ("cancelled", .cancelled)]
            as [(String, ProviderClaim)])
    func statuses(_ status: String, _ claim: ProviderClaim) throws {
        let body = #"{"external_payment_id":"ext_1","status":"\#(status)"}"#
        #expect(try backend().parse(body: Array(body.utf8), contentType: "").claim == claim)
        let wrapped = #"{"type":"payment.updated","data":\#(body)}"#
        #expect(try backend().parse(body: Array(wrapped.utf8), contentType: "").claim == claim)
    }

    @Test("a callback with amount and currency can be applied; one without asks for the status call")
    func amounts() throws {
        let notice = try backend().parse(body: Array(completed.utf8), contentType: "application/json")
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(300, .eur))
        #expect(notice.references == [ProviderReference("external", "ext_xyz789"), .ours("A-1")])
        #expect(notice.transaction == "txn_123")
        #expect(notice.occurredAtMs == 1_737_800_100_000)
        let bare = try backend().parse(body: Array(#"{"external_payment_id":"ext_1","status":"completed","amount":3.0}"#.utf8), contentType: "")
        #expect(bare.claim == .captured)
        #expect(bare.amount == nil)
        #expect(bare.amountProblem == nil)
        let odd = try backend().parse(
            body: Array(#"{"external_payment_id":"ext_1","status":"completed","amount":"3.005","currency":"EUR"}"#.utf8), contentType: "")
        #expect(odd.amountProblem?.contains("decimals") == true)
    }

    @Test(
        "a callback without the shape is unreadable, and says what is missing",
        arguments: [
            ("", "JSON"), ("[]", "object"), (#"{"status":"completed"}"#, "external_payment_id"), (#"{"external_payment_id":"e"}"#, "status"),
            (#"{"external_payment_id":"e","status":"refunded"}"#, "refunded"),
        ])
    func unreadable(_ body: String, _ word: String) async {
        let error = await providerError { try backend().parse(body: Array(body.utf8), contentType: "") }
        #expect(error?.kind == .unreadable)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
    }
}

@Suite("Payment back end: calls")
struct PaymentBackendCallTests {
    private let order = PaymentOrder.example(
        attempt: "A-1", amount: Money(300, .eur), description: "Upgrade to Pro", notifyURL: "https://x.example/webhooks/payment-backend",
        returnURL: "https://x.example/return", method: "credit_card", metadata: ["team": "team_123", "new_plan": "pay_as_you_go"])

    @Test("initiate sends the stated fields and reads the answer", arguments: [200, 201])
    func initiate(_ status: Int) async throws {
        let transport = RecordingTransport(
            status: status,
            #"{"external_payment_id":"ext_1","payment_url":"https://pay.example/1","qr_code":"QR","expires_at":"2025-01-25T10:15:00Z"}"#)
        let initiation = try await backend().initiate(order, over: transport)
        #expect(
            initiation
                == Initiation(
                    paymentURL: "https://pay.example/1", qrCode: "QR", references: [ProviderReference("external", "ext_1"), .ours("A-1")],
                    expiresAtMs: 1_737_800_100_000))
        let call = try #require(transport.calls.first)
        #expect(call.url == "http://localhost:8001/api/v1/payments/initiate")
        #expect(call.headers["authorization"] == "Bearer key_1")
        #expect(call.headers["idempotency-key"] == "A-1")
        #expect(
            transport.lastJSON?.text == """
                {"team_id":"team_123","amount":"3.00","currency":"EUR","payment_method":"credit_card","metadata":{"new_plan":"pay_as_you_go",\
                "team":"team_123","attempt":"A-1","payment":"pay_01","description":"Upgrade to Pro"},\
                "callback_url":"https://x.example/webhooks/payment-backend","return_url":"https://x.example/return"}
                """)
    }

    @Test("a method that the back end does not know is told before the call")
    func method() async throws {
        let transport = RecordingTransport([])
        let error = await providerError { try await backend().initiate(.example(method: "cheque"), over: transport) }
        #expect(error?.kind == .rejected)
        #expect(error?.message.contains("payment_method") == true)
        #expect(transport.calls.isEmpty)
    }

    @Test("status asks by the back end's own id")
    func status() async throws {
        let transport = RecordingTransport(completed)
        let notice = try await backend().status(of: .about(ProviderReference("external", "ext_xyz789")), over: transport)
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(300, .eur))
        #expect(transport.calls.first?.method == "GET")
        #expect(transport.calls.first?.url == "http://localhost:8001/api/v1/payments/ext_xyz789/status")
        #expect(await providerError { try await backend().status(of: .about(.ours("A-1")), over: transport) }?.kind == .notFound)
        let other = RecordingTransport(completed)
        let climbing = StatusQuestion.about(ProviderReference("external", "../x"))
        #expect(await providerError { try await backend().status(of: climbing, over: other) }?.kind == .unreadable)
        #expect(other.calls.first?.url == "http://localhost:8001/api/v1/payments/..%2Fx/status")
    }

    @Test("a completed status without its amount completes nothing")
    func noAmount() async throws {
        let transport = RecordingTransport(#"{"external_payment_id":"ext_1","status":"completed"}"#)
        #expect(try await backend().status(of: .about(ProviderReference("external", "ext_1")), over: transport).claim == .unknown)
    }

    @Test(
        "errors tell whether a retry helps",
        arguments: [
            (400, .rejected), (401, .misconfigured), (403, .misconfigured), (404, .notFound), (408, .unavailable), (422, .rejected),
            (429, .throttled), (500, .unavailable), (503, .unavailable),
        ] as [(Int, ProviderError.Kind)])
    func errors(_ status: Int, _ kind: ProviderError.Kind) async {
        let transport = RecordingTransport(status: status, headers: ["retry-after": "3"], Array(#"{"detail":"no"}"#.utf8))
        let error = await providerError { try await backend().status(of: .about(ProviderReference("external", "ext_1")), over: transport) }
        #expect(error?.kind == kind)
        #expect(error?.retryAfterSeconds == 3)
        #expect(error?.message.contains("no") == true)
    }
}
