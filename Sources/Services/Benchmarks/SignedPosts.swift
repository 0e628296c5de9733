import Formats
import StandardWebhooks

/// Webhooks as a provider would post them, signed by the Standard Webhooks scheme.
enum SignedPosts {
    static let secret = "whsec_YmVuY2htYXJrcyBzaWduIHdpdGggdGhpcyBrZXk="
    static let path = "/webhooks/standard-webhooks"

    /// A payment that succeeded, for the attempt we know under `order`.
    static func body(order: String, id: String, nowMs: Int64) -> [UInt8] {
        var writer = JSONWriter(reserving: 320)
        writer.beginObject()
        writer.member("type", "payment.succeeded")
        writer.member("timestamp", Timestamp.rfc3339(nowMs))
        writer.key(literal: "data")
        writer.beginObject()
        writer.member("id", id)
        writer.member("order_id", order)
        writer.member("amount", "15000")
        writer.member("currency", "XOF")
        writer.member("status", "completed")
        writer.member("customer_name", "Awa Diop")
        writer.member("description", "Order of the benchmark")
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// The whole HTTP request. Its signature is good for five minutes.
    static func request(id: String, body: [UInt8], nowMs: Int64, signer: StandardWebhooksSigner) -> [UInt8] {
        let timestamp = nowMs / 1000
        let head = """
            POST \(path) HTTP/1.1\r
            Host: 127.0.0.1\r
            User-Agent: quittance-bench\r
            Content-Type: application/json\r
            webhook-id: \(id)\r
            webhook-timestamp: \(timestamp)\r
            webhook-signature: \(signer.signature(id: id, timestamp: timestamp, body: body))\r
            Content-Length: \(body.count)\r
            \r

            """
        return Array(head.utf8) + body
    }

    /// Posts of so many distinct deliveries.
    static func make(_ count: Int) throws -> [[UInt8]] {
        try requests(for: (0..<count).map { "bench-order-\($0)" }, named: "\(WallClock.nowMs)")
    }

    /// One post for each attempt. - Parameter name: tells these deliveries from others.
    static func requests(for attempts: [String], named name: String) throws -> [[UInt8]] {
        let signer = try StandardWebhooksSigner(secret: secret)
        let now = WallClock.nowMs
        return attempts.enumerated().map { number, attempt in
            let body = body(order: attempt, id: "bench-\(name)-\(number)", nowMs: now)
            return request(id: "msg_\(name)_\(number)", body: body, nowMs: now, signer: signer)
        }
    }

    /// As `Benchmarks/requests.lua` reads them.
    static func file(_ requests: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(requests.reduce(0) { $0 + $1.count + 8 })
        for request in requests {
            bytes += Array("\(request.count)\n".utf8)
            bytes += request
        }
        return bytes
    }
}
