import Formats

/// The methods that reach a handler; every other one is answered 501 by the server.
enum Method: UInt8, Sendable {
    case get, head, post, put, patch, delete, options

    var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        }
    }
}

/// A request without its body.
public struct HTTPRequestHead: Sendable {
    let verb: Method
    /// The request target as sent: path and query, percent-encoded.
    public let target: String
    public let headers: HTTPHeaders
    /// The client's IP address, as the socket tells it.
    public let remoteAddress: String

    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    public var method: String { verb.name }

    /// The path as sent, not percent-decoded; `*` for `OPTIONS *`.
    public var path: String {
        guard let question = questionMark else { return target }
        return String(target[..<question])
    }

    /// What follows the first `?`, not decoded.
    public var query: String? {
        guard let question = questionMark else { return nil }
        return String(target[target.utf8.index(after: question)...])
    }

    /// The first value of a query parameter, decoded; nil when it is absent or the query is malformed.
    public func queryValue(_ name: String) -> String? {
        guard let query, let pairs = try? FormURLEncoded.parse(Array(query.utf8)) else { return nil }
        return pairs.first { $0.name == name }?.value
    }

    private var questionMark: String.Index? { target.utf8.firstIndex(of: UInt8(ascii: "?")) }
}

/// A whole request: head and the exact bytes of its body.
public struct HTTPRequest: Sendable {
    public let head: HTTPRequestHead
    public let body: [UInt8]

    public init(head: HTTPRequestHead, body: [UInt8]) {
        self.head = head
        self.body = body
    }

    /// A request made by hand, for handlers that are called without a socket.
    public init?(method: String, target: String, headers: HTTPHeaders = [:], body: [UInt8] = [], remoteAddress: String = "127.0.0.1") {
        guard let verb = Method(name: method) else { return nil }
        head = HTTPRequestHead(verb: verb, target: target, headers: headers, remoteAddress: remoteAddress)
        self.body = body
    }

    public var method: String { head.method }
    public var target: String { head.target }
    public var path: String { head.path }
    public var query: String? { head.query }
    public var headers: HTTPHeaders { head.headers }
    public var remoteAddress: String { head.remoteAddress }
    public func queryValue(_ name: String) -> String? { head.queryValue(name) }
}

extension Method {
    init?(name: String) {
        switch name {
        case "GET": self = .get
        case "HEAD": self = .head
        case "POST": self = .post
        case "PUT": self = .put
        case "PATCH": self = .patch
        case "DELETE": self = .delete
        case "OPTIONS": self = .options
        default: return nil
        }
    }
}
