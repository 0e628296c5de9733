import Formats
import MessagePort
import ProviderPort

/// Delivery reports of Africa's Talking: forms that nobody signs, posted to an address that ends in a secret.
public struct AfricasTalkingReceipts: ReceiptSource {
    public var name: String { AfricasTalkingSMS.name }
    public let mode: String
    private let secret: AddressSecret

    public init(secrets: [String], mode: String) {
        secret = AddressSecret(secrets)
        self.mode = mode
    }

    public func verify(_ request: ReceiptRequest) -> ReceiptVerdict { secret.verdict(request) }

    public func receipts(in body: [UInt8], contentType: String) throws(ProviderError) -> [DeliveryReceipt] {
        guard let fields = try? FormURLEncoded.parse(body) else { throw ProviderError(.unreadable, "a delivery report is no form") }
        func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        guard let id = field("id"), !id.isEmpty, let status = field("status") else {
            throw ProviderError(.unreadable, "a delivery report has no id and status")
        }
        let reason = field("failureReason").flatMap { $0.isEmpty || $0 == "None" ? nil : $0 }
        let state = Self.states[status] ?? .sent
        guard state == .failed else { return [DeliveryReceipt(id: id, state: state)] }
        return [
            DeliveryReceipt(
                id: id, state: .failed, code: reason ?? status, detail: status,
                isOptOut: ["UserInBlackList", "UserInBlacklist", "DoNotDisturbRejection"].contains(reason ?? ""))
        ]
    }

    /// `Sent`, `Submitted` and `Buffered` are on the way, as is any word that is new.
    private static let states: [String: DeliveryReceipt.State] = [
        "Success": .delivered, "Failed": .failed, "Rejected": .failed, "AbsentSubscriber": .failed, "Expired": .failed,
    ]
}
