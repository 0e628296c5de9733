import Formats
import Settings
import Testing

@testable import CollectorService

@Suite("A line of an access log")
struct LogLineTests {
    /// What is to be read of a line.
    struct Said: Equatable, Sendable {
        var bytes: Int64
        var at: String
        var host: String?
        var router: String?
        var service: String?
        var label: String?
    }

    static func read(_ text: String, _ format: CollectorSettings.LogFormat) throws -> Said {
        try Array(text.utf8).withUnsafeBufferPointer { buffer in
            let line = try format.read(buffer)
            let string = { (text: LogLine.Text?) in text.map { String(decoding: $0, as: UTF8.self) } }
            return Said(
                bytes: line.bytes, at: Timestamp.rfc3339(line.atMs), host: string(line.host), router: string(line.router),
                service: string(line.service), label: string(line.label))
        }
    }

    static let nginx =
        #"{"msec":1795248000.123,"host":"shop.example.com","bytes_sent":81234,"status":200,"agent":"curl \"7\\","label":"eu","more":{"a":["}",1]}}"#
    static let traefik =
        #"{"ClientAddr":"10.0.0.9:1","DownstreamContentSize":512,"DownstreamStatus":200,"Duration":1234567,"RequestAddr":"shop.example.com:443","#
        + #""RequestHost":"shop.example.com","RequestPath":"/a\"b?c=\u003cd","RouterName":"shop@docker","ServiceName":"web@docker","#
        + #""StartUTC":"2026-11-21T07:59:59.5Z","Overhead":-1,"TLSVersion":null,"level":"info","msg":"","time":"2026-11-21T09:00:00+01:00"}"#
    static let combined =
        #"shop.example.com 203.0.113.9 - j d [21/Nov/2026:10:30:00 +0230] "GET /a\x22b HTTP/1.1" 206 12345 "-" "Mozilla (a; \x22b)""#
    static let traefikCLF =
        #"203.0.113.9 - - [21/Nov/2026:08:00:00 +0000] "GET /a?b="c HTTP/2.0" 200 77 "-" "x" 1 "victim@docker" "http://10.0.0.3:80" 1ms" 18 "#
        + #""shop@docker" "http://10.0.0.2:80" 3ms"#

    private static let good: [(CollectorSettings.LogFormat, String, Said)] = [
        (.nginxJSON, nginx, Said(bytes: 81234, at: "2026-11-21T08:00:00.123Z", host: "shop.example.com", label: "eu")),
        (
            .nginxJSON, #" { "time_iso8601" : "2026-11-21T08:00:00+00:00" , "host" : "a" , "bytes_sent" : "5" } "# + "\r",
            Said(bytes: 5, at: "2026-11-21T08:00:00.000Z", host: "a")
        ),
        (.nginxJSON, #"{"msec":"1795248000.5","host":"-","bytes_sent":0}"#, Said(bytes: 0, at: "2026-11-21T08:00:00.000Z")),
        (
            .traefikJSON, traefik,
            Said(bytes: 512, at: "2026-11-21T08:00:00.000Z", host: "shop.example.com", router: "shop@docker", service: "web@docker")
        ),
        (
            .traefikJSON, #"{"DownstreamContentSize":1,"RequestAddr":"b:8080","StartUTC":"2026-11-21T08:00:00.123456789Z"}"#,
            Said(bytes: 1, at: "2026-11-21T08:00:00.123Z", host: "b:8080")
        ),
        (.combined, combined, Said(bytes: 12_345, at: "2026-11-21T08:00:00.000Z", host: "shop.example.com")),
        (
            .combined, #"h 1.2.3.4 - [21/Jan/2020:00:00:00 +0000] [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.0" 000 - "-" "-" 0.004"#,
            Said(bytes: 0, at: "2026-11-21T08:00:00.000Z", host: "h")
        ),
        (.traefikCLF, traefikCLF, Said(bytes: 77, at: "2026-11-21T08:00:00.000Z", router: "shop@docker")),
        (
            .traefikCLF, #"::1 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 404 19 "-" "-" 1 "-" "-" 0ms"#,
            Said(bytes: 19, at: "2026-11-21T08:00:00.000Z")
        ),
        (
            .traefikCLF, #"::1 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 404 19 "-" "-" 1 - - 0ms"#,
            Said(bytes: 19, at: "2026-11-21T08:00:00.000Z")
        ),
    ]

    @Test("is read for the bytes that were sent, the moment, and whose they are", arguments: good.indices)
    func read(_ number: Int) throws {
        let (format, text, said) = Self.good[number]
        #expect(try Self.read(text, format) == said)
    }

    @Test("of more bytes than a sample may have is refused")
    func tooMany() {
        #expect(throws: LineFault.self) { try Self.read(Self.combined.replacing("12345", with: "9007199254740991"), .combined) }
        #expect(throws: LineFault.self) { try Self.read(#"{"msec":1795248000.1,"host":"a","bytes_sent":1125899906842625}"#, .nginxJSON) }
        #expect(throws: Never.self) { try Self.read(#"{"msec":1795248000.1,"host":"a","bytes_sent":1125899906842624}"#, .nginxJSON) }
    }

    @Test("that ends anywhere before its end is refused, wherever that is")
    func torn() throws {
        let whole: [(CollectorSettings.LogFormat, String)] = [
            (.nginxJSON, Self.nginx), (.traefikJSON, Self.traefik), (.combined, Self.combined),
            // What a client writes may look like a whole line; here it does not.
            (.traefikCLF, Self.traefikCLF.replacing(#" "http://10.0.0.3:80" 1ms"#, with: "")),
        ]
        for (format, text) in whole {
            _ = try Self.read(text, format)
            for length in 0..<text.utf8.count {
                #expect(throws: LineFault.self, "\(format) cut at \(length)") {
                    try Self.read(String(decoding: text.utf8.prefix(length), as: UTF8.self), format)
                }
            }
        }
    }

    @Test(
        "of another build is refused",
        arguments: [
            (CollectorSettings.LogFormat.nginxJSON, "plain"), (.nginxJSON, "{}"), (.nginxJSON, #"{"host":"a","bytes_sent":1}"#),
            (.nginxJSON, #"{"msec":1795248000.1,"host":"a","bytes_sent":-1}"#), (.nginxJSON, #"{"msec":1795248000.1,"host":"a","bytes_sent":}"#),
            (.nginxJSON, #"{"msec":1795248000.1,"host":"a","bytes_sent":1}{"#), (.nginxJSON, #"{"msec":1795248000.1 "host":"a","bytes_sent":1}"#),
            (.nginxJSON, #"{"msec":1795248000.1,"host":"a","bytes_sent":12345678901234567890}"#), (.nginxJSON, traefik),
            (.traefikJSON, nginx), (.traefikJSON, #"{"DownstreamContentSize":1,"time":"yesterday"}"#),
            (.traefikJSON, #"{"DownstreamContentSize":1,"time":"2026-02-30T00:00:00Z"}"#),
            (.combined, traefikCLF), (.combined, #"h a - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 12h b - - "-" "-""#),
            (.combined, #"h a - - [31/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "-""#),
            (.combined, #"h a - - [21/Now/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "-""#),
            (.combined, #"h a - - 21/Nov/2026:08:00:00 +0000 "GET / HTTP/1.1" 200 12 "-" "-""#),
            (.traefikCLF, #"a - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "-""#), (.traefikCLF, "\""), (.combined, "\u{0}\u{1}"),
        ])
    func otherBuild(format: CollectorSettings.LogFormat, text: String) {
        #expect(throws: LineFault.self) { try Self.read(text, format) }
    }

    @Test("with damaged bytes is read or refused, and never ends the program")
    func damaged() {
        var numbers = SystemRandomNumberGenerator()
        for (format, text) in [
            (CollectorSettings.LogFormat.nginxJSON, Self.nginx), (.traefikJSON, Self.traefik), (.combined, Self.combined),
            (.traefikCLF, Self.traefikCLF),
        ] {
            for _ in 0..<2000 {
                var bytes = Array(text.utf8)
                for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                    let place = Int.random(in: bytes.indices, using: &numbers)
                    switch Int.random(in: 0..<3, using: &numbers) {
                    case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &numbers)
                    case 1: bytes.remove(at: place)
                    default: bytes.insert([0x22, 0x5C, 0x7B, 0x7D, 0x20, 0x5B].randomElement(using: &numbers) ?? 0, at: place)
                    }
                }
                bytes.withUnsafeBufferPointer { buffer in
                    if let line = try? format.read(buffer) { #expect((0...LogLine.bytesMax).contains(line.bytes)) }
                }
            }
        }
    }

    @Test("is shown without anything that it says")
    func shape() {
        let text = #"shop.example.com 203.0.113.9 - élise [21/Nov] "GET /secret?token=abc""#
        let shape = Array(text.utf8).withUnsafeBufferPointer { LineIntake.shape($0) }
        #expect(shape == #"a.a.a 9.9.9.9 - a [9/a] "a /a?a=a""#)
    }
}
