#if canImport(Glibc)
    import Glibc
#endif

/// Reads a line that is a JSON object: nginx' with `escape=json`, or Traefik's. Only what is needed is looked at; the rest is stepped over.
struct JSONLogLine {
    enum Writer { case nginx, traefik }

    private enum Member { case bytes, unixSeconds, moment, earlierMoment, host, address, router, service, label, other }

    private var cursor: LineCursor
    private let writer: Writer
    private var line = LogLine()
    private var earlierMs: Int64 = -1
    private var address: LogLine.Text?

    static func read(_ text: LogLine.Text, _ writer: Writer) throws(LineFault) -> LogLine {
        var reader = JSONLogLine(cursor: try LineCursor(text), writer: writer)
        try reader.object()
        if reader.line.atMs < 0 { reader.line.atMs = reader.earlierMs }
        if reader.line.host == nil { reader.line.host = reader.address }
        guard reader.line.bytes >= 0 else {
            throw LineFault(text.count, writer == .nginx ? "a member bytes_sent" : "a member DownstreamContentSize")
        }
        guard reader.line.atMs >= 0 else { throw LineFault(text.count, writer == .nginx ? "a member msec or time_iso8601" : "a member time") }
        return reader.line
    }

    private init(cursor: LineCursor, writer: Writer) {
        self.cursor = cursor
        self.writer = writer
    }

    private mutating func object() throws(LineFault) {
        cursor.skipBlanks()
        try cursor.skip(UInt8(ascii: "{"), "{")
        cursor.skipBlanks()
        if !cursor.skipIf(UInt8(ascii: "}")) {
            while true {
                cursor.skipBlanks()
                let name = try cursor.quoted("a member's name")
                cursor.skipBlanks()
                try cursor.skip(UInt8(ascii: ":"), "a colon")
                cursor.skipBlanks()
                try value(of: member(name))
                cursor.skipBlanks()
                if cursor.skipIf(UInt8(ascii: ",")) { continue }
                try cursor.skip(UInt8(ascii: "}"), "a comma or }")
                break
            }
        }
        cursor.skipBlanks()
        guard cursor.isAtEnd else { throw LineFault(cursor.place, "the end of the line") }
    }

    @inline(__always)
    private func member(_ name: LogLine.Text) -> Member {
        switch writer {
        case .nginx:
            switch name.count {
            case 4: name.spells("host") ? .host : name.spells("msec") ? .unixSeconds : .other
            case 5: name.spells("label") ? .label : .other
            case 10: name.spells("bytes_sent") ? .bytes : .other
            case 12: name.spells("time_iso8601") ? .earlierMoment : .other
            default: .other
            }
        case .traefik:
            switch name.count {
            case 4: name.spells("time") ? .moment : .other
            case 8: name.spells("StartUTC") ? .earlierMoment : .other
            case 10: name.spells("RouterName") ? .router : .other
            case 11: name.spells("RequestHost") ? .host : name.spells("RequestAddr") ? .address : name.spells("ServiceName") ? .service : .other
            case 21: name.spells("DownstreamContentSize") ? .bytes : .other
            default: .other
            }
        }
    }

    @inline(__always)
    private mutating func value(of member: Member) throws(LineFault) {
        switch member {
        case .other: try skipValue()
        case .bytes: line.bytes = try byteCount()
        case .unixSeconds: line.atMs = try unixSeconds()
        case .moment: line.atMs = try moment()
        case .earlierMoment: earlierMs = try moment()
        case .host: line.host = try named()
        case .address: address = try named()
        case .router: line.router = try named()
        case .service: line.service = try named()
        case .label: line.label = try named()
        }
    }

    /// A text, nil when it is empty or a dash.
    private mutating func named() throws(LineFault) -> LogLine.Text? {
        let text = try cursor.quoted("a text")
        return text.count == 0 || text.spells("-") ? nil : text
    }

    private mutating func byteCount() throws(LineFault) -> Int64 {
        let isText = cursor.skipIf(UInt8(ascii: "\""))
        let place = cursor.place
        let count = try cursor.number("a number of bytes")
        if isText { try cursor.skip(UInt8(ascii: "\""), "a number of bytes") }
        guard count <= LogLine.bytesMax else { throw LineFault(place, "a number of bytes") }
        return count
    }

    /// nginx' `$msec`: seconds, a point and three digits.
    private mutating func unixSeconds() throws(LineFault) -> Int64 {
        let isText = cursor.skipIf(UInt8(ascii: "\""))
        let place = cursor.place
        let seconds = try cursor.number("unix seconds")
        guard seconds < 1 << 40 else { throw LineFault(place, "unix seconds") }
        var millis: Int64 = 0
        if cursor.skipIf(UInt8(ascii: ".")) {
            let start = cursor.place
            let fraction = try cursor.number("unix seconds")
            millis = cursor.place - start == 3 ? fraction : 0
        }
        if isText { try cursor.skip(UInt8(ascii: "\""), "unix seconds") }
        return seconds * 1000 + millis
    }

    private mutating func moment() throws(LineFault) -> Int64 {
        let place = cursor.place
        guard let moment = LineTime.rfc3339(try cursor.quoted("a time")) else { throw LineFault(place, "a time of RFC 3339") }
        return moment
    }

    // MARK: What is not needed

    private mutating func skipValue() throws(LineFault) {
        switch cursor.next {
        case UInt8(ascii: "\""): _ = try cursor.quoted("a text")
        case UInt8(ascii: "{"), UInt8(ascii: "["): try skipNested()
        default: try skipPlain()
        }
    }

    /// A number or a word, up to what ends it.
    private mutating func skipPlain() throws(LineFault) {
        let first = cursor.place
        while !cursor.isAtEnd {
            let byte = cursor.next
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") || byte == 0x20 { break }
            // A quote or a control character stands in no number.
            guard byte > 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "{") else { throw LineFault(cursor.place, "a value") }
            cursor.go(to: cursor.place + 1)
        }
        guard cursor.place > first else { throw LineFault(first, "a value") }
    }

    private mutating func skipNested() throws(LineFault) {
        var depth = 0
        repeat {
            switch cursor.next {
            case UInt8(ascii: "\""): _ = try cursor.quoted("a text")
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                cursor.go(to: cursor.place + 1)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                cursor.go(to: cursor.place + 1)
            default:
                guard !cursor.isAtEnd else { throw LineFault(cursor.place, "the end of a value") }
                cursor.go(to: cursor.place + 1)
            }
        } while depth > 0
    }
}

extension UnsafeBufferPointer<UInt8> {
    @inline(__always)
    func spells(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount, let baseAddress else { return false }
        return memcmp(baseAddress, text.utf8Start, count) == 0
    }
}
