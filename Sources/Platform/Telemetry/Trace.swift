import Formats

/// Where in a distributed trace we are: the W3C `traceparent`, carried from the webhook to the last job.
public struct Trace: Sendable, Equatable {
    /// 16 bytes, not all zero.
    public let traceID: [UInt8]
    /// 8 bytes, not all zero.
    public let spanID: [UInt8]
    public let isSampled: Bool

    /// A new trace.
    public init() {
        traceID = Self.random(16)
        spanID = Self.random(8)
        isSampled = true
    }

    private init(traceID: [UInt8], spanID: [UInt8], isSampled: Bool) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
    }

    /// Reads a `traceparent` header; nil when it is not one, in which case the caller starts a new trace.
    public init?(traceparent text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 55, bytes[2] == 0x2D, bytes[35] == 0x2D, bytes[52] == 0x2D,
            !bytes[..<55].contains(where: { (0x41...0x5A).contains($0) }),
            let version = Hex.decode(Array(bytes[..<2])), let trace = Hex.decode(Array(bytes[3..<35])),
            let span = Hex.decode(Array(bytes[36..<52])), let flags = Hex.decode(Array(bytes[53..<55]))
        else { return nil }
        // Version 00 ends here; later ones may add more after another dash.
        guard version[0] != 0xFF, bytes.count == 55 || (version[0] > 0 && bytes[55] == 0x2D) else { return nil }
        guard trace.contains(where: { $0 != 0 }), span.contains(where: { $0 != 0 }) else { return nil }
        self.init(traceID: trace, spanID: span, isSampled: flags[0] & 1 == 1)
    }

    /// The same trace, one step further.
    public func child() -> Trace { Trace(traceID: traceID, spanID: Self.random(8), isSampled: isSampled) }

    /// The header's text, version 00.
    public var traceparent: String { "00-\(Hex.encode(traceID))-\(Hex.encode(spanID))-0\(isSampled ? 1 : 0)" }

    /// The identifier that log lines carry in the field `trace`.
    public var id: String { Hex.encode(traceID) }

    private static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        while bytes.count < count { withUnsafeBytes(of: UInt64.random(in: 1...UInt64.max, using: &generator)) { bytes += $0 } }
        return bytes
    }
}
