import Formats
import MessagePort
import ProviderPort

/// Delivery receipts of Orange, which posts them where it was asked to register an address for them. Nobody signs them: the address ends
/// in a secret.
public struct OrangeSMSReceipts: ReceiptSource {
    public var name: String { OrangeSMSCarrier.name }
    public let mode: String
    private let secret: AddressSecret

    public init(secrets: [String], mode: String) {
        secret = AddressSecret(secrets)
        self.mode = mode
    }

    public func verify(_ request: ReceiptRequest) -> ReceiptVerdict { secret.verdict(request) }

    public func receipts(in body: [UInt8], contentType: String) throws(ProviderError) -> [DeliveryReceipt] {
        guard let notice = (try? JSON(parsing: body))?["deliveryInfoNotification"], let id = notice["callbackData"]?.string, !id.isEmpty else {
            throw ProviderError(.unreadable, "a delivery receipt is no deliveryInfoNotification")
        }
        let infos = notice["deliveryInfo"]?.array ?? [notice["deliveryInfo"]].compactMap { $0 }
        return infos.map { info in
            let status = info["deliveryStatus"]?.string ?? ""
            switch status {
            case "DeliveredToTerminal": return DeliveryReceipt(id: id, state: .delivered)
            case "DeliveryImpossible": return DeliveryReceipt(id: id, state: .failed, code: status, detail: info["description"]?.string)
            // DeliveredToNetwork, DeliveryUncertain, MessageWaiting.
            default: return DeliveryReceipt(id: id, state: .sent)
            }
        }
    }
}
