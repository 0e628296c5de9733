import Cryptography
import Formats
import TestSupport

/// One delivery as a sender of the Standard Webhooks scheme makes it: signed anew at each try, under the same id.
struct Message: Sendable {
    var id: String
    var body: [UInt8]
    var path = "/webhooks/standard-webhooks"
    /// What is sent in place of the scheme's headers.
    var given: [(String, String)]?

    /// The headers of a try.
    /// - Parameters:
    ///   - age: seconds that the timestamp lies back.
    ///   - signing: what is signed in place of the body.
    ///   - secret: by which it is signed.
    func headers(age: Int64 = 0, signing other: [UInt8]? = nil, secret: String = Instance.webhookSecret) -> [(String, String)] {
        if let given { return given }
        let timestamp = WallClock.nowMs / 1000 - age
        let key = HMACSHA256(key: Base64.decode(String(secret.dropFirst("whsec_".count))) ?? [])
        let signature = key.authenticate(Array("\(id).\(timestamp).".utf8), other ?? body)
        return [
            ("content-type", "application/json"), ("webhook-id", id), ("webhook-timestamp", "\(timestamp)"),
            ("webhook-signature", "v1," + Base64.encode(signature)),
        ]
    }

    /// Something happened to a payment.
    /// - Parameter order: our reference, the attempt's id.
    static func payment(_ type: String, order: String, amount: String, currency: String = "XOF", id: String? = nil) -> Message {
        let body: JSON = [
            "type": .string(type), "timestamp": .string(Timestamp.rfc3339(WallClock.nowMs)),
            "data": ["order_id": .string(order), "amount": .string(amount), "currency": .string(currency)],
        ]
        return Message(id: id ?? newID(), body: body.bytes)
    }

    static func paid(_ payment: SeededPayment, id: String? = nil) -> Message {
        Message.payment("payment.succeeded", order: payment.attempt, amount: payment.amountText, currency: payment.currency, id: id)
    }

    /// About an order that nobody knows.
    static func unmatched(id: String? = nil) -> Message {
        Message.payment("payment.succeeded", order: "NOBODY\(ULID.make(nowMs: WallClock.nowMs))", amount: "100", id: id)
    }

    static func newID() -> String { "msg_" + ULID.make(nowMs: WallClock.nowMs) }
}
