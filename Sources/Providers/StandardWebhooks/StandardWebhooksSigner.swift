import Cryptography
import Formats
import ProviderPort

/// The sending side of the scheme: what the sandbox and the tests post with.
public struct StandardWebhooksSigner: Sendable {
    private let key: HMACSHA256

    /// - Parameter secret: one `whsec_…`.
    /// - Throws: ``ProviderError`` `misconfigured` when it cannot be read.
    public init(secret: String) throws(ProviderError) {
        key = HMACSHA256(key: try WebhookSecret.keys(of: [secret])[0])
    }

    /// `v1,` and the base64 of the signature.
    public func signature(id: String, timestamp: Int64, body: [UInt8]) -> String {
        "v1," + Base64.encode(key.authenticate(Array("\(id).\(timestamp).".utf8), body))
    }

    /// The three headers of a post. An id stays the same when a message is posted again; the timestamp is the attempt's.
    public func headers(id: String, timestamp: Int64, body: [UInt8]) -> HTTPHeaders {
        var headers = HTTPHeaders()
        headers["webhook-id"] = id
        headers["webhook-timestamp"] = String(timestamp)
        headers["webhook-signature"] = signature(id: id, timestamp: timestamp, body: body)
        return headers
    }
}
