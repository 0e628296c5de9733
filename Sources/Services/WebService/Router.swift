import Formats
import HTTPServer
import Telemetry

/// A request on its way through a handler.
struct WebCall: Sendable {
    let request: HTTPRequest
    /// What stands at the route's `{…}`, percent-decoded.
    let values: [String: String]
    /// Who calls; nil on routes that are open to all.
    let caller: Caller?
    /// The body of a form with files, on routes that take one; the request's own is empty then.
    var upload: UploadBody?

    /// A value of the path; its route has it.
    func value(_ name: String) -> String { values[name] ?? "" }
    /// Who acts, in audit rows.
    var actor: String { caller?.actor ?? "customer:web" }
}

/// One method on one pattern of paths.
struct Route: Sendable {
    typealias Handler = @Sendable (WebCall) async throws -> HTTPResponse
    /// Of a route whose answers go on and on.
    typealias Following = @Sendable (WebCall) async throws -> WebAnswer

    enum Kind: Sendable {
        /// For programs: a key or a token with the scope.
        case api(scope: String)
        /// For the product's own back end: a key with the scope, no user's token.
        case backEnd(scope: String)
        /// For programs and forms of any site's server, without a key.
        case openAPI
        /// For people.
        case page
        /// For the pages of any site, with the token of a link in the path.
        case capability
        /// A page that a provider's site sends the browser to, by a POST of its own.
        case returnPage
        /// For staff: who may come in is for the console's own gate to say.
        case console
        /// For whoever looks after the process.
        case operation
    }

    let method: String
    let pattern: String
    let kind: Kind
    /// The largest body in bytes.
    let bodyLimit: Int
    /// The largest form with files, which is taken piece by piece; nil where none is taken.
    let uploadLimit: Int?
    /// What a call is counted as.
    let counted: CallKind
    let handler: Following
    /// How long its answers took; those that are given at once, from memory, are not among them.
    let seconds: Histogram
    private let segments: [Segment]

    private enum Segment: Sendable {
        case literal(String)
        case value(String)
    }

    /// - Parameter pattern: as `/api/v1/payments/{payment}/`. A slash at the end of a request's path makes no difference.
    init(
        _ method: String, _ pattern: String, _ kind: Kind, bodyLimit: Int = 64 * 1024, uploadLimit: Int? = nil, counted: CallKind = .call,
        _ handler: @escaping Handler
    ) {
        self.init(
            method, pattern, kind, bodyLimit: bodyLimit, uploadLimit: uploadLimit, counted: counted, answering: { .whole(try await handler($0)) })
    }

    /// A GET whose answer may go on.
    init(following pattern: String, _ kind: Kind, counted: CallKind = .status, _ handler: @escaping Following) {
        self.init("GET", pattern, kind, bodyLimit: 0, uploadLimit: nil, counted: counted, answering: handler)
    }

    private init(
        _ method: String, _ pattern: String, _ kind: Kind, bodyLimit: Int, uploadLimit: Int?, counted: CallKind,
        answering handler: @escaping Following
    ) {
        self.method = method
        self.pattern = pattern
        self.kind = kind
        self.bodyLimit = bodyLimit
        self.uploadLimit = uploadLimit
        self.counted = counted
        self.handler = handler
        seconds = MetricRegistry.shared.histogram(
            "web_request_seconds", help: "From a request to its answer, by route.", labels: [("route", "\(method) \(pattern)")])
        segments = Route.pieces(of: pattern).map { $0.hasPrefix("{") ? .value(String($0.dropFirst().dropLast())) : .literal(String($0)) }
    }

    /// The path's values; nil when it is none of this route's.
    func match(_ pieces: [Substring]) -> [String: String]? {
        guard pieces.count == segments.count else { return nil }
        var values: [String: String] = [:]
        for (piece, segment) in zip(pieces, segments) {
            switch segment {
            case .literal(let text): if piece != text { return nil }
            case .value(let name):
                guard let value = PercentEncoding.decode(String(piece)), !value.isEmpty else { return nil }
                values[name] = value
            }
        }
        return values
    }

    static func pieces(of path: String) -> [Substring] {
        var pieces = path.split(separator: "/", omittingEmptySubsequences: false)
        if pieces.first == "" { pieces.removeFirst() }
        if pieces.last == "" { pieces.removeLast() }
        return pieces
    }
}

/// Finds the route of a request: the first that fits.
struct Router: Sendable {
    let routes: [Route]

    enum Match: Sendable {
        case found(Route, values: [String: String])
        /// The path is known, but not with this method; with these it is.
        case wrongMethod(allowed: [String])
        case none
    }

    func match(method: String, path: String) -> Match {
        let pieces = Route.pieces(of: path)
        var allowed: [String] = []
        for route in routes {
            guard let values = route.match(pieces) else { continue }
            if route.method == method || (method == "HEAD" && route.method == "GET") { return .found(route, values: values) }
            if !allowed.contains(route.method) { allowed.append(route.method) }
        }
        guard !allowed.isEmpty else { return .none }
        if allowed.contains("GET") { allowed.append("HEAD") }
        return .wrongMethod(allowed: allowed)
    }

    /// How much body a request may have; what has no route needs none.
    func bodyLimit(_ head: HTTPRequestHead) -> Int {
        guard case .found(let route, _) = match(method: head.method, path: head.path) else { return 4096 }
        return uploads(head, route) ?? route.bodyLimit
    }

    /// Whether a request's body is a form with files that its route takes piece by piece.
    func takesUpload(_ head: HTTPRequestHead) -> Bool {
        guard case .found(let route, _) = match(method: head.method, path: head.path) else { return false }
        return uploads(head, route) != nil
    }

    private func uploads(_ head: HTTPRequestHead, _ route: Route) -> Int? { UploadForm.isMultipart(head.headers) ? route.uploadLimit : nil }
}
