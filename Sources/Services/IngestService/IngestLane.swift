import ErrorReports
import EventLoop
import Formats
import HTTPServer
import ProviderPort
import RedisClient
import Settings
import Telemetry

/// The handling of posts on one loop. Nothing here waits: a post is verified at once and answered when its event is durable.
///
/// `@unchecked Sendable`: its variables are touched on the loop's thread only, where `handle` is called.
final class IngestLane: @unchecked Sendable {
    let loop: EventLoop
    let store: EventStore
    let usage: UsageDesk
    /// Nil where no carrier posts receipts.
    let receipts: ReceiptDesk?
    let redis: RedisConnection
    private var table: SourceTable
    private var usageBodyLimit: Int
    private let clients: ClientAddresses
    private let log: Log
    private var elsewhereLimiter = FailureLimiter.elsewhere
    private var limiter = FailureLimiter.refused
    private var unprovenLimiter = FailureLimiter.unproven

    init(
        loop: EventLoop, store: EventStore, usage: UsageDesk, receipts: ReceiptDesk?, redis: RedisConnection, table: SourceTable,
        usageBodyLimit: Int, clients: ClientAddresses, log: Log
    ) {
        self.loop = loop
        self.store = store
        self.usage = usage
        self.receipts = receipts
        self.redis = redis
        self.table = table
        self.usageBodyLimit = usageBodyLimit
        self.clients = clients
        self.log = log
    }

    /// Follows Redis from now on. On the loop.
    func start() {
        store.start()
        usage.store.start()
        receipts?.store.start()
        redis.start()
    }

    /// Other sources and keys from the next post on; posts under way keep those they came in with. On the loop.
    func replace(_ table: SourceTable, usageKeys: UsageKeys, usageBodyLimit: Int) {
        loop.preconditionOnLoop()
        self.table = table
        self.usageBodyLimit = usageBodyLimit
        usage.replace(usageKeys)
    }

    /// The largest body of a post to this path. Of one that is no source's: as of a source, so that it is answered 404 and not 413.
    func bodyLimit(of path: String) -> Int {
        if let match = table.match(path: path) { return match.source.bodyLimit }
        if UsageDesk.isPath(path) { return usageBodyLimit }
        return receipts?.source(of: path) == nil ? Self.strangerBodyLimit : ReceiptDesk.bodyLimit
    }

    private static let strangerBodyLimit = 256 << 10

    /// Returns when Redis takes this lane's events, at the latest after `patience`.
    func awaitRedis(within patience: Duration) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.execute { [self] in
                var isDone = false
                let finish = {
                    guard !isDone else { return }
                    isDone = true
                    continuation.resume()
                }
                store.whenHealthy(finish)
                LoopTimer(on: loop, finish).start(after: patience)
            }
        }
    }

    /// Called every half second on the loop.
    func tend() {
        store.tend()
        usage.store.tend()
        receipts?.store.tend()
    }

    private static let accepted = HTTPResponse(status: 200, headers: ["content-type": "application/json"], body: Array(#"{"received":true}"#.utf8))

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder, all lanes: [IngestLane]) {
        let path = request.path
        guard let match = table.match(path: path) else {
            if UsageDesk.isPath(path) { return usage.handle(request, responder) }
            if let receipts, let (source, secret) = receipts.source(of: path) {
                return receipts.handle(request, source, secret: secret, responder)
            }
            return responder.respond(operational(path, request, lanes))
        }
        let source = match.source
        let nowMs = WallClock.nowMs
        guard request.method != "POST" || mayComeFromThere(request, source, nowMs) else {
            return refuse(request, responder, source, reason: "it comes from an address that is not the source's", nowMs)
        }
        var address: GrantedAddress?
        if let payment = match.payment {
            let grant = source.adapter.addressSigner?.verify(match.capability ?? "", provider: source.name, payment: payment)
            guard let grant else { return refuse(request, responder, source, reason: "the capability in the path is wrong", nowMs) }
            address = GrantedAddress(payment: payment, grant: grant)
        }
        let webhook = IncomingWebhook(
            method: request.method, headers: request.headers, body: request.body, cameByCapability: address != nil, policy: source.policy)
        switch source.adapter.verifyWebhook(webhook, nowMs: nowMs) {
        case .ignored:
            source.counters.ignored.add()
            responder.respond(Self.accepted)
        case .refused(let reason):
            guard request.method == "POST" else { return methodNotAllowed(responder, source) }
            refuse(request, responder, source, reason: reason, nowMs)
        case .accepted(let webhook):
            guard request.method == "POST" else { return methodNotAllowed(responder, source) }
            if webhook.trust == .unproven, let answer = limitUnproven(request, source, nowMs) { return responder.respond(answer) }
            accept(request, responder, source, webhook, address, nowMs)
        }
    }

    private func accept(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ source: WebhookSource, _ webhook: AcceptedWebhook, _ address: GrantedAddress?,
        _ nowMs: Int64
    ) {
        let matchedKey = webhook.matchedKey ?? address?.grant.matchedKey
        let event = ProviderEvent(
            id: webhook.deliveryID, provider: source.name, mode: source.mode, trust: webhook.trust, type: webhook.type, timeMs: nowMs,
            contentType: request.headers["content-type"] ?? "", body: request.body, headers: KeptHeaders.lines(of: request.headers),
            matchedKey: matchedKey, payment: address?.payment, attemptNumber: address?.grant.attemptNumber,
            target: address == nil ? request.path : "/webhooks/\(source.name)", traceparent: request.headers["traceparent"])
        store.store(event.encoded()) { outcome in
            switch outcome {
            case .stored:
                source.counters.accepted.add()
                if let matchedKey { source.counters.matched(matchedKey) }
                responder.respond(Self.accepted)
            case .unavailable:
                source.counters.unavailable.add()
                ErrorReports.report(
                    ErrorReport(
                        "a webhook was answered 503: its event cannot be kept now", fields: ["provider": source.name, "mode": source.mode]))
                var response = HTTPResponse.problem(503, "the event cannot be kept now")
                response.headers["retry-after"] = "5"
                responder.respond(response)
            }
        }
    }

    /// The same 401 whatever the reason: it is for staff only. Who keeps at it is answered 429, and nothing more is kept of it. Only
    /// what is refused is limited: behind a proxy all posts have one address, and a forger must not shut the provider out.
    private func refuse(_ request: HTTPRequest, _ responder: HTTPResponder, _ source: WebhookSource, reason: String, _ nowMs: Int64) {
        let client = clients.address(of: request)
        let limiterKey = source.name + " " + clients.limitKey(of: request)
        if let seconds = limiter.wait(limiterKey, nowMs: nowMs) { return responder.respond(throttled(source, seconds)) }
        source.counters.refused.add()
        limiter.failed(limiterKey, nowMs: nowMs)
        log.warning("post refused", ["provider": .string(source.name), "reason": .string(reason)])
        store.keep(RefusalRecord(source: source.name, atMs: nowMs, reason: reason, client: client, request: request))
        responder.respond(.problem(401, "the post could not be verified"))
    }

    /// Whether a post may come from where it does. An address proves little, and is looked at before the proof, since it costs less.
    private func mayComeFromThere(_ request: HTTPRequest, _ source: WebhookSource, _ nowMs: Int64) -> Bool {
        guard source.addresses.check != .off else { return true }
        let client = clients.address(of: request)
        guard source.addresses.finding(client) == .unlisted else {
            source.counters.listed.add()
            return true
        }
        source.counters.unlisted.add()
        guard source.addresses.check == .log else { return false }
        let key = source.name + " " + clients.limitKey(of: request)
        if elsewhereLimiter.wait(key, nowMs: nowMs) == nil {
            elsewhereLimiter.failed(key, nowMs: nowMs)
            log.warning("a post comes from elsewhere", ["provider": .string(source.name), "address": .string(client)])
        }
        return true
    }

    /// A notice without a proof is short, and anybody can send it: what is long or comes in masses is not a provider's.
    private func limitUnproven(_ request: HTTPRequest, _ source: WebhookSource, _ nowMs: Int64) -> HTTPResponse? {
        guard request.body.count <= Self.unprovenBodyMax else {
            source.counters.refused.add()
            return .problem(413, "a post without a proof may have \(Self.unprovenBodyMax) bytes")
        }
        let key = source.name + " " + clients.limitKey(of: request)
        if let seconds = unprovenLimiter.wait(key, nowMs: nowMs) { return throttled(source, seconds) }
        unprovenLimiter.failed(key, nowMs: nowMs)
        return nil
    }

    /// Bytes of a post that proves nothing.
    static let unprovenBodyMax = 8192

    private func throttled(_ source: WebhookSource, _ seconds: Int) -> HTTPResponse {
        source.counters.throttled.add()
        var response = HTTPResponse.problem(429, "too many posts that prove nothing")
        response.headers["retry-after"] = String(seconds)
        return response
    }

    private func methodNotAllowed(_ responder: HTTPResponder, _ source: WebhookSource) {
        source.counters.wrongMethod.add()
        var response = HTTPResponse.problem(405, "only POST is taken here")
        response.headers["allow"] = "POST"
        responder.respond(response)
    }

    private func operational(_ path: String, _ request: HTTPRequest, _ lanes: [IngestLane]) -> HTTPResponse {
        switch path {
        case "/healthz", "/readyz", "/metrics":
            guard request.method == "GET" || request.method == "HEAD" else {
                var response = HTTPResponse.problem(405, "only GET is taken here")
                response.headers["allow"] = "GET, HEAD"
                return response
            }
        default: return .problem(404, "not found")
        }
        switch path {
        case "/healthz": return .text(200, "ok\n")
        case "/readyz":
            guard lanes.allSatisfy({ $0.store.canKeep }) else { return .text(503, "no event can be made durable\n") }
            guard lanes.allSatisfy({ $0.usage.store.canKeep }) else { return .text(503, "no usage samples can be made durable\n") }
            let takesReceipts = lanes.allSatisfy { $0.receipts?.store.canKeep ?? true }
            return takesReceipts ? .text(200, "ready\n") : .text(503, "no receipts of messages can be made durable\n")
        default: return .metrics()
        }
    }
}

/// An address that was made for one payment, as a post came to it.
private struct GrantedAddress {
    let payment: String
    let grant: CapabilitySigner.Grant
}

/// Headers worth keeping with an event, as lines; the values of those that prove something are masked.
enum KeptHeaders {
    private static let plain: [StaticString] = ["user-agent", "webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"]
    private static let proving: [StaticString] = [
        "webhook-signature", "svix-signature", "x-token", "x-webhook-signature", "authorization", "x-kkiapay-secret", "wave-signature",
        "x-feexpay-signature", "x-icount-secret",
    ]

    static func lines(of headers: HTTPHeaders) -> String {
        var lines: [UInt8] = []
        lines.reserveCapacity(256)
        headers.forEachBytes { name, value in
            if let known = plain.first(where: { matches(name, $0) }) {
                append(known, value, to: &lines)
            } else if let known = proving.first(where: { matches(name, $0) }) {
                var mark = Redaction.mark
                mark.withUTF8 { append(known, $0, to: &lines) }
            }
        }
        return String(decoding: lines, as: UTF8.self)
    }

    private static func append(_ name: StaticString, _ value: UnsafeBufferPointer<UInt8>, to lines: inout [UInt8]) {
        lines.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        lines.append(UInt8(ascii: ":"))
        lines.append(UInt8(ascii: " "))
        lines.append(contentsOf: value)
        lines.append(UInt8(ascii: "\n"))
    }

    /// - Parameter known: in lower case.
    private static func matches(_ name: UnsafeBufferPointer<UInt8>, _ known: StaticString) -> Bool {
        guard name.count == known.utf8CodeUnitCount else { return false }
        for place in 0..<name.count where ASCII.lowercase(name[place]) != known.utf8Start[place] { return false }
        return true
    }
}
