import Formats
import HTTPServer
import Telemetry
import UsageSamples

/// `POST /usage` on one loop: takes batches of usage samples, answers when they are durable.
///
/// A full batch is read and written anew on the loop, in about two milliseconds.
///
/// `@unchecked Sendable`: its variables are touched on the loop's thread only, where `handle` is called.
final class UsageDesk: @unchecked Sendable {
    let store: EventStore
    private var keys: UsageKeys
    private let counters: Counters
    private let clients: ClientAddresses
    private let log: Log
    private var limiter = FailureLimiter.refused

    init(store: EventStore, keys: UsageKeys, counters: Counters, clients: ClientAddresses, log: Log) {
        self.store = store
        self.keys = keys
        self.counters = counters
        self.clients = clients
        self.log = log
    }

    /// Other keys from the next post on. On the loop.
    func replace(_ keys: UsageKeys) { self.keys = keys }

    static func isPath(_ path: String) -> Bool { path == "/usage" || path == "/usage/" }

    /// What refusals are listed under, beside the providers' names.
    static let source = "usage"

    /// What became of the posts. Made at the start, so that each outcome is shown from then on.
    struct Counters: Sendable {
        let accepted, invalid, refused, throttled, unavailable, wrongMethod: Counter
        let seconds: Histogram

        init() {
            accepted = PostCounters.counter(of: UsageDesk.source, "accepted")
            invalid = PostCounters.counter(of: UsageDesk.source, "invalid")
            refused = PostCounters.counter(of: UsageDesk.source, "refused")
            throttled = PostCounters.counter(of: UsageDesk.source, "throttled")
            unavailable = PostCounters.counter(of: UsageDesk.source, "unavailable")
            wrongMethod = PostCounters.counter(of: UsageDesk.source, "wrong_method")
            seconds = MetricRegistry.shared.histogram(
                "ingest_usage_request_seconds", help: "From a post of usage samples, its body read and its key known, to its answer.")
        }
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let begin = ContinuousClock.now
        guard request.method == "POST" else {
            counters.wrongMethod.add()
            return responder.respond(.problem(405, "only POST is taken here").with("allow", "POST"))
        }
        let nowMs = WallClock.nowMs
        switch keys.verdict(request.headers) {
        case .refused(let reason): refuse(request, responder, reason: reason, nowMs)
        case .poster(let poster):
            do throws(SampleIntakeError) {
                keep(try read(request, poster, nowMs), from: poster, responder, begin)
            } catch {
                counters.invalid.add()
                responder.respond(Self.answer(to: error))
                counters.seconds.observe(ContinuousClock.now - begin)
            }
        }
    }

    private func read(_ request: HTTPRequest, _ poster: UsagePoster, _ nowMs: Int64) throws(SampleIntakeError) -> SampleBatch {
        // Compressed bytes are none of the types that we read.
        if let encoding = request.headers["content-encoding"], encoding.lowercased() != "identity" { throw .mediaType }
        // Several keys are one list, which is no key.
        let keys = request.headers.values("idempotency-key")
        return try SampleIntake.read(
            request.body, contentType: request.headers["content-type"] ?? "", batch: keys.isEmpty ? nil : keys.joined(separator: ", "),
            source: poster.name, nowMs: nowMs)
    }

    private func keep(_ batch: SampleBatch, from poster: UsagePoster, _ responder: HTTPResponder, _ begin: ContinuousClock.Instant) {
        let samples = Int64(batch.rows.count)
        store.store(batch.encoded()) { [counters] outcome in
            switch outcome {
            case .stored:
                counters.accepted.add()
                poster.samples.add(samples)
                responder.respond(.json(200, ["received": true, "samples": .int(samples)]))
            case .unavailable:
                counters.unavailable.add()
                responder.respond(.problem(503, "the samples cannot be kept now").with("retry-after", "5"))
            }
            counters.seconds.observe(ContinuousClock.now - begin)
        }
    }

    // MARK: Refusals

    /// The same 401 whatever the reason: it is for staff only. Who keeps at it is answered 429, and nothing more is kept of it.
    private func refuse(_ request: HTTPRequest, _ responder: HTTPResponder, reason: String, _ nowMs: Int64) {
        let (client, key) = (clients.address(of: request), clients.limitKey(of: request))
        if let seconds = limiter.wait(key, nowMs: nowMs) {
            counters.throttled.add()
            return responder.respond(.problem(429, "too many posts without a key").with("retry-after", String(seconds)))
        }
        counters.refused.add()
        limiter.failed(key, nowMs: nowMs)
        log.warning("samples refused", ["reason": .string(reason)])
        store.keep(RefusalRecord(source: Self.source, atMs: nowMs, reason: reason, client: client, request: request))
        responder.respond(.problem(401, "a source's bearer key is needed").with("www-authenticate", "Bearer"))
    }

    private static func answer(to error: SampleIntakeError) -> HTTPResponse {
        switch error {
        case .mediaType:
            let types = SampleIntake.mediaTypes.joined(separator: ", ")
            return .problem(415, "Unsupported media type", detail: "\(types) are read here, without a content encoding").with("accept-post", types)
        case .unreadable(let why): return .problem(400, "Not readable", detail: why)
        case .invalid(let faults):
            return .problem(
                422, "Invalid samples", detail: "none of the samples is taken: the rules broken are in errors, the first \(SampleIntake.faultsMax)",
                extra: [("errors", .array(faults.map(json(of:))))])
        }
    }

    private static func json(of fault: SampleFault) -> JSON {
        var members = JSONObject()
        switch fault.place {
        case .line(let line): members["line"] = .int(Int64(line))
        case .index(let index): members["index"] = .int(Int64(index))
        case nil: break
        }
        members["field"] = .string(fault.field)
        members["rule"] = .string(fault.rule)
        return .object(members)
    }
}

extension HTTPResponse {
    /// The same answer with one more header.
    func with(_ name: String, _ value: String) -> HTTPResponse {
        var response = self
        response.headers[name] = value
        return response
    }
}
