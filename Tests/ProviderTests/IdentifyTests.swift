import FeexPay
import Formats
import KKiaPay
import Money
import ProviderPort
import Testing
import Wave

/// Whose a reference is, where it leads to no attempt of ours: only that is asked.
@Suite("Whose a reference is")
struct IdentifyTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let what: String
        let provider: any PaymentProvider
        let reference: ProviderReference
        let answer: String
        /// The attempts that are named.
        let owners: [String]
        var testDescription: String { what }
    }

    static func rows() throws -> [Row] {
        let kkiapay = try KKiaPayProvider(
            publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: [], apiURL: "https://api-sandbox.kkiapay.me")
        let wave = WaveProvider(apiKey: "wave_sn_prod_x", secrets: [])
        let transaction = ProviderReference("transaction", "T1")
        let session = ProviderReference("session", "cos-1")
        return [
            Row(
                what: "KKiaPay names the attempt", provider: kkiapay, reference: transaction,
                answer: #"{"status":"SUCCESS","type":"DEBIT","amount":5000,"state":{"attempt":"A1"},"transactionId":"T1"}"#, owners: ["A1"]),
            Row(
                what: "KKiaPay names nobody", provider: kkiapay, reference: transaction,
                answer: #"{"status":"SUCCESS","type":"DEBIT","amount":5000,"transactionId":"T1"}"#, owners: []),
            Row(
                what: "Wave names the attempt", provider: wave, reference: session,
                answer:
                    #"{"id":"cos-1","amount":"5000","currency":"XOF","checkout_status":"complete","payment_status":"succeeded","client_reference":"A1"}"#,
                owners: ["A1"]),
            Row(
                what: "Wave names nobody", provider: wave, reference: session,
                answer: #"{"id":"cos-1","amount":"5000","currency":"XOF","checkout_status":"open","payment_status":"processing"}"#, owners: []),
            Row(
                what: "FeexPay names the attempt", provider: try feexPay(), reference: ProviderReference("reference", "R1"),
                answer: #"{"reference":"R1","status":"SUCCESSFUL","amount":5000,"callback_info":"A1"}"#, owners: ["A1"]),
            Row(
                what: "FeexPay names nobody", provider: try feexPay(), reference: ProviderReference("reference", "R1"),
                answer: #"{"reference":"R1","status":"SUCCESSFUL","amount":5000}"#, owners: []),
        ]
    }

    @Test("the attempt is told, and nothing of the money; one call", arguments: try rows())
    func identify(_ row: Row) async throws {
        #expect(row.provider.capabilities.identifiedBy == [row.reference.kind])
        let transport = RecordingTransport(row.answer)
        let notice = try await row.provider.identify(row.reference, over: transport)
        #expect(notice.references == row.owners.map { .ours($0) })
        #expect(notice.claim == .unknown && notice.amount == nil)
        #expect(transport.calls.count == 1)
    }

    @Test("what the provider does not know is an error, and who cannot tell is not asked")
    func unknown() async throws {
        for row in try Self.rows() {
            let transport = RecordingTransport(status: 404, "{}")
            let error = await providerError { try await row.provider.identify(row.reference, over: transport) }
            #expect(error != nil && error?.kind != .misconfigured, "\(row.what)")
        }
        let mute = CannotTell()
        #expect(mute.capabilities.identifiedBy.isEmpty)
        #expect(await providerError { try await mute.identify(ProviderReference("id", "1"), over: RecordingTransport("")) }?.kind == .notOffered)
    }

    private struct CannotTell: PaymentProvider {
        let name = "mute"
        let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: false, hasInitiate: false, hasStatus: true)
        let offer = ProviderOffer([])
        func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "") }
        func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { throw ProviderError(.unreadable, "") }
    }
}
