import CEvent
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Writes answers as HTTP/1.1 messages.
enum ResponseEncoder {
    struct Framing {
        var keepAlive: Bool
        /// HTTP/1.0 clients must be told that the connection stays.
        var version10: Bool
        /// HEAD: the length is told, the body is not sent.
        var isHead: Bool
        /// The body goes on after the head, nobody knows how long: in chunks, or to the connection's end for HTTP/1.0.
        var streams = false
    }

    /// Appends everything up to the body.
    /// - Returns: false when a header holds a control character (it would let its author write headers of his own); `output`
    ///   is then as before.
    static func appendHead(_ response: HTTPResponse, framing: Framing, date: [UInt8], to output: inout [UInt8]) -> Bool {
        let before = output.count
        appendStatus(response.status, to: &output)
        output.append(contentsOf: date)
        if framing.streams {
            if !framing.version10 { append("Transfer-Encoding: chunked\r\n", to: &output) }
        } else if mayHaveBody(response.status) {
            append("Content-Length: ", to: &output)
            append(decimal: response.length, to: &output)
            append("\r\n", to: &output)
        }
        if !framing.keepAlive {
            append("Connection: close\r\n", to: &output)
        } else if framing.version10 {
            append("Connection: keep-alive\r\n", to: &output)
        }
        guard appendFields(response.headers, to: &output) else {
            output.removeSubrange(before...)
            return false
        }
        append("\r\n", to: &output)
        return true
    }

    /// 204 and 304 end with their head.
    static func mayHaveBody(_ status: Int) -> Bool { status != 204 && status != 304 }

    private static func appendFields(_ headers: HTTPHeaders, to output: inout [UInt8]) -> Bool {
        guard !headers.isEmpty else { return true }
        var headers = headers
        for name in ["Content-Length", "Transfer-Encoding", "Connection", "Date"] where headers.contains(name) { headers.remove(name) }
        let start = output.count
        headers.write(into: &output)
        // Exactly one CR and one LF per field, and nothing else below a blank.
        var controls = 0
        for byte in output[start...] where byte < 32 && byte != 9 || byte == 127 { controls += 1 }
        return controls == headers.count * 2
    }

    private static func appendStatus(_ status: Int, to output: inout [UInt8]) {
        switch status {
        case 200: append("HTTP/1.1 200 OK\r\n", to: &output)
        case 401: append("HTTP/1.1 401 Unauthorized\r\n", to: &output)
        case 404: append("HTTP/1.1 404 Not Found\r\n", to: &output)
        default:
            append("HTTP/1.1 ", to: &output)
            append(decimal: status, to: &output)
            output.append(32)
            output.append(contentsOf: ReasonPhrase.text(for: status).utf8)
            append("\r\n", to: &output)
        }
    }

    static func append(_ text: StaticString, to output: inout [UInt8]) {
        output.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// One piece of a body that is sent in chunks.
    static func append(chunk piece: [UInt8], to output: inout [UInt8]) {
        output.append(contentsOf: String(piece.count, radix: 16).utf8)
        append("\r\n", to: &output)
        output.append(contentsOf: piece)
        append("\r\n", to: &output)
    }

    static func append(decimal number: Int, to output: inout [UInt8]) {
        if number >= 10 { append(decimal: number / 10, to: &output) }
        output.append(UInt8(48 + number % 10))
    }
}

/// The `Date` header, made once a second.
struct DateHeader {
    private(set) var bytes: [UInt8] = []
    private var second: Int64 = -1

    /// The whole line for the current second.
    mutating func current() -> [UInt8] {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        if Int64(time.tv_sec) != second {
            second = Int64(time.tv_sec)
            bytes = Array("Date: \(Self.text(unixSeconds: second))\r\n".utf8)
        }
        return bytes
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func text(unixSeconds: Int64) -> String {
        var seconds = time_t(unixSeconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year)"
        return "\(date) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
