import Formats

/// The way out to a provider's API. Adapters describe calls; the program's HTTP client makes them, so that ingest, which
/// only verifies, needs no HTTP client.
public protocol ProviderTransport: Sendable {
    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer
}

public struct ProviderCall: Sendable {
    public let method: String
    public let url: String
    public let headers: HTTPHeaders
    public let body: [UInt8]
    /// Whether it moves money, and the provider knows no key by which a second one is seen. An HTTP client may send a request again by itself
    /// when a kept connection turns out dead: such a call goes on a connection of its own.
    public let mustArriveOnce: Bool

    public init(method: String, url: String, headers: HTTPHeaders, body: [UInt8], mustArriveOnce: Bool = false) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.mustArriveOnce = mustArriveOnce
    }

    public static func postJSON(_ url: String, _ json: JSON, headers: HTTPHeaders = [:], mustArriveOnce: Bool = false) -> ProviderCall {
        var all = headers
        all["content-type"] = "application/json"
        all["accept"] = "application/json"
        return ProviderCall(method: "POST", url: url, headers: all, body: json.bytes, mustArriveOnce: mustArriveOnce)
    }
}

public struct ProviderAnswer: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: [UInt8]
    public init(status: Int, headers: HTTPHeaders, body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The body as JSON. - Throws: ``ProviderError`` `unavailable` when it is none (gateways answer HTML pages when they are ill).
    public func json() throws(ProviderError) -> JSON {
        do { return try JSON(parsing: body) } catch { throw ProviderError(.unavailable, "the answer (status \(status)) is not JSON: \(error)") }
    }

    /// What `Retry-After` asks for, in seconds or as a date; nil beyond a day.
    public func retryAfterSeconds() -> Int? {
        headers["retry-after"].flatMap { RetryAfter.seconds($0) }.flatMap { (0...86_400).contains($0) ? Int($0) : nil }
    }
}

/// Why a provider could not be read or asked.
public struct ProviderError: Error, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The message does not have the provider's shape. No retry helps; a person must look.
        case unreadable
        /// Nothing came back, or a sign of illness. A retry helps; whether the call was carried out is unknown.
        case unavailable
        /// Too fast. A retry helps later.
        case throttled
        /// Not sent: calls to the provider are kept away for a while, because it is ill or gets enough of them. A retry helps later.
        case held
        /// The provider refuses the request itself: a rule is broken. No retry helps.
        case rejected
        /// Keys or account are wrong. No retry helps before somebody changes the settings.
        case misconfigured
        /// The provider does not know the payment (yet).
        case notFound
        /// The provider has no such call or method.
        case notOffered
    }
    public let kind: Kind
    public let message: String
    /// The provider's own code, e.g. CinetPay's `608`.
    public let code: String?
    public let retryAfterSeconds: Int?

    public init(_ kind: Kind, _ message: String, code: String? = nil, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.message = message
        self.code = code
        self.retryAfterSeconds = retryAfterSeconds
    }

    public var retryHelps: Bool {
        switch kind {
        case .unavailable, .throttled, .held, .notFound: true
        case .unreadable, .rejected, .misconfigured, .notOffered: false
        }
    }

    public var description: String { "\(kind.rawValue): \(message)" + (code.map { " (code \($0))" } ?? "") }
}
