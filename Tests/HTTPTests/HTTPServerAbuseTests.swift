import Formats
import HTTPServer
import Testing

/// Bytes of a client, and the statuses they must lead to, one per answer. `closes`: the server must then end the connection.
struct Abuse: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    let statuses: [Int]
    let closes: Bool

    init(_ name: String, _ text: String, _ statuses: Int..., closes: Bool = true) {
        self.name = name
        bytes = Array(text.utf8)
        self.statuses = statuses
        self.closes = closes
    }

    var testDescription: String { name }
}

private let host = "Host: x\r\n"
/// A request that must never be seen: it stands where a second reader might find one.
private let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

private func post(_ headers: String, _ body: String = "") -> String { "POST /a HTTP/1.1\r\n\(host)\(headers)\r\n\(body)" }
private func get(_ headers: String) -> String { "GET /a HTTP/1.1\r\n\(host)\(headers)\r\n" }
private func chunked(_ body: String) -> String { post("Transfer-Encoding: chunked\r\n", body) }
private func many(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

private let framing: [Abuse] = [
    Abuse("Transfer-Encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("Transfer-Encoding twice, second odd", post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("Transfer-Encoding xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("Transfer-Encoding identity", post("Transfer-Encoding: identity\r\n", smuggled), 400),
    Abuse("Transfer-Encoding chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("Transfer-Encoding gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
    Abuse("Transfer-Encoding chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400),
    Abuse("Transfer-Encoding with vertical tab", post("Transfer-Encoding: \u{0B}chunked\r\n", "0\r\n\r\n"), 400),
    Abuse("Transfer-Encoding quoted", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400),
    Abuse("Transfer-Encoding empty", post("Transfer-Encoding: \r\n", "0\r\n\r\n"), 400),
    Abuse("Transfer-Encoding before Content-Length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("Content-Length before Transfer-Encoding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse(
        "Transfer-Encoding in HTTP/1.0", "POST /a HTTP/1.0\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 400),
    Abuse("Content-Lengths that differ", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd" + smuggled), 400),
    Abuse("Content-Length twice the same", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc" + smuggled), 400),
    Abuse("Content-Length as a list", post("Content-Length: 3, 3\r\n", "abc"), 400),
    Abuse("Content-Length with plus", post("Content-Length: +3\r\n", "abc"), 400),
    Abuse("Content-Length negative", post("Content-Length: -3\r\n", "abc"), 400),
    Abuse("Content-Length hexadecimal", post("Content-Length: 0x3\r\n", "abc"), 400),
    Abuse("Content-Length with a blank inside", post("Content-Length: 3 3\r\n", "abc"), 400),
    Abuse("Content-Length empty", post("Content-Length:\r\n", "abc"), 400),
    Abuse("Content-Length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n", "abc"), 400),
    Abuse("Content-Length beyond the cap", post("Content-Length: 999999999999\r\n", "abc"), 413),
    Abuse("another expectation", post("Expect: a-miracle\r\nContent-Length: 3\r\n", "abc"), 417),
]

private let fields: [Abuse] = [
    Abuse("blank before the colon", post("Content-Length : 30\r\n", smuggled), 400),
    Abuse("tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400),
    Abuse("blank in a header's name", get("Foo Bar: x\r\n"), 400),
    Abuse("blank before the first header's name", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    Abuse("folded header", get("Foo: x\r\n bar\r\n"), 400),
    Abuse("folded header with empty first line", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + smuggled), 400),
    Abuse("folded by a tab", get("Foo: x\r\n\tbar\r\n"), 400),
    Abuse("empty name", get(": x\r\n"), 400),
    Abuse("no colon", get("Foo\r\n"), 400),
    Abuse("a name beyond tokens", get("F(o)o: x\r\n"), 400),
    Abuse("NUL in a value", get("Foo: a\0b\r\n"), 400),
    Abuse("NUL in a name", get("Fo\0o: a\r\n"), 400),
    Abuse("control character in a value", get("Foo: abcdefghijklmnopqrstuvwxyz\u{01}abc\r\n"), 400),
    Abuse("DEL in a value", get("Foo: \u{7F}\r\n"), 400),
    Abuse("carriage return alone in a value", get("Foo: a\rContent-Length: 5\r\n"), 400),
    Abuse("line feed alone in a value", get("Foo: a\nContent-Length: 5\r\n"), 400),
    Abuse("line feeds alone", "GET /a HTTP/1.1\nHost: x\n\n", 400),
    Abuse("line feed alone at the end", "GET /a HTTP/1.1\r\nHost: x\r\n\n", 400),
    Abuse("no Host", "GET /a HTTP/1.1\r\n\r\n", 400),
    Abuse("two Hosts", get("Host: y\r\n"), 400),
    Abuse("Host with a blank", "GET /a HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
    Abuse("a header beyond the cap", get("Foo: \(many("x", 17_000))\r\n"), 431),
    Abuse("a header without end", "GET /a HTTP/1.1\r\nFoo: \(many("x", 40_000))", 431),
    Abuse("too many headers", get(many("A: b\r\n", 200)), 431),
    Abuse("a target beyond the cap", "GET /\(many("x", 17_000)) HTTP/1.1\r\n\(host)\r\n", 431),
]

private let requestLines: [Abuse] = [
    Abuse("unknown method", "BREW /a HTTP/1.1\r\n\(host)\r\n" + smuggled, 501),
    Abuse("a method of WebDAV", "PROPFIND /a HTTP/1.1\r\n\(host)\r\n", 501),
    Abuse("TRACE", "TRACE /a HTTP/1.1\r\n\(host)\r\n", 501),
    Abuse("method in lower case", "get /a HTTP/1.1\r\n\(host)\r\n", 501),
    Abuse("CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n" + smuggled, 501),
    Abuse("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Abuse("upgrade to h2c", get("Connection: Upgrade\r\nUpgrade: h2c\r\n") + smuggled, 501),
    Abuse("upgrade to WebSocket", get("Connection: upgrade\r\nUpgrade: websocket\r\n"), 501),
    Abuse("a method that is no token", "G@T /a HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("no version", "GET /a\r\n\(host)\r\n", 400),
    Abuse("two blanks", "GET  /a HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("blank after the version", "GET /a HTTP/1.1 \r\n\(host)\r\n", 400),
    Abuse("blank in the target", "GET /a b HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("tab in the target", "GET /a\tb HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("NUL in the target", "GET /a\0b HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("fragment in the target", "GET /a#b HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("target without slash", "GET a HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("authority as target of GET", "GET x:80 HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("GET *", "GET * HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("HTTP/2.0", "GET /a HTTP/2.0\r\n\(host)\r\n", 505),
    Abuse("HTTP/1.10", "GET /a HTTP/1.10\r\n\(host)\r\n", 400),
    Abuse("version in lower case", "GET /a http/1.1\r\n\(host)\r\n", 400),
    Abuse("two empty lines first", "\r\n\r\nGET /a HTTP/1.1\r\n\(host)\r\n", 400),
    Abuse("a TLS hello", "\u{16}\u{03}\u{01}\u{02}\n\r\n", 400),
]

private let chunks: [Abuse] = [
    Abuse("chunk size that is no number", chunked("xyz\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("blank before a chunk's size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("blank after a chunk's size", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("empty chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("a size line without end", chunked(many("0", 20_000)), 400),
    Abuse("an extension without end", chunked("3;" + many("x", 20_000)), 400),
    Abuse("control character in an extension", chunked("3;a\0b\r\nabc\r\n0\r\n\r\n"), 400),
    Abuse("line feed ends an extension", chunked("3;a\nabc\r\n0\r\n\r\n" + smuggled), 400),
    Abuse("other bytes where a chunk ends", chunked("5\r\nhelloXX0\r\n\r\n" + smuggled), 400),
    Abuse("carriage return and another byte after a size", chunked("5\rXhello\r\n0\r\n\r\n"), 400),
    Abuse("line feed alone after a size", chunked("5\nhello\r\n0\r\n\r\n"), 400),
    Abuse("line feed alone after a chunk", chunked("5\r\nhello\n0\r\n\r\n"), 400),
    Abuse("a chunk beyond the cap", chunked("FFFFFFF\r\n"), 413),
    Abuse("a chunk size beyond 64 bits", chunked("FFFFFFFFFFFFFFFFF\r\n"), 413),
    Abuse("trailers without end", chunked("0\r\n" + many("A: b\r\n", 2000)), 400),
    Abuse("control character in a trailer", chunked("0\r\nA: \0\r\n\r\n"), 400),
    Abuse("garbage after the last chunk", chunked("3\r\nabc\r\n0\r\n\r\nGARBAGE\r\n\r\n"), 200, 400),
]

/// What looks odd and is right.
private let allowed: [Abuse] = [
    Abuse("chunks with extension and trailer", chunked("3;a=b\r\nabc\r\n002\r\nde\r\n0;x\r\nT: u\r\n\r\n"), 200, closes: false),
    Abuse("Transfer-Encoding in other letters", post("transfer-ENCODING:  Chunked \r\n", "1\r\na\r\n0\r\n\r\n"), 200, closes: false),
    Abuse("no blank after a colon", get("Foo:x\r\n"), 200, closes: false),
    Abuse("empty value", get("Foo:\r\n"), 200, closes: false),
    Abuse("bytes beyond ASCII in a value", get("Foo: é\r\n"), 200, closes: false),
    Abuse("one empty line first", "\r\nGET /a HTTP/1.1\r\n\(host)\r\n", 200, closes: false),
    Abuse("absolute target", "GET http://x/a?b HTTP/1.1\r\n\(host)\r\n", 200, closes: false),
    Abuse("OPTIONS *", "OPTIONS * HTTP/1.1\r\n\(host)\r\n", 200, closes: false),
    Abuse("HTTP/1.0 without Host", "GET /a HTTP/1.0\r\n\r\n", 200),
    Abuse("a body with GET", "GET /a HTTP/1.1\r\n\(host)Content-Length: 3\r\n\r\nabc" + get(""), 200, 200, closes: false),
    Abuse("Content-Length 0", post("Content-Length: 0\r\n") + get(""), 200, 200, closes: false),
    Abuse("pipelined", get("") + post("Content-Length: 2\r\n", "ab") + chunked("1\r\nx\r\n0\r\n\r\n") + get(""), 200, 200, 200, 200, closes: false),
]

@Suite("HTTP server under abuse")
struct HTTPServerAbuseTests {
    @Test("is answered as the table says, sent at once", arguments: framing + fields + requestLines + chunks + allowed)
    func atOnce(abuse: Abuse) async throws {
        try await check(abuse, pieceSize: abuse.bytes.count)
    }

    @Test("is answered the same, sent in the smallest portions", arguments: framing + fields + requestLines + chunks + allowed)
    func inPortions(abuse: Abuse) async throws {
        try await check(abuse, pieceSize: max(1, abuse.bytes.count / 300))
    }

    private func check(_ abuse: Abuse, pieceSize: Int) async throws {
        let seen = SeenTargets()
        let handler: HTTPServer.Handler = { request, responder in
            seen.note(request.target)
            echo(request, responder)
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(abuse.bytes, inPiecesOf: pieceSize)
            for status in abuse.statuses {
                let answer = try client.answer()
                #expect(answer.status == status, "\(answer.text)")
            }
            if abuse.closes {
                #expect(try client.answersUntilEnd().isEmpty)
            } else {
                client.send("GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.answer().text == "GET /after ")
            }
        }
        #expect(!seen.all.contains("/smuggled"))
    }

    @Test("every refusal names its rule and echoes nothing")
    func refusalsSpeak() async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send(post("Content-Length: secret-3\r\n"))
            let answer = try client.answer()
            #expect(answer.header("Content-Type") == "application/problem+json")
            #expect(answer.header("Connection") == "close")
            #expect(answer.text.contains("Content-Length must be a number"))
            #expect(!answer.text.contains("secret"))
        }
    }
}
