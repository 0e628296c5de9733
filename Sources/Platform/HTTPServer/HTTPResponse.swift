import Formats
import Telemetry

/// An answer. The server adds Date, Content-Length and Connection; the same names set here are left out.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var headers: HTTPHeaders
    public var body: [UInt8]
    /// Sent in place of `body`, from the system's cache to the socket, at the client's pace: it never passes through our memory.
    public var file: FilePiece?

    public init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public init(status: Int, headers: HTTPHeaders = [:], file: FilePiece) {
        self.init(status: status, headers: headers)
        self.file = file
    }

    /// Bytes of the body, whatever it is.
    var length: Int { file.map { Int($0.count) } ?? body.count }

    public static func text(_ status: Int, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    public static func json(_ status: Int, _ json: JSON) -> HTTPResponse {
        HTTPResponse(status: status, headers: ["Content-Type": "application/json"], body: json.bytes)
    }

    public static func html(_ status: Int, _ html: String) -> HTTPResponse {
        HTTPResponse(status: status, headers: ["Content-Type": "text/html; charset=utf-8"], body: Array(html.utf8))
    }

    /// Every measurement of the process, as a scraper reads them.
    public static func metrics(_ registry: MetricRegistry = .shared) -> HTTPResponse {
        HTTPResponse(status: 200, headers: ["Content-Type": MetricRegistry.contentType], body: Array(registry.prometheusText().utf8))
    }

    /// `application/problem+json` (RFC 9457).
    /// - Parameter extra: members of the problem's own, after the standard ones.
    public static func problem(_ status: Int, _ title: String, detail: String? = nil, extra: [(String, JSON)] = []) -> HTTPResponse {
        var members: [(String, JSON)] = [("type", "about:blank"), ("title", .string(title)), ("status", .int(Int64(status)))]
        if let detail { members.append(("detail", .string(detail))) }
        let body = JSON.object(JSONObject(members + extra)).bytes
        return HTTPResponse(status: status, headers: ["Content-Type": "application/problem+json"], body: body)
    }

    /// 303 sends the browser on with GET.
    public static func redirect(_ status: Int = 303, _ location: String) -> HTTPResponse {
        HTTPResponse(status: status, headers: ["Location": location])
    }
}
