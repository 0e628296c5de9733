import CHTTPParser
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// What a request's head says about the bytes that follow it.
enum Framing: Equatable { case none, length(Int), chunked }

/// A head that passed every rule.
struct ParsedHead {
    let head: HTTPRequestHead
    let framing: Framing
    let keepAlive: Bool
    let expectsContinue: Bool
    let version10: Bool
}

/// Where a head ends in the bytes read so far.
enum HeadEnd: Equatable {
    /// Not there yet; the search goes on at this offset.
    case missing(searched: Int)
    case at(Int)
    case malformed
}

/// Reads request heads twice: by our own strict rules, then by http-parser, and both must agree on the framing.
///
/// The strict pass exists because Debian's http-parser is built without its strict checks and takes blanks in header names,
/// folded headers, bare line feeds and any version; each is a way to make two servers see two different requests.
/// One reader per loop: it holds the parser's memory.
final class HeadReader {
    private let parser: UnsafeMutablePointer<http_parser>
    private let settings: UnsafeMutablePointer<http_parser_settings>

    /// Header lines of one head.
    static let fieldsMax = 128

    init() {
        parser = .allocate(capacity: 1)
        parser.initialize(to: http_parser())
        settings = .allocate(capacity: 1)
        settings.initialize(to: http_parser_settings())
        http_parser_settings_init(settings)
    }

    deinit {
        parser.deallocate()
        settings.deallocate()
    }

    /// Looks for the empty line. A line feed without carriage return is refused at once rather than waited out.
    static func findEnd(_ bytes: UnsafeRawBufferPointer, from searched: Int) -> HeadEnd {
        guard let base = bytes.baseAddress else { return .missing(searched: 0) }
        var lineStart = searched
        while lineStart < bytes.count {
            guard let found = memchr(base + lineStart, 10, bytes.count - lineStart) else { break }
            let feed = base.distance(to: UnsafeRawPointer(found))
            guard feed > 0, bytes[feed - 1] == 13 else { return .malformed }
            if feed == lineStart + 1 { return .at(feed + 1) }
            lineStart = feed + 1
        }
        return .missing(searched: lineStart)
    }

    /// - Parameter bytes: exactly the head, its empty line included.
    func read(_ bytes: UnsafeRawBufferPointer, remoteAddress: String) throws(Refusal) -> ParsedHead {
        var rules = HeadRules()
        try rules.readAll(bytes)
        guard let verb = rules.verb else { throw Refusal(status: 501, detail: "this method is not served") }
        let keepAlive = try agree(bytes, framing: rules.framing)
        let head = HTTPRequestHead(verb: verb, target: rules.target, headers: rules.headers, remoteAddress: remoteAddress)
        return ParsedHead(
            head: head, framing: rules.framing, keepAlive: keepAlive, expectsContinue: rules.expectsContinue, version10: rules.version10)
    }

    /// http-parser's opinion of the same bytes.
    /// - Returns: whether the connection is kept.
    private func agree(_ bytes: UnsafeRawBufferPointer, framing: Framing) throws(Refusal) -> Bool {
        http_parser_init(parser, HTTP_REQUEST)
        let used = http_parser_execute(parser, settings, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
        guard quittance_http_errno(parser) == 0, used == bytes.count else { throw .malformed("the request's head is not HTTP/1.1") }
        guard quittance_http_upgrade(parser) == 0 else { throw Refusal(status: 501, detail: "no other protocol is spoken here") }
        let flags = quittance_http_flags(parser)
        let agreed =
            switch framing {
            case .chunked: flags & UInt32(F_CHUNKED.rawValue) != 0
            case .length(let length):
                flags & UInt32(F_CHUNKED.rawValue) == 0
                    // After a head without body the parser has already forgotten the length.
                    && (length == 0 || parser.pointee.content_length == UInt64(length))
            case .none: flags & UInt32(F_CHUNKED.rawValue | F_CONTENTLENGTH.rawValue) == 0
            }
        guard agreed else { throw .malformed("the request's length is ambiguous") }
        return http_should_keep_alive(parser) != 0
    }
}
