import Cryptography
import Formats
import MessagePort
import ProviderPort

/// What Meta tells of messages: signed with the application's secret over the exact bytes. A GET asks beforehand whether the address is ours.
public struct WhatsAppReceipts: ReceiptSource {
    private static let prefix = "sha256="

    public var name: String { WhatsAppCarrier.name }
    public let mode: String
    private let keys: [HMACSHA256]
    private let verifyToken: String?

    /// - Parameters:
    ///   - appSecrets: any of them verifies.
    ///   - verifyToken: chosen by us, and entered at Meta beside the address.
    public init(appSecrets: [String], verifyToken: String?, mode: String) {
        keys = appSecrets.filter { !$0.isEmpty }.map { HMACSHA256(key: $0) }
        self.verifyToken = verifyToken
        self.mode = mode
    }

    public func verify(_ request: ReceiptRequest) -> ReceiptVerdict {
        guard request.secret == nil else { return .refused("there is nothing at this address") }
        switch request.method {
        case "GET": return answer(request)
        case "POST": return isSigned(request) ? .accepted : .refused("the signature is wrong or missing")
        default: return .wrongMethod(allowed: "GET, POST")
        }
    }

    private func answer(_ request: ReceiptRequest) -> ReceiptVerdict {
        func value(_ name: String) -> String? { request.query.first { $0.name == name }?.value }
        guard let verifyToken, !verifyToken.isEmpty, value("hub.mode") == "subscribe", let token = value("hub.verify_token"),
            ConstantTime.equal(token, verifyToken)
        else { return .refused("the verify token is wrong or missing") }
        // Meta's challenges are digits; nothing else is handed back to whoever asks.
        guard let challenge = value("hub.challenge"), (1...200).contains(challenge.utf8.count),
            challenge.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2D || $0 == 0x5F })
        else { return .refused("the challenge is none") }
        return .answer(challenge)
    }

    private func isSigned(_ request: ReceiptRequest) -> Bool {
        let values = request.headers.values("x-hub-signature-256")
        guard values.count == 1, let value = values.first, value.lowercased().hasPrefix(Self.prefix),
            let code = Hex.decode(String(value.dropFirst(Self.prefix.count)))
        else { return false }
        return keys.reduce(false) { $1.isValid(code, for: request.body) || $0 }
    }

    public func receipts(in body: [UInt8], contentType: String) throws(ProviderError) -> [DeliveryReceipt] {
        guard let json = try? JSON(parsing: body), let entries = json["entry"]?.array else {
            throw ProviderError(.unreadable, "a post of WhatsApp has no entry")
        }
        let changes = entries.flatMap { $0["changes"]?.array ?? [] }
        // Messages of people come the same way, and are none of ours.
        return changes.flatMap { $0["value"]?["statuses"]?.array ?? [] }.compactMap(Self.receipt)
    }

    private static func receipt(_ status: JSON) -> DeliveryReceipt? {
        guard let id = status["id"]?.string, let word = status["status"]?.string, let state = DeliveryReceipt.State(rawValue: word) else {
            return nil
        }
        let seconds = status["timestamp"]?.string.flatMap { Int64($0) } ?? status["timestamp"]?.int
        let atMs = seconds.flatMap { (0...99_999_999_999).contains($0) ? $0 * 1000 : nil }
        let error = status["errors"]?[0]
        let code = error?["code"]?.int
        return DeliveryReceipt(
            id: id, message: status["biz_opaque_callback_data"]?.string, state: state, code: code.map { "\($0)" },
            detail: error?["error_data"]?["details"]?.string ?? error?["title"]?.string, isOptOut: code == 131050, atMs: atMs)
    }
}
