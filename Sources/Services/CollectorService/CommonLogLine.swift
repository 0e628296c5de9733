/// Reads a line of nginx' combined form with the host in front, or of Traefik's common log format.
///
///     host address - user [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 1234 "referrer" "agent"
///     address - user [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 1234 "referrer" "agent" 17 "router" "http://10.0.0.2:80" 3ms
///
/// A client may write into its user name, its referrer and its agent what it likes, blanks and brackets too, but no quote that is not
/// escaped: so the first quote of a line begins the request, and the time is what stands right before it.
enum CommonLogLine {
    enum Writer { case nginx, traefik }

    /// `[21/Nov/2026:08:00:00 +0000] `
    private static let timeLength = 29

    static func read(_ text: LogLine.Text, _ writer: Writer) throws(LineFault) -> LogLine {
        var cursor = try LineCursor(text)
        var line = LogLine()
        guard let request = cursor.find(UInt8(ascii: "\"")).map({ cursor.place(of: $0) }) else { throw LineFault(text.count, "a request in quotes") }
        if writer == .nginx { line.host = try cursor.word("a host") }
        let time = request - timeLength
        guard time > cursor.place, text[time] == UInt8(ascii: "["), text[request - 2] == UInt8(ascii: "]"), text[request - 1] == 0x20,
            let atMs = LineTime.common(cursor.text(time + 1..<request - 2))
        else { throw LineFault(max(0, time), "a time in brackets") }
        line.atMs = atMs
        cursor.go(to: request)
        try skipRequest(&cursor, writer)
        try cursor.skip(0x20, "a blank")
        if !cursor.skipIf(UInt8(ascii: "-")) { _ = try cursor.number("a status") }
        try cursor.skip(0x20, "a blank")
        line.bytes = try byteCount(&cursor)
        if writer == .traefik {
            line.router = try router(text, after: cursor.place)
            return line
        }
        for _ in 0..<2 {
            try cursor.skip(0x20, "a blank")
            _ = try cursor.quoted("referrer and agent in quotes")
        }
        // More may follow, as a log format has it.
        guard cursor.isAtEnd || cursor.next == 0x20 || cursor.next == 0x0D else { throw LineFault(cursor.place, "a blank or the end") }
        return line
    }

    /// nginx escapes the quotes of a request. Traefik does not, but no request has a blank behind one: its blanks end path and protocol.
    private static func skipRequest(_ cursor: inout LineCursor, _ writer: Writer) throws(LineFault) {
        guard writer == .traefik else {
            _ = try cursor.quoted("a request in quotes")
            return
        }
        let start = cursor.place
        try cursor.skip(UInt8(ascii: "\""), "a request in quotes")
        while let quote = cursor.find(UInt8(ascii: "\"")) {
            cursor.go(to: cursor.place(of: quote) + 1)
            if cursor.next == 0x20 { return }
        }
        throw LineFault(start, "a request in quotes")
    }

    /// Read from the line's end: what Traefik writes of referrer and agent is as the client sent it, quotes too, and must not pass for a router.
    private static func router(_ text: LogLine.Text, after place: Int) throws(LineFault) -> LogLine.Text? {
        var at = text.count
        /// Steps back over a byte.
        func back(over byte: UInt8, _ expected: StaticString) throws(LineFault) {
            guard at - 1 > place, text[at - 1] == byte else { throw LineFault(at, expected) }
            at -= 1
        }
        func backOverNumber(_ expected: StaticString) throws(LineFault) {
            let last = at
            while at > place, text[at - 1] &- 0x30 < 10 { at -= 1 }
            guard at < last else { throw LineFault(at, expected) }
        }
        // Where there is none it is a dash, which older releases write without quotes.
        func backOverQuoted(_ expected: StaticString) throws(LineFault) -> LogLine.Text {
            if at - 2 > place, text[at - 1] == UInt8(ascii: "-"), text[at - 2] == 0x20 {
                at -= 1
                return LogLine.Text(rebasing: text[at..<at + 1])
            }
            try back(over: UInt8(ascii: "\""), expected)
            let end = at
            while at > place, text[at - 1] != UInt8(ascii: "\"") { at -= 1 }
            let start = at
            try back(over: UInt8(ascii: "\""), expected)
            return LogLine.Text(rebasing: text[start..<end])
        }
        if text[at - 1] == 0x0D { at -= 1 }
        try back(over: UInt8(ascii: "s"), "ms")
        try back(over: UInt8(ascii: "m"), "ms")
        try backOverNumber("milliseconds")
        try back(over: 0x20, "a blank")
        _ = try backOverQuoted("a server in quotes")
        try back(over: 0x20, "a blank")
        let router = try backOverQuoted("a router in quotes")
        try back(over: 0x20, "a blank")
        try backOverNumber("the number of the request")
        return router.count == 0 || router.spells("-") ? nil : router
    }

    /// A dash is none.
    private static func byteCount(_ cursor: inout LineCursor) throws(LineFault) -> Int64 {
        if cursor.skipIf(UInt8(ascii: "-")) { return 0 }
        let place = cursor.place
        let bytes = try cursor.number("a number of bytes")
        guard bytes <= LogLine.bytesMax else { throw LineFault(place, "a number of bytes") }
        return bytes
    }
}
