import Cryptography
import Formats
import ProviderPort

/// What a carrier says later of a message that it took.
public struct DeliveryReceipt: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        /// On its way: nothing that was not known.
        case sent
        case failed
        case delivered
        case read
    }

    /// The carrier's id of the message.
    public let id: String
    /// Our own id of it, where the carrier hands it back.
    public let message: String?
    public let state: State
    /// Of a failure.
    public let code: String?
    public let detail: String?
    public let isOptOut: Bool
    /// When it happened; nil where the carrier does not say.
    public let atMs: Int64?

    public init(
        id: String, message: String? = nil, state: State, code: String? = nil, detail: String? = nil, isOptOut: Bool = false, atMs: Int64? = nil
    ) {
        self.id = id
        self.message = message
        self.state = state
        self.code = code
        self.detail = detail.map { ProviderWords.safe($0) }
        self.isOptOut = isOptOut
        self.atMs = atMs
    }
}

/// Takes the receipts of one carrier: whether a post is the carrier's, and what it says.
public protocol ReceiptSource: Sendable {
    /// The carrier's name, as in `/webhooks/<name>`.
    var name: String { get }
    /// `sandbox` or `live`.
    var mode: String { get }
    /// Whether a request is the carrier's. Pure and quick: runs on ingest's loop.
    func verify(_ request: ReceiptRequest) -> ReceiptVerdict
    /// - Throws: ``ProviderError`` of kind `unreadable`.
    func receipts(in body: [UInt8], contentType: String) throws(ProviderError) -> [DeliveryReceipt]
}

/// A request to a carrier's address.
public struct ReceiptRequest: Sendable {
    public let method: String
    /// What stands behind `/webhooks/<name>/`; nil when nothing does.
    public let secret: String?
    public let headers: HTTPHeaders
    public let query: [(name: String, value: String)]
    public let body: [UInt8]

    public init(method: String, secret: String?, headers: HTTPHeaders, query: [(name: String, value: String)] = [], body: [UInt8]) {
        self.method = method
        self.secret = secret
        self.headers = headers
        self.query = query
        self.body = body
    }
}

public enum ReceiptVerdict: Sendable, Equatable {
    case accepted
    /// A question whether the address is ours: to be answered with this text.
    case answer(String)
    case wrongMethod(allowed: String)
    /// Why, for staff only.
    case refused(String)
}

/// Receipts as they travel on their list: the exact bytes of one post.
public struct ReceiptPost: Sendable, Equatable {
    /// The queue on whose list they travel.
    public static let queue = "receipts"

    public let carrier: String
    public let mode: String
    public let contentType: String
    public let receivedAtMs: Int64
    public let body: [UInt8]

    public init(carrier: String, mode: String, contentType: String, receivedAtMs: Int64, body: [UInt8]) {
        self.carrier = carrier
        self.mode = mode
        self.contentType = contentType
        self.receivedAtMs = receivedAtMs
        self.body = body
    }

    public func encoded() -> [UInt8] {
        let json: JSON = [
            "v": 1, "carrier": .string(carrier), "mode": .string(mode), "content_type": .string(contentType), "received_at": .int(receivedAtMs),
            "data_base64": .string(Base64.encode(body)),
        ]
        return json.bytes
    }

    /// - Throws: ``ProviderError`` of kind `unreadable`.
    public init(decoding bytes: [UInt8]) throws(ProviderError) {
        guard let json = try? JSON(parsing: bytes), json["v"]?.int == 1, let carrier = json["carrier"]?.string, let mode = json["mode"]?.string,
            let receivedAtMs = json["received_at"]?.int, let body = json["data_base64"]?.string.flatMap({ Base64.decode($0) })
        else { throw ProviderError(.unreadable, "a body on the list of receipts is none") }
        self.init(carrier: carrier, mode: mode, contentType: json["content_type"]?.string ?? "", receivedAtMs: receivedAtMs, body: body)
    }
}

/// A secret at the end of an address, for carriers that sign nothing.
public struct AddressSecret: Sendable {
    private let secrets: [String]

    public init(_ secrets: [String]) { self.secrets = secrets }

    /// Whether the address ends in one of ours; every one is compared, so that the time tells nothing.
    public func admits(_ secret: String?) -> Bool {
        guard let secret else { return false }
        return secrets.reduce(false) { ConstantTime.equal($1, secret) || $0 }
    }

    /// What becomes of a post to such an address.
    public func verdict(_ request: ReceiptRequest) -> ReceiptVerdict {
        guard admits(request.secret) else { return .refused("the secret in the path is wrong") }
        return request.method == "POST" ? .accepted : .wrongMethod(allowed: "POST")
    }
}
