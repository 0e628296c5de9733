import Formats
import ProviderPort

/// Orange's notification: `{status, notif_token, txnid}`, and nothing that says which payment of ours it is about.
enum NotificationShape {
    static let tokenLengthMax = 128

    struct Fields {
        let status: String
        let token: String
        let transaction: String?
    }

    /// - Throws: ``ProviderError`` `unreadable`, in a sentence that names the product where the body is another one's.
    static func read(_ body: [UInt8]) throws(ProviderError) -> Fields {
        let json: JSON
        do { json = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard json.object != nil else { throw ProviderError(.unreadable, "the body is JSON but not an object") }
        if let product = otherProduct(json) { throw ProviderError(.unreadable, "a notification of \(product), not of Web Payment", code: otherCode) }
        guard let token = json["notif_token"]?.string, (1...tokenLengthMax).contains(token.utf8.count) else {
            throw ProviderError(.unreadable, "notif_token must be a text of 1 to \(tokenLengthMax) characters")
        }
        guard let status = json["status"]?.string, (1...60).contains(status.utf8.count) else {
            throw ProviderError(.unreadable, "status must be a text of 1 to 60 characters")
        }
        return Fields(status: status, token: token, transaction: WebPaymentStatus.transaction(in: json))
    }

    static let otherCode = "other_product"

    /// Products of the same name that post to the same merchants.
    private static func otherProduct(_ json: JSON) -> String? {
        guard json["notif_token"] == nil else { return nil }
        if json["partnerTransactionId"] != nil { return "orange-money-b2b (Congo-Kinshasa)" }
        if json["amount"]?["value"] != nil || json["transactionId"] != nil { return "Sonatel's Orange Money API (Senegal)" }
        if json["payToken"] != nil || json["data"]?["payToken"] != nil { return "Orange Cameroon's own API" }
        return nil
    }
}
