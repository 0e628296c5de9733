import Formats
import HTTPServer

/// What pages of other sites may ask of the API from a browser (CORS): nothing, unless their origin is listed.
///
/// Nobody is known by a cookie here, so credentials are never allowed; a page sends its token in `Authorization`.
struct CrossOrigin: Sendable {
    private static let requestHeaders = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Traceparent"
    private static let answerHeaders =
        "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, WWW-Authenticate"
    /// How long a browser may keep the answer to its question.
    private static let keptSeconds = "600"

    private let origins: Set<String>
    private let isOpenToAll: Bool

    /// - Parameter origins: exact ones, or `*`.
    init(origins: [String]) {
        self.origins = Set(origins)
        isOpenToAll = origins == ["*"]
    }

    var isOn: Bool { !origins.isEmpty }

    /// What programs call; pages are for our own site only.
    static func covers(_ path: String) -> Bool { path.hasPrefix("/api/") || path == "/openapi.json" }

    /// Whether a page of that origin may call.
    func allows(_ origin: String) -> Bool { isOpenToAll || origins.contains(origin) }

    /// The answer to a browser that asks before it calls; nil to any other request.
    /// - Parameter methods: that the path has.
    func preflight(_ request: HTTPRequest, methods: [String]) -> HTTPResponse? {
        guard isOn, request.method == "OPTIONS", Self.covers(request.path), let origin = request.headers["origin"],
            request.headers.contains("access-control-request-method")
        else { return nil }
        guard allows(origin) else {
            return WebProblem(status: 403, title: "Forbidden", detail: "pages of this origin may not call the API").response
        }
        return HTTPResponse(
            status: 204,
            headers: [
                "Access-Control-Allow-Methods": methods.joined(separator: ", "), "Access-Control-Allow-Headers": Self.requestHeaders,
                "Access-Control-Max-Age": Self.keptSeconds,
            ])
    }

    /// Adds what tells a browser whether its page may read the answer, and caches that it depends on the page.
    func complete(_ response: inout HTTPResponse, to request: HTTPRequest) {
        guard isOn, Self.covers(request.path) else { return }
        if !isOpenToAll {
            let others = response.headers["vary"].map { "\($0), " } ?? ""
            response.headers["Vary"] = "\(others)Origin"
        }
        guard let origin = request.headers["origin"], allows(origin) else { return }
        response.headers["Access-Control-Allow-Origin"] = isOpenToAll ? "*" : origin
        if request.method != "OPTIONS" { response.headers["Access-Control-Expose-Headers"] = Self.answerHeaders }
    }
}
