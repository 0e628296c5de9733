import Database
import EventLoop
import Formats
import HTTPClient
import HTTPServer
import Payments
import ProviderPort
import Synchronization
import TestSupport

/// An ingest without a list behind it: verifies and applies at once, and remembers what was posted, so that it can be posted again.
final class PlainIngest: Sendable {
    struct Post: Sendable {
        let method: String
        let target: String
        let headers: HTTPHeaders
        let body: [UInt8]

        func with(target: String? = nil, headers: HTTPHeaders? = nil, body: [UInt8]? = nil) -> Post {
            Post(method: method, target: target ?? self.target, headers: headers ?? self.headers, body: body ?? self.body)
        }
    }

    private struct State: Sendable {
        var events: PaymentEvents?
        var isHolding = false
        var posts: [Post] = []
    }

    private let state = Mutex(State())
    private let database: Database
    private let nowMs: @Sendable () -> Int64
    private let policy: TrustPolicy?

    /// - Parameter policy: of every source; each adapter's own unless given.
    init(database: Database, policy: TrustPolicy? = nil, nowMs: @escaping @Sendable () -> Int64) {
        self.policy = policy
        self.database = database
        self.nowMs = nowMs
    }

    func open(_ events: PaymentEvents) { state.withLock { $0.events = events } }

    /// While it holds, everything is answered 200 and only remembered.
    func hold(_ holds: Bool) { state.withLock { $0.isHolding = holds } }

    /// What the providers posted, oldest first; what was posted again is not among it.
    var posts: [Post] { state.withLock { $0.posts } }
    func forget() { state.withLock { $0.posts = [] } }

    static let againHeader = "x-posted-again"

    func take(_ request: HTTPRequest) async -> HTTPResponse {
        let (events, isHolding) = state.withLock { state in
            if request.headers[Self.againHeader] == nil && request.method == "POST" {
                state.posts.append(Post(method: request.method, target: request.target, headers: request.headers, body: request.body))
            }
            return (state.events, state.isHolding)
        }
        guard let events, !isHolding else { return .text(isHolding ? 200 : 503, "") }
        let pieces = request.path.split(separator: "/").map(String.init)
        guard pieces.count > 1, let adapter = events.providers[pieces[1]] else { return .text(404, "") }
        var grant: CapabilitySigner.Grant?
        if pieces.count == 4 {
            grant = adapter.addressSigner?.verify(pieces[3], provider: adapter.name, payment: pieces[2])
            guard grant != nil else { return .text(401, "") }
        }
        let webhook = IncomingWebhook(
            method: request.method, headers: request.headers, body: request.body, cameByCapability: grant != nil, policy: policy)
        switch adapter.verifyWebhook(webhook, nowMs: WallClock.nowMs) {
        case .ignored: return .text(200, "")
        case .refused: return .text(401, "")
        case .accepted(let accepted):
            let event = ProviderEvent(
                id: accepted.deliveryID, provider: adapter.name, mode: "sandbox", trust: accepted.trust, type: accepted.type, timeMs: nowMs(),
                contentType: webhook.contentType, body: request.body, headers: "", matchedKey: nil, payment: grant == nil ? nil : pieces[2],
                attemptNumber: grant?.attemptNumber, target: request.target, traceparent: nil)
            let read = ReadEvent(event, providers: events.providers)
            let outcome = try? await database.write { [nowMs] in try events.apply(read, nowMs: nowMs(), in: $0) }
            return .text(outcome == nil ? 503 : 200, "")
        }
    }
}
