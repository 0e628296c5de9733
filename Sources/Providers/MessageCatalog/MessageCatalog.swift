import AfricasTalking
import Formats
import MessagePort
import OrangeSMS
import ProviderPort
import Settings
import WhatsAppCloud

/// Makes the carriers that the settings turn on. The one place that knows them by name: a new one is its folder and a line here.
public enum MessageCatalog {
    /// The carriers in the order in which they are tried.
    /// - Parameter mail: the mail server's, which is always there.
    public static func carriers(
        _ settings: NotificationSettings, mail: (any MessageCarrier)? = nil, transport: any ProviderTransport
    ) throws(ProviderError) -> [any MessageCarrier] {
        var carriers: [any MessageCarrier] = []
        for channel in settings.channels {
            switch channel {
            case "email": if let mail { carriers.append(mail) }
            case "sms":
                for name in settings.smsCarriers {
                    if let carrier = settings.carriers[name], carrier.isOn { carriers.append(try make(carrier, transport)) }
                }
            default:
                if let carrier = settings.carriers[channel], carrier.isOn { carriers.append(try make(carrier, transport)) }
            }
        }
        return carriers
    }

    /// Who may post receipts: the carriers that are on and have a secret for it.
    public static func receiptSources(_ settings: NotificationSettings) -> [any ReceiptSource] {
        settings.carriersOn.compactMap { carrier -> (any ReceiptSource)? in
            guard !carrier.receiptSecrets.isEmpty else { return nil }
            let mode = carrier.mode.rawValue
            return switch carrier.name {
            case "africas-talking": AfricasTalkingReceipts(secrets: carrier.receiptSecrets, mode: mode)
            case "orange-sms": OrangeSMSReceipts(secrets: carrier.receiptSecrets, mode: mode)
            case "whatsapp": WhatsAppReceipts(appSecrets: carrier.receiptSecrets, verifyToken: carrier.values["verify_token"], mode: mode)
            default: nil
            }
        }
    }

    /// Reads receipts of any carrier, whether or not it is on: they may have waited.
    public static func receipts(in post: ReceiptPost) throws(ProviderError) -> [DeliveryReceipt] {
        let source: any ReceiptSource =
            switch post.carrier {
            case "africas-talking": AfricasTalkingReceipts(secrets: [], mode: post.mode)
            case "orange-sms": OrangeSMSReceipts(secrets: [], mode: post.mode)
            case "whatsapp": WhatsAppReceipts(appSecrets: [], verifyToken: nil, mode: post.mode)
            default: throw ProviderError(.unreadable, "there is no carrier \(post.carrier.prefix(40))")
            }
        return try source.receipts(in: post.body, contentType: post.contentType)
    }

    private static func make(
        _ carrier: NotificationSettings.Carrier, _ transport: any ProviderTransport
    ) throws(ProviderError) -> any MessageCarrier {
        func need(_ key: String) throws(ProviderError) -> String {
            if let value = carrier.values[key] { return value }
            // The played carriers check no keys.
            guard carrier.mode == .live else { return sandboxValues[key] ?? "sandbox" }
            throw ProviderError(.misconfigured, "\(carrier.name) has no \(key)")
        }
        let mode = carrier.mode.rawValue
        let url = try need("api_url")
        switch carrier.name {
        case "africas-talking":
            return AfricasTalkingSMS(
                apiURL: url, username: try need("username"), apiKey: try need("api_key"), from: carrier.values["sender"], mode: mode,
                transport: transport)
        case "orange-sms":
            return OrangeSMSCarrier(
                apiURL: url, clientID: try need("client_id"), clientSecret: try need("client_secret"), sender: try need("sender"),
                senderName: carrier.values["sender_name"], mode: mode, transport: transport)
        case "whatsapp":
            return WhatsAppCarrier(
                apiURL: url, phoneNumberID: try need("phone_number_id"), token: try need("token"),
                templatePrefix: carrier.values["template_prefix"] ?? "", mode: mode, transport: transport)
        default: throw ProviderError(.misconfigured, "there is no carrier \(carrier.name)")
        }
    }

    private static let sandboxValues = ["sender": "+2250000", "phone_number_id": "100000000000001"]
}
