/// The content of a TZif file of version 1 to 4 (RFC 8536, RFC 9636): a table of moments at which a zone's distance to UTC changes, and
/// the rule for the time after it.
///
/// Everything is checked before it is used: a file may come from anywhere.
struct TimeZoneFile: Sendable, Equatable {
    /// Ascending, unix ms.
    let startsMs: [Int64]
    /// Of the time before the first start, then from each start on.
    let offsetsMs: [Int64]
    let footer: PosixTimeZone?

    /// The largest file that is read. The largest of the time zone database has 4 kB.
    static let bytesMax = 64 << 10
    /// Beyond this no place on Earth is, and RFC 8536 advises against it.
    static let offsetSecondsMax: Int64 = 26 * 3600 - 1

    /// What a file does not keep to.
    struct Malformed: Error, Equatable {
        let rule: String
        init(_ rule: String) { self.rule = rule }
    }

    init(_ bytes: [UInt8]) throws(Malformed) {
        guard bytes.count <= Self.bytesMax else { throw Malformed("a file has at most \(Self.bytesMax) bytes") }
        var reader = TZifReader(bytes: bytes)
        let first = try reader.header()
        if first.version == 1 {
            let table = try reader.table(first, wide: false)
            self.init(table, footer: nil)
            return
        }
        // The first part repeats what fits into 32 bits, for readers of old.
        try reader.skip(first.size(wide: false))
        let second = try reader.header()
        let table = try reader.table(second, wide: true)
        self.init(table, footer: try reader.footer())
    }

    private init(_ table: TZifReader.Table, footer: PosixTimeZone?) {
        startsMs = table.starts.map(ZoneSpan.milliseconds(ofSeconds:))
        offsetsMs = table.offsets.map { $0 * 1000 }
        self.footer = footer
    }

    func span(at ms: Int64) -> ZoneSpan {
        var low = 0
        var high = startsMs.count
        while low < high {
            let middle = (low + high) / 2
            if startsMs[middle] <= ms { low = middle + 1 } else { high = middle }
        }
        let start = low == 0 ? Int64.min : startsMs[low - 1]
        if low == startsMs.count, let footer { return footer.span(at: ms, from: start) }
        return ZoneSpan(startMs: start, endMs: low == startsMs.count ? .max : startsMs[low], offsetMs: offsetsMs[low])
    }
}

/// Reads the parts of a TZif file in their order, never beyond its end.
private struct TZifReader {
    struct Header {
        let version: Int
        let utIndicators, standardIndicators, leapSeconds, times, types, characters: Int

        func size(wide: Bool) -> Int {
            let width = wide ? 8 : 4
            return times * (width + 1) + types * 6 + characters + leapSeconds * (width + 4) + standardIndicators + utIndicators
        }
    }

    struct Table {
        var starts: [Int64] = []
        var offsets: [Int64]
    }

    let bytes: [UInt8]
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private typealias Malformed = TimeZoneFile.Malformed

    mutating func header() throws(TimeZoneFile.Malformed) -> Header {
        guard bytes.count - at >= 44 else { throw Malformed("it ends within a header") }
        guard bytes[at..<at + 4].elementsEqual("TZif".utf8) else { throw Malformed("it does not begin with TZif") }
        let version: Int
        switch bytes[at + 4] {
        case 0: version = 1
        // Later versions may only add to what is there.
        case UInt8(ascii: "2")...UInt8(ascii: "9"): version = Int(bytes[at + 4] - UInt8(ascii: "0"))
        default: throw Malformed("its version is unknown")
        }
        at += 20
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = integer(4)
            // No count can be larger than the file; so no product of them runs over either.
            guard (0...Int64(bytes.count)).contains(count) else { throw Malformed("it counts more than it holds") }
            counts.append(Int(count))
        }
        let header = Header(
            version: version, utIndicators: counts[0], standardIndicators: counts[1], leapSeconds: counts[2], times: counts[3],
            types: counts[4], characters: counts[5])
        guard header.types > 0, header.characters > 0 else { throw Malformed("it has no type of local time") }
        guard header.types <= 256 else { throw Malformed("it has more types than can be told apart") }
        guard [0, header.types].contains(header.utIndicators), [0, header.types].contains(header.standardIndicators) else {
            throw Malformed("its indicators are not one for each type")
        }
        return header
    }

    mutating func skip(_ count: Int) throws(TimeZoneFile.Malformed) {
        guard count <= bytes.count - at else { throw Malformed("it ends within its table") }
        at += count
    }

    mutating func table(_ header: Header, wide: Bool) throws(TimeZoneFile.Malformed) -> Table {
        let start = at
        guard header.size(wide: wide) <= bytes.count - at else { throw Malformed("it ends within its table") }
        guard header.leapSeconds == 0 else { throw Malformed("it counts leap seconds, and unix time does not") }
        var starts: [Int64] = []
        for _ in 0..<header.times {
            let time = integer(wide ? 8 : 4)
            if let last = starts.last, time <= last { throw Malformed("its times do not ascend") }
            starts.append(time)
        }
        let indexes = bytes[at..<at + header.times]
        at += header.times
        var types: [Int64] = []
        for _ in 0..<header.types {
            let offset = integer(4)
            guard abs(offset) <= TimeZoneFile.offsetSecondsMax else { throw Malformed("a distance to UTC is longer than a day") }
            guard bytes[at] <= 1, Int(bytes[at + 1]) < header.characters else { throw Malformed("a type of local time is broken") }
            types.append(offset)
            at += 2
        }
        var table = Table(offsets: [types[0]])
        for (time, index) in zip(starts, indexes) {
            guard Int(index) < types.count else { throw Malformed("a time has a type that is not there") }
            table.starts.append(time)
            table.offsets.append(types[Int(index)])
        }
        at = start + header.size(wide: wide)
        return table
    }

    /// The rule between two line feeds; nil when there is nothing between them.
    mutating func footer() throws(TimeZoneFile.Malformed) -> PosixTimeZone? {
        guard at < bytes.count, bytes[at] == 0x0A, let end = bytes[(at + 1)...].firstIndex(of: 0x0A) else {
            throw Malformed("it has no footer")
        }
        let text = bytes[(at + 1)..<end]
        if text.isEmpty { return nil }
        guard text.count <= 256, let rule = PosixTimeZone(String(decoding: text, as: UTF8.self)) else {
            throw Malformed("its footer is no rule")
        }
        return rule
    }

    /// A big-endian number with a sign. The caller has seen that the bytes are there.
    private mutating func integer(_ width: Int) -> Int64 {
        var value: UInt64 = 0
        for byte in bytes[at..<at + width] { value = value << 8 | UInt64(byte) }
        at += width
        return width == 8 ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
    }
}
