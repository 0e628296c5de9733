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

    init(source: String, atMs: Int64, reason: String, request: HTTPRequest) {
        self.source = source
        self.atMs = atMs
        self.reason = reason
        remoteAddress = request.remoteAddress
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

/// Slows down whoever keeps posting what is refused: a bucket of failures per source and address. Posts that pass are never
/// limited. Loop thread only.
struct FailureLimiter {
    /// Failures that may come at once, and how many are forgiven per second.
    static let burst = 100.0
    static let perSecond = 5.0
    /// Addresses remembered; the table is emptied beyond that, which only ever lets through more.
    static let tableMax = 10_000

    private struct Bucket {
        var tokens: Double
        var atMs: Int64
    }
    private var buckets: [String: Bucket] = [:]

    /// Seconds to wait, or nil when the post may be looked at.
    mutating func wait(_ key: String, nowMs: Int64) -> Int? {
        guard !buckets.isEmpty, let bucket = refilled(key, nowMs) else { return nil }
        return bucket.tokens < 1 ? max(1, Int((1 - bucket.tokens) / Self.perSecond)) : nil
    }

    mutating func failed(_ key: String, nowMs: Int64) {
        if buckets.count >= Self.tableMax { buckets = [:] }
        var bucket = refilled(key, nowMs) ?? Bucket(tokens: Self.burst, atMs: nowMs)
        bucket.tokens -= 1
        buckets[key] = bucket
    }

    private func refilled(_ key: String, _ nowMs: Int64) -> Bucket? {
        guard var bucket = buckets[key] else { return nil }
        bucket.tokens = min(Self.burst, bucket.tokens + Double(nowMs - bucket.atMs) / 1000 * Self.perSecond)
        bucket.atMs = nowMs
        return bucket
    }
}
