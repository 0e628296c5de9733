import Formats
import HTTPServer
import MessagePort
import Telemetry

/// Takes what carriers of messages tell of them, at `/webhooks/<carrier>` or, where nobody signs, `/webhooks/<carrier>/<secret>`, and answers
/// when it is durable. One per loop.
///
/// `@unchecked Sendable`: its variables are touched on the loop's thread only, where `handle` is called.
final class ReceiptDesk: @unchecked Sendable {
    /// WhatsApp gathers many receipts in one post.
    static let bodyLimit = 1 << 20

    let store: EventStore
    private let sources: [String: Source]
    private let clients: ClientAddresses
    private let log: Log
    private var limiter = FailureLimiter.refused

    /// A carrier as it is served here.
    final class Source: Sendable {
        let carrier: any ReceiptSource
        let accepted, answered, refused, throttled, unavailable, wrongMethod: Counter

        init(_ carrier: any ReceiptSource) {
            self.carrier = carrier
            accepted = PostCounters.counter(of: carrier.name, "accepted")
            answered = PostCounters.counter(of: carrier.name, "answered")
            refused = PostCounters.counter(of: carrier.name, "refused")
            throttled = PostCounters.counter(of: carrier.name, "throttled")
            unavailable = PostCounters.counter(of: carrier.name, "unavailable")
            wrongMethod = PostCounters.counter(of: carrier.name, "wrong_method")
        }
    }

    init(store: EventStore, sources: [any ReceiptSource], clients: ClientAddresses, log: Log) {
        self.store = store
        self.sources = Dictionary(sources.map { ($0.name, Source($0)) }) { first, _ in first }
        self.clients = clients
        self.log = log
    }

    private static let prefix = "/webhooks/"

    /// The carrier that an address belongs to, and the secret behind its name.
    func source(of path: String) -> (source: Source, secret: String?)? {
        guard !sources.isEmpty, path.hasPrefix(Self.prefix) else { return nil }
        let parts = path.dropFirst(Self.prefix.count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let source = sources[String(name)] else { return nil }
        guard parts.count == 2, !parts[1].isEmpty else { return (source, nil) }
        return (source, String(parts[1].hasSuffix("/") ? parts[1].dropLast() : parts[1]))
    }

    func handle(_ request: HTTPRequest, _ source: Source, secret: String?, _ responder: HTTPResponder) {
        let query = request.query.flatMap { try? FormURLEncoded.parse(Array($0.utf8), fieldsMax: 20) } ?? []
        let posted = ReceiptRequest(method: request.method, secret: secret, headers: request.headers, query: query, body: request.body)
        switch source.carrier.verify(posted) {
        case .answer(let text):
            source.answered.add()
            responder.respond(.text(200, text))
        case .wrongMethod(let allowed):
            source.wrongMethod.add()
            responder.respond(.problem(405, "only \(allowed) is taken here").with("allow", allowed))
        case .refused(let reason): refuse(request, source, reason: reason, hides: secret != nil, responder)
        case .accepted: keep(request, source, responder)
        }
    }

    private func keep(_ request: HTTPRequest, _ source: Source, _ responder: HTTPResponder) {
        let post = ReceiptPost(
            carrier: source.carrier.name, mode: source.carrier.mode, contentType: request.headers["content-type"] ?? "",
            receivedAtMs: WallClock.nowMs, body: request.body)
        store.store(post.encoded()) { outcome in
            switch outcome {
            case .stored:
                source.accepted.add()
                responder.respond(.json(200, ["received": true]))
            case .unavailable:
                source.unavailable.add()
                responder.respond(.problem(503, "the receipt cannot be kept now").with("retry-after", "5"))
            }
        }
    }

    /// The same 401 whatever the reason: it is for staff only. Who keeps at it is answered 429, and nothing more is kept of it.
    /// Its body holds telephone numbers and is not kept.
    /// - Parameter hides: the path holds what may be a secret of before: it is not kept either.
    private func refuse(_ request: HTTPRequest, _ source: Source, reason: String, hides: Bool, _ responder: HTTPResponder) {
        let nowMs = WallClock.nowMs
        let (name, client) = (source.carrier.name, clients.address(of: request))
        let key = "\(name) \(clients.limitKey(of: request))"
        if let seconds = limiter.wait(key, nowMs: nowMs) {
            source.throttled.add()
            return responder.respond(.problem(429, "too many posts that prove nothing").with("retry-after", String(seconds)))
        }
        source.refused.add()
        limiter.failed(key, nowMs: nowMs)
        log.warning("receipt refused", ["carrier": .string(name), "reason": .string(reason)])
        let target = hides || request.query != nil ? "\(Self.prefix)\(name)/\(Redaction.mark)" : request.target
        let shown = HTTPRequest(method: request.method, target: target, headers: request.headers, remoteAddress: request.remoteAddress)
        if let shown { store.keep(RefusalRecord(source: name, atMs: nowMs, reason: reason, client: client, request: shown)) }
        responder.respond(.problem(401, "the post could not be verified"))
    }
}
