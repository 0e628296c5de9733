import Formats
import HTTPServer
import Telemetry

/// A refused post, as staff sees it: reason, masked headers, the body's beginning. Never sent to the poster.
struct RefusalRecord: Sendable {
    /// Kept per source.
    static let kept = 200
    static let bodyMax = 4096

    let source: String
    let atMs: Int64
    let reason: String
    let remoteAddress: String
    let target: String
    let headers: HTTPHeaders
    let body: [UInt8]

    init(source: String, atMs: Int64, reason: String, client: String, request: HTTPRequest) {
        self.source = source
        self.atMs = atMs
        self.reason = reason
        remoteAddress = client
        target = request.target
        headers = request.headers
        body = Array(request.body.prefix(Self.bodyMax))
    }

    func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 1024 + body.count)
        writer.beginObject()
        writer.member("source", source)
        writer.member("time", Timestamp.rfc3339(atMs))
        writer.member("reason", reason)
        writer.member("remote_address", remoteAddress)
        writer.member("target", Redaction.text(target))
        writer.key(literal: "headers")
        writer.beginArray()
        headers.forEach { name, value in writer.string("\(name): \(Redaction.headerValue(name: name, value: value))") }
        writer.endArray()
        writer.member("body", Redaction.text(String(decoding: body, as: UTF8.self)))
        writer.endObject()
        return writer.bytes
    }
}

/// Slows down whoever keeps posting what proves nothing: a bucket per source and address. Posts with a good proof are never
/// limited. Loop thread only.
struct FailureLimiter {
    /// Posts that may come at once, and how many more per second.
    private let burst: Double
    private let perSecond: Double
    /// Addresses remembered; the table is emptied beyond that, which only ever lets through more.
    static let tableMax = 10_000

    private struct Bucket {
        var tokens: Double
        var atMs: Int64
    }
    private var buckets: [String: Bucket] = [:]

    init(burst: Double, perSecond: Double) {
        self.burst = burst
        self.perSecond = perSecond
    }

    /// For refused posts.
    static let refused = FailureLimiter(burst: 100, perSecond: 5)
    /// For posts that are taken without a proof: a provider's notices without a token, which only make us ask.
    static let unproven = FailureLimiter(burst: 1000, perSecond: 10)
    /// For lines of the log about posts from elsewhere.
    static let elsewhere = FailureLimiter(burst: 5, perSecond: 1.0 / 60)

    /// Seconds to wait, or nil when the post may be looked at.
    mutating func wait(_ key: String, nowMs: Int64) -> Int? {
        guard !buckets.isEmpty, let bucket = refilled(key, nowMs) else { return nil }
        return bucket.tokens < 1 ? max(1, Int((1 - bucket.tokens) / perSecond)) : nil
    }

    mutating func failed(_ key: String, nowMs: Int64) {
        if buckets.count >= Self.tableMax { buckets = [:] }
        var bucket = refilled(key, nowMs) ?? Bucket(tokens: burst, atMs: nowMs)
        bucket.tokens -= 1
        buckets[key] = bucket
    }

    private func refilled(_ key: String, _ nowMs: Int64) -> Bucket? {
        guard var bucket = buckets[key] else { return nil }
        bucket.tokens = min(burst, bucket.tokens + Double(nowMs - bucket.atMs) / 1000 * perSecond)
        bucket.atMs = nowMs
        return bucket
    }
}
