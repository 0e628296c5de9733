import Formats
import Money
import ProviderPort

/// Money that comes without any provider: by bank transfer, in cash, by cheque. Nobody posts and nobody can be asked: staff record what has
/// come in. Everything else is as with any provider: attempts, states, ledger, the work that a payment starts.
public struct ManualProvider: PaymentProvider {
    public static let bankTransfer = "bank_transfer"
    public let name = "manual"
    public let capabilities = ProviderCapabilities(
        hasProof: false, proofCoversMoney: false, hasInitiate: true, hasStatus: false, hasWebhook: false,
        callsToStart: false, giveUpAfterMs: 60 * 24 * 3_600_000)
    public let offer: ProviderOffer

    private let account: String?

    /// - Parameter account: what customers of a bank transfer are shown: holder, bank, number. Without it there are no transfers.
    public init(account: String?) {
        self.account = account
        let off = account == nil ? "no account is set" : nil
        offer = ProviderOffer([
            ProviderOffer.Choice(
                method: Self.bankTransfer, label: "Virement bancaire", currencies: Currency.all, flow: .transfer, offReason: off),
            ProviderOffer.Choice(method: "cash", label: "Espèces", currencies: Currency.all, flow: .transfer),
            ProviderOffer.Choice(method: "cheque", label: "Chèque", currencies: Currency.all, flow: .transfer),
        ])
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "nobody posts for manual payments") }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.unreadable, "manual payments have no messages")
    }

    /// Nothing is called: the customer is shown where to pay, and the reference to name.
    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let choice = try offer.choice(for: order, at: name)
        var fields = ["method": choice.method, "reference": order.attempt, "amount": order.amount.description]
        if choice.method == Self.bankTransfer { fields["account"] = account }
        return Initiation(
            paymentURL: order.pageURL, qrCode: nil, references: [.ours(order.attempt)], expiresAtMs: nil, step: CustomerStep(.transfer, fields))
    }
}
