import CinetPay
import Cryptography
import Formats
import ProviderPort
import Testing

private let secret = "demo_secret_key_5f2c9a7e1b"
private let provider = cinetPay([secret])

private func cinetPay(_ secrets: [String], siteID: String = "900417") -> CinetPayProvider {
    CinetPayProvider(apiKey: "1234567890abcdef12345678.90123456", siteID: siteID, secrets: secrets)
}

private func post(_ body: String, token: String?, type: String = "application/x-www-form-urlencoded", method: String = "POST") -> IncomingWebhook {
    var headers: HTTPHeaders = ["content-type": type]
    if let token { headers["x-token"] = token }
    return IncomingWebhook(method: method, headers: headers, body: Array(body.utf8))
}

/// One notification as its fields, in the documented order.
private struct Notification: Sendable {
    var siteID = "900417"
    var transaction = "INV-2026-000481"
    var date = "2026-03-14 09:26:53"
    var amount = "5000"
    var method = "OM"
    var phone = "0707123456"
    var prefix = "225"
    var custom = ""
    var designation = "Commande 481"
    var message = "SUCCES"

    var fields: [(String, String)] {
        [
            ("cpm_site_id", siteID), ("cpm_trans_id", transaction), ("cpm_trans_date", date), ("cpm_amount", amount), ("cpm_currency", "XOF"),
            ("signature", "abc123sig"), ("payment_method", method), ("cel_phone_num", phone), ("cpm_phone_prefixe", prefix),
            ("cpm_language", "fr"), ("cpm_version", "V4"), ("cpm_payment_config", "SINGLE"), ("cpm_page_action", "PAYMENT"),
            ("cpm_custom", custom), ("cpm_designation", designation), ("cpm_error_message", message),
        ]
    }
    var form: String { FormURLEncoded.encode(fields) }
    var json: String { JSON.object(JSONObject(fields.map { ($0.0, .string($0.1)) })).text }
    var multipart: String {
        fields.map { "--XyZ\r\nContent-Disposition: form-data; name=\"\($0.0)\"\r\n\r\n\($0.1)\r\n" }.joined() + "--XyZ--\r\n"
    }
    /// The documented formula, computed apart from the code under test.
    var token: String { Hex.encode(HMACSHA256(key: Array(secret.utf8)).authenticate(Array(fields.map(\.1).joined().utf8))) }
}

private let vectorA = Notification()
private let vectorB = Notification(
    transaction: "INV-2026-000482", date: "2026-03-14 10:02:11", amount: "12500", method: "WAVECI", phone: "0505987654",
    custom: #"{"order_id":482,"tenant":"abidjan"}"#, designation: "Abonnement Été à livrer")
private let vectorC = Notification(
    transaction: "INV-2026-000483", date: "2026-03-14 11:40:00", amount: "25000", method: "VISAM", phone: "", prefix: "",
    designation: "Commande 483")
private let vectorD = Notification(message: "PAYMENT_FAILED")
private let tokenA = "b24b2684d1b65f8a17515f442a8392ea6edfd65bf85ef3603ec0bf012bb385fc"
private let tokenB = "739f581f14336a087d998e0c24eabdf11d327ab0c0b81a88f2da3a343b53c836"

@Suite("CinetPay: notification")
struct CinetPayNotificationTests {
    @Test("the four vectors verify as form, multipart form and JSON")
    func vectors() throws {
        let vectors = [
            (vectorA, tokenA), (vectorB, tokenB), (vectorC, "490c438546909ec52b4a9ad69e38abf296c22468550e6e648f0e92ebfb5a3779"),
            (vectorD, "f9e35f80b351ddf5112ccb1a8dd87c9f988428dd5c1ba73c81cf59910d33cc97"),
        ]
        for (notification, token) in vectors {
            #expect(notification.token == token)
            let shapes = [
                post(notification.form, token: token), post(notification.form, token: token.uppercased()),
                post(notification.form, token: token, type: ""),
                post(notification.multipart, token: token, type: "multipart/form-data; boundary=XyZ"),
                post(notification.json, token: token, type: "application/json"),
            ]
            for shape in shapes {
                let accepted = try #require(provider.verifyWebhook(shape, nowMs: 0).accepted)
                #expect(accepted.trust == .signed)
                #expect(accepted.matchedKey == 0)
                #expect(accepted.note == "x-token over the documented order")
                let notice = try provider.parse(body: shape.body, contentType: shape.contentType)
                #expect(notice.references == [.ours(notification.transaction)])
                #expect(notice.amount == nil)
            }
        }
    }

    static let samples: [(file: String, token: String, transaction: String, claim: ProviderClaim, error: String?)] = [
        ("v2_success_om.form", "c9e5baa9c4738be5d371017dc1730ff8810d148c7e107ecec16f54640c4a0478", "INV-2026-000481", .unknown, nil),
        ("v2_success_wave_metadata_utf8.form", "7f8fdb595031fff7e835a1b8b803a2df7172010dd1c1347fbf2cd1dc76907c24", "INV-2026-000482", .unknown, nil),
        ("v2_success_card_empty_phone.form", "8a25759c5c3e7cf02f0958f6337f469a20a20f9dba97e3a828aae9f81b336ab1", "INV-2026-000483", .unknown, nil),
        (
            "v2_failed_payment_failed.form", "414793fc428af12abc888c6732446805bc369a448be975afe109e33ff747c648", "INV-2026-000484", .unknown,
            "PAYMENT_FAILED"
        ),
        (
            "v2_failed_cancelled.form", "22f7b0a6006842217081a7819c48cff7c414d28e9175be267e3bf69839d24c03", "INV-2026-000485", .unknown,
            "TRANSACTION_CANCEL"
        ),
        (
            "v2_waiting_first_push.form", "ce9c5ff366e14a4daaec850701d337bf9defadaf792d6a65e12208a62c608c87", "INV-2026-000486", .processing,
            "WAITING_CUSTOMER_TO_VALIDATE"
        ),
    ]

    @Test("the recorded notifications verify; what they claim is a hint and never an amount", arguments: samples)
    func sample(_ sample: (file: String, token: String, transaction: String, claim: ProviderClaim, error: String?)) throws {
        let body = try Fixture.text("cinetpay/\(sample.file)")
        let accepted = try #require(provider.verifyWebhook(post(body, token: sample.token), nowMs: 0).accepted)
        #expect(accepted.trust == .signed)
        #expect(provider.verifyWebhook(post(body, token: sample.token), nowMs: 99_999_999).accepted == accepted)
        let notice = try provider.parse(body: Array(body.utf8), contentType: "application/x-www-form-urlencoded")
        #expect(notice == ProviderNotice(references: [.ours(sample.transaction)], claim: sample.claim, errorCode: sample.error))
        for at in stride(from: 0, to: body.utf8.count, by: 7) {
            var tampered = Array(body.utf8)
            tampered[at] ^= 1
            let webhook = IncomingWebhook(method: "POST", headers: post("", token: sample.token).headers, body: tampered)
            guard provider.verifyWebhook(webhook, nowMs: 0).accepted != nil else { continue }
            // The token covers values only, so a name may change; but never what the message leads to.
            let altered = try provider.parse(body: tampered, contentType: webhook.contentType)
            #expect(altered.references == notice.references, "byte \(at)")
            #expect(altered.amount == nil)
        }
    }

    @Test(
        "a token made in a wrong way is refused",
        arguments: [
            ("B without cpm_custom", "abd2015454db811dd40035e8ad24e2ab68b97ea15085b040fd32aa923824534a"),
            ("B as Latin-1", "05e84c2ef08cc5a6c6d866d453f3f583859723fee441b74f9911d42854f64daa"),
            ("B with + undecoded", "e78bbae544d27c7df0bbf870c211779d19b818beadd14c9cb221be4ee66c8442"),
            ("A's own token", tokenA), ("no hex", "zz"), ("too short", "739f581f"), ("blank", " "),
        ])
    func wrongToken(_ what: String, _ token: String) {
        #expect(provider.verifyWebhook(post(vectorB.form, token: token), nowMs: 0).refusal == "x-token does not match", "\(what)")
    }

    @Test("A with the transaction id before the site id is refused")
    func swappedOrder() {
        let token = "6732b0971e305027b49542caa70be6b3db2f61151dbd1b353b8391940dbc28a0"
        #expect(provider.verifyWebhook(post(vectorA.form, token: token), nowMs: 0).refusal == "x-token does not match")
    }

    @Test("the same text cut into other fields is refused or worthless")
    func recut() throws {
        // A genuine token is valid for every other cut of the same characters: the site and the full date are pinned …
        var otherDate = vectorA
        (otherDate.date, otherDate.amount) = ("2026-03-14 09:26:5", "35000")
        #expect(otherDate.token == tokenA)
        #expect(provider.verifyWebhook(post(otherDate.form, token: tokenA), nowMs: 0).refusal?.contains("cpm_trans_date") == true)
        var otherSite = vectorA
        (otherSite.siteID, otherSite.transaction) = ("90041", "7INV-2026-000481")
        #expect(otherSite.token == tokenA)
        #expect(provider.verifyWebhook(post(otherSite.form, token: tokenA), nowMs: 0).refusal?.contains("cpm_site_id") == true)
        var otherTransaction = vectorA
        (otherTransaction.transaction, otherTransaction.date) = ("INV-2026-00048", "12026-03-14 09:26:5")
        otherTransaction.amount = "35000"
        #expect(otherTransaction.token == tokenA)
        #expect(provider.verifyWebhook(post(otherTransaction.form, token: tokenA), nowMs: 0).refusal?.contains("cpm_trans_date") == true)
        // … and no amount is read from a notification, however it is cut.
        let amount = FormURLEncoded.encode(vectorA.fields.map { $0.0 == "cpm_amount" ? ($0.0, "500") : $0.0 == "cpm_currency" ? ($0.0, "0XOF") : $0 })
        #expect(provider.verifyWebhook(post(amount, token: tokenA), nowMs: 0).accepted != nil)
        #expect(try provider.parse(body: Array(amount.utf8), contentType: "").amount == nil)
    }

    @Test(
        "with a token, the date must be full",
        arguments: ["20190708210825", "2026-03-14", "2026-03-14T09:26:53", "2026-3-14 09:26:53 ", ""])
    func dates(_ date: String) {
        var notification = vectorA
        notification.date = date
        #expect(provider.verifyWebhook(post(notification.form, token: notification.token), nowMs: 0).refusal?.contains("cpm_trans_date") == true)
    }

    @Test("a body in another order verifies by the body's order, and that is told")
    func bodyOrder() throws {
        let fields = vectorA.fields + [("cpm_result", "00")]
        let token = Hex.encode(HMACSHA256(key: Array(secret.utf8)).authenticate(Array(fields.map(\.1).joined().utf8)))
        let accepted = try #require(provider.verifyWebhook(post(FormURLEncoded.encode(fields), token: token), nowMs: 0).accepted)
        #expect(accepted.note == "x-token over the body order")
    }

    @Test("during a rotation both secrets verify and the one that matched is told")
    func rotation() throws {
        let rotating = cinetPay(["new_secret", secret])
        #expect(rotating.verifyWebhook(post(vectorA.form, token: tokenA), nowMs: 0).accepted?.matchedKey == 1)
        #expect(cinetPay(["new_secret"]).verifyWebhook(post(vectorA.form, token: tokenA), nowMs: 0).refusal == "x-token does not match")
    }

    @Test("a GET or HEAD is the availability ping", arguments: ["GET", "HEAD"])
    func ping(_ method: String) {
        #expect(provider.verifyWebhook(post("", token: nil, method: method), nowMs: 0).isIgnored)
    }

    @Test("without a token a notification is an unproven hint, and each minute a new one")
    func unproven() throws {
        let body = try Fixture.text("cinetpay/v2_minimal_2021_shape.form")
        let first = try #require(provider.verifyWebhook(post(body, token: nil), nowMs: 60_000).accepted)
        #expect(first.trust == .unproven)
        #expect(first.matchedKey == nil)
        #expect(provider.verifyWebhook(post(body, token: nil), nowMs: 119_999).accepted?.deliveryID == first.deliveryID)
        #expect(provider.verifyWebhook(post(body, token: nil), nowMs: 120_000).accepted?.deliveryID != first.deliveryID)
        let notice = try provider.parse(body: Array(body.utf8), contentType: "application/x-www-form-urlencoded")
        #expect(notice == ProviderNotice(references: [.ours("INV-2026-000481")], claim: .unknown))
        // An unproven copy must not stand in the way of the proven one.
        let copy = try #require(provider.verifyWebhook(post(vectorA.form, token: nil), nowMs: 0).accepted)
        #expect(copy.trust == .unproven)
        #expect(provider.verifyWebhook(post(vectorA.form, token: tokenA), nowMs: 0).accepted?.deliveryID != copy.deliveryID)
    }

    @Test("without a secret a token proves nothing")
    func noSecret() {
        #expect(cinetPay([]).verifyWebhook(post(vectorA.form, token: tokenA), nowMs: 0).accepted?.trust == .unproven)
    }

    @Test(
        "what cannot be a notification of this site is refused, and why is told",
        arguments: [
            ("", "cpm_site_id"), ("cpm_trans_id=INV-1", "cpm_site_id"), ("cpm_site_id=900418&cpm_trans_id=INV-1", "not this site"),
            ("cpm_site_id=0900417&cpm_trans_id=INV-1", "not this site"), ("cpm_site_id=900417", "cpm_trans_id"),
            ("cpm_site_id=900417&cpm_trans_id=", "cpm_trans_id"), ("cpm_site_id=900417&cpm_site_id=1&cpm_trans_id=a", "twice"),
            ("cpm_site_id=900417&cpm_trans_id=%GG", "form"), ("{\"cpm_site_id\":", "JSON"), ("{\"cpm_site_id\":900417}", "cpm_trans_id"),
            ("cpm_site_id=900417&cpm_trans_id=" + String(repeating: "a", count: 65), "64"),
            ((0...64).map { "f\($0)=" }.joined(separator: "&"), "form"),
        ])
    func foreign(_ body: String, _ word: String) {
        for token in [nil, tokenA] {
            let refusal = provider.verifyWebhook(post(body, token: token), nowMs: 0).refusal
            #expect(refusal?.contains(word) == true, "\(refusal ?? "accepted")")
        }
    }

    @Test("the newer API's message is refused by name, a payout's is passed over")
    func otherMessages() throws {
        let aurore = try Fixture.text("cinetpay/aurore_v1_notification.json")
        #expect(provider.verifyWebhook(post(aurore, token: nil, type: "application/json"), nowMs: 0).refusal?.contains("newer API") == true)
        let payout = try Fixture.text("cinetpay/transfer_notify_validated.form")
        #expect(provider.verifyWebhook(post(payout, token: nil), nowMs: 0).isIgnored)
    }

    @Test("an event without a transaction is unreadable")
    func unreadable() async {
        let error = await providerError { try provider.parse(body: Array("cpm_site_id=900417".utf8), contentType: "") }
        #expect(error?.kind == .unreadable)
        #expect(error?.message.contains("cpm_trans_id") == true)
    }
}
