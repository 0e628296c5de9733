import EventLoop
import Formats
import JobQueue
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Named time zones")
struct ZoneTests {
    private static func ms(_ text: String) -> Int64 { Timestamp.parse(text) ?? 0 }

    static let readings: [(zone: String, at: String, shown: String)] = [
        ("UTC", "2026-11-21T08:00:00Z", "2026-11-21T08:00:00.000Z"),
        ("Africa/Abidjan", "2026-11-21T08:00:00Z", "2026-11-21T08:00:00.000Z"),
        ("Europe/Paris", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00.000+01:00"),
        ("Europe/Paris", "2026-07-21T08:00:00Z", "2026-07-21T10:00:00.000+02:00"),
        ("Europe/Paris", "2099-07-21T08:00:00Z", "2099-07-21T10:00:00.000+02:00"),
        ("Asia/Kathmandu", "2026-11-21T18:30:00Z", "2026-11-22T00:15:00.000+05:45"),
        ("America/St_Johns", "2026-01-01T03:00:00Z", "2025-12-31T23:30:00.000-03:30"),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T23:59:59.000-10:00"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00.000+14:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05T01:59:59.000+11:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-05T01:30:00.000+10:30"),
        ("America/Nuuk", "2060-07-01T00:00:00Z", "2060-06-30T23:00:00.000-01:00"),
    ]

    @Test("a zone's clock shows what its rules say", arguments: readings)
    func reading(_ reading: (zone: String, at: String, shown: String)) throws {
        #expect(try TimeZoneFolder.system.zone(reading.zone).rfc3339(Self.ms(reading.at)) == reading.shown)
    }

    @Test("UTC needs no file")
    func utcWithoutFile() throws {
        #expect(try TimeZoneFolder(path: "/nowhere").zone("UTC") == .utc)
        #expect { try TimeZoneFolder(path: "/nowhere").zone("Europe/Paris") } throws: { ($0 as? TimeZoneError)?.code == .unreadable }
    }

    // MARK: Names

    @Test(
        "what is no name is refused before any file is touched",
        arguments: [
            "", "/", "/etc/passwd", "../etc/passwd", "Europe/../../etc/passwd", "Europe/./Paris", "Europe//Paris", "Europe/Paris/", "Europe/Par is",
            "Europe/Paris\0", "posix/../Europe/Paris", "Ëurope/Paris", "zone.tab", String(repeating: "a", count: 65),
        ])
    func refusedName(_ name: String) {
        #expect { try TimeZoneFolder.system.zone(name) } throws: { ($0 as? TimeZoneError)?.code == .name }
    }

    @Test("a name that leads to no file of the folder is refused: missing, a folder, a pipe, a link that leaves, a file too long")
    func noFile() throws {
        let folder = try TemporaryFolder("quittance-zones")
        try folder.makeFolder("Europe")
        let secret = try TemporaryFolder("quittance-secret")
        try secret.write("TZif", to: "secret")
        #expect(symlink(secret.file("secret"), folder.file("Leaving")) == 0)
        #expect(symlink("/usr/share/zoneinfo/Europe/Paris", folder.file("Elsewhere")) == 0)
        #expect(mkfifo(folder.file("Pipe"), 0o600) == 0)
        try folder.write(String(repeating: "x", count: 70_000), to: "Long")
        try folder.write("no zone", to: "Text")
        let zones = TimeZoneFolder(path: folder.path)
        let refusals: [(String, TimeZoneError.Code)] = [
            ("Europe/Nowhere", .unknown), ("Nowhere", .unknown), ("Text/Below", .unknown), ("Europe", .unknown), ("Pipe", .unknown),
            ("Leaving", .name), ("Elsewhere", .name), ("Long", .malformed), ("Text", .malformed),
        ]
        for (name, code) in refusals {
            #expect(throws: TimeZoneError.self, "\(name)") { try zones.zone(name) }
            #expect { try zones.zone(name) } throws: { ($0 as? TimeZoneError)?.code == code }
        }
    }

    // MARK: Files

    private func file(_ name: String) throws -> [UInt8] {
        guard let stream = fopen("/usr/share/zoneinfo/\(name)", "r") else { throw FixtureError("there is no \(name): install tzdata") }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        return Array(bytes[..<fread(&bytes, 1, bytes.count, stream)])
    }

    @Test("a file that ends too early is refused, wherever it ends", arguments: ["Europe/Paris", "Africa/Casablanca", "Etc/UTC"])
    func cutOff(_ name: String) throws {
        let whole = try file(name)
        // Every length of the heads, some of the table's.
        for length in Array(0..<200) + Array(stride(from: 200, to: whole.count, by: 13)) + [whole.count - 1] where length < whole.count {
            #expect(throws: TimeZoneError.self, "\(length) bytes") { try NamedTimeZone(name: name, tzif: Array(whole[..<length])) }
        }
        _ = try NamedTimeZone(name: name, tzif: whole)
    }

    @Test("a file with any byte changed is refused, or is a zone that answers")
    func mutated() async throws {
        let whole = try file("Europe/Paris")
        let pool = BlockingPool(name: "mutants", threads: 1)
        defer { pool.close() }
        let (refused, mistakes) = try await pool.run { try Self.mutate(whole) }
        #expect(refused > 300 && mistakes.isEmpty)
    }

    /// How many mutants were refused, and what the others answered that cannot be.
    private static func mutate(_ whole: [UInt8]) throws -> (refused: Int, mistakes: [String]) {
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        func random(_ bound: Int) -> Int {
            seed ^= seed << 13
            seed ^= seed >> 7
            seed ^= seed << 17
            return Int(seed % UInt64(bound))
        }
        let schedule = try CronExpression("30 2 * * *")
        var refused = 0
        var mistakes: [String] = []
        for round in 0..<2000 {
            var bytes = whole
            // The heads are where most can be broken.
            for _ in 0...random(3) { bytes[round.isMultiple(of: 2) ? random(bytes.count) : random(44)] = UInt8(random(256)) }
            if random(10) == 0 { bytes.removeLast(random(200)) }
            guard let zone = try? NamedTimeZone(name: "mutant", tzif: bytes) else {
                refused += 1
                continue
            }
            for at in [Self.ms("1900-01-01T00:00:00Z"), Self.ms("1999-03-28T00:30:00Z"), Self.ms("2077-10-31T01:00:00Z")] {
                if abs(zone.secondsFromUTC(atMs: at)) >= 26 * 3600 { mistakes.append("\(zone.secondsFromUTC(atMs: at)) s from UTC") }
                if let tick = schedule.next(after: at, in: zone), tick <= at { mistakes.append("\(tick) after \(at)") }
            }
        }
        return (refused, mistakes)
    }

    /// A TZif file made by hand.
    private static func tzif(
        version: Character = "2", times: [Int64] = [], types: [(offset: Int32, isSummer: UInt8, name: UInt8)] = [(0, 0, 0)], indexes: [UInt8] = [],
        leaps: Int = 0, footer: String? = "UTC0"
    ) -> [UInt8] {
        func number(_ value: Int64, _ width: Int) -> [UInt8] {
            (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> Int64($0 * 8)) }
        }
        func part(_ width: Int) -> [UInt8] {
            var bytes = Array("TZif".utf8) + [version == "1" ? 0 : version.asciiValue ?? 0] + [UInt8](repeating: 0, count: 15)
            for count in [0, 0, leaps, times.count, types.count, 4] { bytes += number(Int64(count), 4) }
            bytes += times.flatMap { number($0, width) } + indexes
            for type in types { bytes += number(Int64(type.offset), 4) + [type.isSummer, type.name] }
            return bytes + Array("ABC\0".utf8) + [UInt8](repeating: 0, count: leaps * (width + 4))
        }
        if version == "1" { return part(4) }
        return part(4) + part(8) + Array("\n\(footer ?? "")\n".utf8)
    }

    @Test("every version of the format is read, and one to come")
    func versions() throws {
        for version in ["1", "2", "3", "4", "5"] as [Character] {
            let bytes = Self.tzif(
                version: version, times: [0, 1000], types: [(0, 0, 0), (3600, 1, 0), (-3600, 0, 0)], indexes: [1, 2], footer: "ABC1")
            let zone = try NamedTimeZone(name: "made", tzif: bytes)
            #expect([-1, 0, 999, 1000, 1 << 40].map { zone.secondsFromUTC(atMs: $0 * 1000) } == [0, 3600, 3600, -3600, -3600], "\(version)")
        }
    }

    static let malformedFiles: [(what: String, bytes: [UInt8])] = [
        ("nothing", []),
        ("no magic", Array("TZIF".utf8) + [UInt8](repeating: 0, count: 60)),
        ("version letter", tzif(version: "x")),
        ("descending times", tzif(times: [5, 5], indexes: [0, 0])),
        ("a type that is not there", tzif(times: [5], indexes: [3])),
        ("no type", tzif(types: [])),
        ("a day and more from UTC", tzif(types: [(100_000, 0, 0)])),
        ("the lowest offset", tzif(types: [(.min, 0, 0)])),
        ("a broken summer mark", tzif(types: [(0, 2, 0)])),
        ("a name beyond the names", tzif(types: [(0, 0, 4)])),
        ("leap seconds", tzif(leaps: 1)),
        ("a footer that is no rule", tzif(footer: "CET-1CEST,M3.5.0")),
        ("summer without its days", tzif(footer: "CET-1CEST")),
        ("a 13th month", tzif(footer: "CET-1CEST,M13.5.0,M10.5.0/3")),
        ("a sixth week", tzif(footer: "CET-1CEST,M3.6.0,M10.5.0/3")),
        ("day 366", tzif(footer: "CET-1CEST,J366,M10.5.0/3")),
        ("168 hours", tzif(footer: "CET-1CEST,M3.5.0/168,M10.5.0/3")),
        ("25 hours", tzif(footer: "CET-25")),
        ("two letters", tzif(footer: "CE-1")),
        ("an open bracket", tzif(footer: "<+03")),
        ("more behind", tzif(footer: "CET-1 ")),
        ("a long footer", tzif(footer: String(repeating: "A", count: 300) + "1")),
    ]

    @Test("a broken file is refused with the rule that it breaks", arguments: malformedFiles)
    func refusedFile(_ file: (what: String, bytes: [UInt8])) {
        #expect { try NamedTimeZone(name: "made", tzif: file.bytes) } throws: { error in
            (error as? TimeZoneError)?.code == .malformed && (error as? TimeZoneError)?.isTransient == false
        }
    }

    static let footers: [(rule: String, at: String, hours: Double)] = [
        ("<+0330>-3:30", "2026-07-01T00:00:00Z", 3.5),
        ("ABC-1:30:30", "2026-07-01T00:00:00Z", 1.5 + 30.0 / 3600),
        // Days counted with and without 29 February.
        ("ABC0DEF,J60/0,J61/0", "2028-02-29T12:00:00Z", 0), ("ABC0DEF,J60/0,J61/0", "2028-03-01T12:00:00Z", 1),
        ("ABC0DEF,59/0,60/0", "2028-02-29T12:00:00Z", 1), ("ABC0DEF,59/0,60/0", "2027-03-01T12:00:00Z", 1),
        // Summer over the turn of the year.
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-01-01T00:00:00Z", 11), ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-07-01T00:00:00Z", 10),
        // A summer that takes time away.
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01T00:00:00Z", 0), ("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-07-01T00:00:00Z", 1),
        // Hours before and long after the day.
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -2), ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -1),
        ("ABC0DEF,M12.5.0/167,M3.1.0", "2027-01-02T22:59:59Z", 0), ("ABC0DEF,M12.5.0/167,M3.1.0", "2027-01-02T23:00:00Z", 1),
        // Summer all the year round.
        ("XXX3EDT4,0/0,J365/23", "2026-12-31T23:59:59Z", -4), ("XXX3EDT4,0/0,J365/23", "2027-01-01T03:00:00Z", -4),
        ("XXX3EDT4,0/0,J365/23", "2027-01-01T02:59:59Z", -4),
    ]

    @Test("the rule after the table is kept", arguments: footers)
    func footer(_ footer: (rule: String, at: String, hours: Double)) throws {
        let zone = try NamedTimeZone(name: "made", tzif: Self.tzif(version: "3", footer: footer.rule))
        #expect(Double(zone.secondsFromUTC(atMs: Self.ms(footer.at))) / 3600 == footer.hours)
    }

    @Test("an empty footer leaves the last type for ever")
    func emptyFooter() throws {
        let zone = try NamedTimeZone(name: "made", tzif: Self.tzif(times: [0], types: [(0, 0, 0), (7200, 0, 0)], indexes: [1], footer: nil))
        #expect(zone.secondsFromUTC(atMs: 4_000_000_000_000) == 7200)
    }
}
