import CinetPay
import FeexPay
import Formats
import KKiaPay
import PaymentBackend
import ProviderPort
import StandardWebhooks
import Testing
import Wave

/// Bodies that nobody would send with good intent: every adapter answers, none accepts a proof, none crashes.
@Suite("Providers: hostile input")
struct HostileInputTests {
    private static func providers() throws -> [any PaymentProvider] {
        let signed = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
        return [
            try StandardWebhooksProvider(secrets: [signed]), CinetPayProvider(apiKey: "k", siteID: "900417", secrets: ["s"]),
            try PaymentBackendProvider(baseURL: "http://localhost", apiKey: "k", secrets: [signed, "plain"]),
            try FeexPayProvider(apiKey: "k", shopID: "s", secrets: ["value"]),
            WaveProvider(apiKey: "k", secrets: ["s"]),
            try KKiaPayProvider(publicKey: "k", privateKey: "k", secret: "k", webhookSecrets: ["s"], apiURL: "http://localhost"),
        ]
    }

    private static let seeds: [String] = [
        #"{"type":"payment.succeeded","timestamp":"2025-11-21T08:00:00Z","data":{"id":"p","order_id":"o","amount":"15000","currency":"XOF"}}"#,
        #"{"external_payment_id":"e","status":"completed","amount":3.0,"currency":"EUR","metadata":{"attempt":"A"}}"#,
        "cpm_site_id=900417&cpm_trans_id=INV-1&cpm_trans_date=2026-03-14+09%3A26%3A53&cpm_amount=5000&cpm_error_message=SUCCES",
        #"{"reference":"r","status":"SUCCESSFUL","amount":5000,"callback_info":{"a":"A"},"phoneNumber":2290166000000,"response_operator":{}}"#,
        #"{"id":"EV_1","type":"checkout.session.completed","data":{"id":"cos-1","amount":"5","currency":"XOF","checkout_status":"complete"}}"#,
        #"{"transactionId":"3iH6wjHJ3","isPaymentSucces":true,"amount":1000,"partnerId":"A","stateData":"{\"attempt\":\"A\"}"}"#,
        "--B\r\nContent-Disposition: form-data; name=\"cpm_site_id\"\r\n\r\n900417\r\n--B--\r\n",
    ]

    @Test("mutated bodies are answered without a crash, and never as proven")
    func mutations() throws {
        var random = Seeded(state: 0x5EED)
        let types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=B", "multipart/form-data", "", "\u{0}"]
        let providers = try Self.providers()
        for _ in 0..<4000 {
            var body = Array(Self.seeds[Int(random.next() % UInt64(Self.seeds.count))].utf8)
            for _ in 0..<(random.next() % 8) { mutate(&body, &random) }
            let type = types[Int(random.next() % UInt64(types.count))]
            let noise = String(random.next() % 10_000_000_000)
            let headers: HTTPHeaders = [
                "content-type": type, "x-token": noise, "webhook-id": noise, "webhook-timestamp": "1700000000", "webhook-signature": "v1,\(noise)",
                "x-webhook-signature": noise, "x-feexpay-signature": noise, "authorization": "Bearer \(noise)", "x-kkiapay-secret": noise,
                "wave-signature": "t=1700000000,v1=\(noise)",
            ]
            for provider in providers {
                let verdict = provider.verifyWebhook(IncomingWebhook(method: "POST", headers: headers, body: body), nowMs: 1_700_000_000_000)
                #expect(verdict.accepted == nil)
                do throws(ProviderError) {
                    let notice = try provider.parse(body: body, contentType: type)
                    #expect(notice.amount == nil || notice.amountProblem == nil)
                } catch {
                    #expect(error.kind == .unreadable)
                }
            }
        }
    }

    private func mutate(_ body: inout [UInt8], _ random: inout Seeded) {
        guard !body.isEmpty else { return }
        let at = Int(random.next() % UInt64(body.count))
        switch random.next() % 4 {
        case 0: body[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: body.remove(at: at)
        case 2: body.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
        default: body.removeSubrange(at..<min(body.count, at + 9))
        }
    }

    /// The same numbers at every run, so that a failure can be had again.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
