import Cryptography
import Formats

/// Signs requests as AWS asks (Signature Version 4): in a header, or in the query of a link that somebody else follows.
///
/// Paths are signed as they are sent, escaped once, which is S3's way; other services of AWS escape them twice.
struct RequestSignature: Sendable {
    static let algorithm = "AWS4-HMAC-SHA256"
    /// In place of a body's hash where the body is not covered.
    static let unsignedPayload = "UNSIGNED-PAYLOAD"

    let accessKey: String
    let region: String
    let service: String
    private let secret: String

    init(accessKey: String, secret: String, region: String, service: String = "s3") {
        self.accessKey = accessKey
        self.secret = secret
        self.region = region
        self.service = service
    }

    /// A request before it is signed: names and values as they are meant, not escaped.
    struct Request {
        var method: String
        /// From the first slash on.
        var path: String
        var query: [(name: String, value: String)] = []
        /// All that is signed; `host` must be among them.
        var headers: [(name: String, value: String)]
    }

    /// The value of `Authorization`. The headers must hold what S3 wants besides: `x-amz-date`, and `x-amz-content-sha256` with `payloadHash`.
    func authorization(_ request: Request, payloadHash: String, at time: Stamp) -> String {
        let fields = Self.canonicalHeaders(request.headers)
        let signature = sign(Self.canonical(request, query: request.query, fields: fields, payloadHash: payloadHash), at: time)
        return "\(Self.algorithm) Credential=\(accessKey)/\(scope(time)), SignedHeaders=\(fields.names), Signature=\(signature)"
    }

    /// The query of a link that is good for some seconds: whoever follows it sends the signed headers, and any body.
    func presignedQuery(_ request: Request, seconds: Int, at time: Stamp) -> String {
        let fields = Self.canonicalHeaders(request.headers)
        let own = [
            ("X-Amz-Algorithm", Self.algorithm), ("X-Amz-Credential", "\(accessKey)/\(scope(time))"), ("X-Amz-Date", time.text),
            ("X-Amz-Expires", String(seconds)), ("X-Amz-SignedHeaders", fields.names),
        ]
        let query = request.query + own.map { (name: $0.0, value: $0.1) }
        let signature = sign(Self.canonical(request, query: query, fields: fields, payloadHash: Self.unsignedPayload), at: time)
        return "\(Self.queryText(query))&X-Amz-Signature=\(signature)"
    }

    // MARK: The parts

    /// A moment as the signature has it.
    struct Stamp: Sendable {
        /// `20130524T000000Z`
        let text: String
        var day: String { String(text.prefix(8)) }

        init(ms: Int64) {
            let plain = Timestamp.rfc3339(ms).prefix(19).filter { $0 != "-" && $0 != ":" }
            text = "\(plain)Z"
        }
    }

    private func scope(_ time: Stamp) -> String { "\(time.day)/\(region)/\(service)/aws4_request" }

    private func sign(_ canonical: String, at time: Stamp) -> String {
        let message = [Self.algorithm, time.text, scope(time), Digest.sha256Hex(Array(canonical.utf8))].joined(separator: "\n")
        var key = Array("AWS4\(secret)".utf8)
        for part in [time.day, region, service, "aws4_request"] { key = HMACSHA256(key: key).authenticate(Array(part.utf8)) }
        return Hex.encode(HMACSHA256(key: key).authenticate(Array(message.utf8)))
    }

    private static func canonical(
        _ request: Request, query: [(name: String, value: String)], fields: (names: String, lines: String), payloadHash: String
    ) -> String {
        [request.method, escape(request.path, keeping: "/"), queryText(query), fields.lines, fields.names, payloadHash].joined(separator: "\n")
    }

    /// Sorted by name, as they are sent too.
    static func queryText(_ query: [(name: String, value: String)]) -> String {
        query.map { (escape($0.name), escape($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    private static func canonicalHeaders(_ headers: [(name: String, value: String)]) -> (names: String, lines: String) {
        let sorted = headers.map { (name: $0.name.lowercased(), value: folded($0.value)) }.sorted { $0.name < $1.name }
        return (sorted.map(\.name).joined(separator: ";"), sorted.map { "\($0.name):\($0.value)\n" }.joined())
    }

    /// Without blanks around it, each run of them within as one.
    private static func folded(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }

    /// Everything but letters, digits and `-._~` as bytes in hexadecimal.
    static func escape(_ text: String, keeping kept: String = "") -> String {
        var output: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: output.append(byte)
            case _ where "-._~".utf8.contains(byte) || kept.utf8.contains(byte): output.append(byte)
            default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
