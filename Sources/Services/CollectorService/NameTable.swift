import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Finds a name's project by the bytes that stand in the log: each name is looked up in the map once, and costs no string afterwards.
///
/// Clients choose names (a Host header may say anything), so the table is bounded and begun anew when it is full, and what is listed of
/// unknown names is bounded too.
struct NameTable {
    /// Names that are kept at a time.
    static let namesMax = 20_000
    /// Unknown names that are listed.
    static let listedMax = 200
    private static let nameBytesMax = 300

    private struct Entry {
        let hash: UInt64
        let start: Int32
        let count: Int32
        /// -1 for an unknown name.
        let project: Int32
    }

    private(set) var map: ProjectMap
    /// Each project once; a row's project is an index.
    private(set) var projects: [String] = []
    private var numbers: [String: Int32] = [:]
    private var entries: [Entry] = []
    private var bytes: [UInt8] = []
    /// Numbers of entries from 1; 0 is free. A power of two, at most half full.
    private var slots = [Int32](repeating: 0, count: 1024)
    /// Differs in each process: nobody outside can make names that collide.
    private let seed = UInt64.random(in: .min ... .max)

    /// Lines by unknown name, the first ones that came.
    private(set) var unknown: [String: Int64] = [:]
    /// Lines of unknown names that are not listed.
    private(set) var unlisted: Int64 = 0
    /// Unknown names that nobody was told of yet.
    private var fresh: [String] = []

    init(_ map: ProjectMap) { self.map = map }

    /// Takes another map; the numbers of projects stay what they are.
    mutating func replace(_ map: ProjectMap) {
        self.map = map
        forget()
        unknown = [:]
        fresh = []
    }

    /// The number of the project that a line belongs to; negative when none was entered for it.
    @inline(__always)
    mutating func project(of line: LogLine) -> Int32 {
        if let text = line.service {
            let found = number(text, .service)
            if found >= 0 { return found }
        }
        if let text = line.router {
            let found = number(text, .router)
            if found >= 0 { return found }
        }
        if let text = line.label {
            let found = number(text, .label)
            if found >= 0 { return found }
        }
        if let text = line.host {
            let found = number(text, .host)
            if found >= 0 { return found }
        }
        note(line)
        return -1
    }

    /// Unknown names that came since the last call.
    mutating func takeFresh() -> [String] {
        defer { fresh = [] }
        return fresh
    }

    // MARK: Looking up

    @inline(__always)
    private mutating func number(_ name: LogLine.Text, _ kind: ProjectMap.Kind) -> Int32 {
        guard let base = name.baseAddress, name.count <= Self.nameBytesMax else { return -1 }
        let hash = Self.hash(base, name.count, seed ^ UInt64(kind.rawValue))
        var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[place] != 0 {
            let entry = entries[Int(slots[place]) - 1]
            if entry.hash == hash, Int(entry.count) == name.count,
                bytes.withUnsafeBytes({ memcmp($0.baseAddress! + Int(entry.start), base, name.count) == 0 })
            {
                return entry.project
            }
            place = (place + 1) & (slots.count - 1)
        }
        return enter(name, kind, hash)
    }

    private mutating func enter(_ name: LogLine.Text, _ kind: ProjectMap.Kind, _ hash: UInt64) -> Int32 {
        if entries.count >= Self.namesMax { forget() }
        if entries.count * 2 >= slots.count { grow() }
        var project: Int32 = -1
        if let found = map.project(of: Self.text(name), kind) {
            project = numbers[found] ?? Int32(projects.count)
            if Int(project) == projects.count {
                projects.append(found)
                numbers[found] = project
            }
        }
        entries.append(Entry(hash: hash, start: Int32(bytes.count), count: Int32(name.count), project: project))
        bytes.append(contentsOf: name)
        insert(Int32(entries.count), hash)
        return project
    }

    private mutating func insert(_ number: Int32, _ hash: UInt64) {
        var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[place] != 0 { place = (place + 1) & (slots.count - 1) }
        slots[place] = number
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: slots.count * 2)
        for (number, entry) in entries.enumerated() { insert(Int32(number + 1), entry.hash) }
    }

    private mutating func forget() {
        entries = []
        bytes = []
        slots = [Int32](repeating: 0, count: 1024)
    }

    // MARK: Unknown names

    @inline(never)
    private mutating func note(_ line: LogLine) {
        let shown = Self.printable(Self.name(of: line))
        if let lines = unknown[shown] {
            unknown[shown] = lines + 1
        } else if unknown.count < Self.listedMax {
            unknown[shown] = 1
            fresh.append(shown)
        } else {
            unlisted += 1
        }
    }

    /// What somebody would enter to have the line counted.
    private static func name(of line: LogLine) -> String {
        if let host = line.host { return ProjectMap.host(text(host)) }
        if let router = line.router { return ProjectMap.Kind.router.prefix + text(router) }
        if let service = line.service { return ProjectMap.Kind.service.prefix + text(service) }
        if let label = line.label { return ProjectMap.Kind.label.prefix + text(label) }
        return "(none)"
    }

    private static func printable(_ name: String) -> String {
        String(decoding: name.utf8.prefix(100).map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    /// A text as it was before it was written as JSON; names without a backslash are what they are.
    private static func text(_ bytes: LogLine.Text) -> String {
        guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
        let quote = UInt8(ascii: "\"")
        let text = try? JSON(parsing: [quote] + Array(bytes) + [quote]).string
        return text ?? String(decoding: bytes, as: UTF8.self)
    }

    /// Eight bytes a step.
    @inline(__always)
    private static func hash(_ base: UnsafePointer<UInt8>, _ count: Int, _ seed: UInt64) -> UInt64 {
        let raw = UnsafeRawPointer(base)
        var hash = seed ^ UInt64(count)
        var place = 0
        while place + 8 <= count {
            hash = fold(hash, raw.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            place += 8
        }
        var rest: UInt64 = 0
        while place < count {
            rest = rest << 8 | UInt64(base[place])
            place += 1
        }
        return fold(hash, rest)
    }

    @inline(__always)
    private static func fold(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return (product.high ^ product.low) &+ 0xd6e8_feb8_6659_fd93
    }
}
