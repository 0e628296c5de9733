import Database
import Formats
import RedisClient
import TestSupport

/// Samples of one test, in batches or each under a name of its own, and what they must come to, added up the plain way.
struct UsageTraffic: Sendable {
    struct Sample: Sendable {
        let project: String
        let bytes: Int64
        let atMs: Int64
        /// Used where no batch is named.
        let id: String
    }

    /// One delivery's worth of samples.
    struct Batch: Sendable {
        let source: String
        /// Nil when each sample counts by itself.
        let name: String?
        let samples: [Sample]
    }

    private static let dayMs: Int64 = 24 * 60 * 60_000
    private let nowMs = WallClock.nowMs
    private var numbers = SystemRandomNumberGenerator()

    // MARK: Making

    /// A sample of now or of any moment of the last `days` days; the edges of the months more often than chance would have it.
    mutating func sample(days: Int64 = 55, projects: Int = 7) -> Sample {
        let oldest = nowMs - days * Self.dayMs
        let any = Int64.random(in: oldest...nowMs, using: &numbers)
        let atMs: Int64
        switch Int.random(in: 0..<10, using: &numbers) {
        case 0..<4: atMs = Int64.random(in: nowMs - 3_600_000...nowMs, using: &numbers)
        case 4..<6:
            let start = Timestamp.parse(Timestamp.date(any).prefix(7) + "-01T00:00:00Z") ?? any
            atMs = min(nowMs, max(oldest, start + [-1, 0, 1].randomElement(using: &numbers, else: 0)))
        default: atMs = any
        }
        // Most are small. The sums stay below 2^53, where counters end.
        let most: Int64 = Int.random(in: 0..<50, using: &numbers) == 0 ? 1 << 40 : 1 << 20
        return Sample(
            project: "project-\(Int.random(in: 1...projects, using: &numbers))", bytes: Int64.random(in: 0...most, using: &numbers), atMs: atMs,
            id: "sample-\(ULID.make())")
    }

    /// Batches of 1 to `most` samples; one in ten is of that size, the others are smaller.
    mutating func batches(_ count: Int, upTo most: Int, source: String = Instance.usageSource) -> [Batch] {
        (0..<count).map { number in
            let size = number.isMultiple(of: 10) ? most : Int.random(in: 1...max(1, most / 8), using: &numbers)
            return Batch(source: source, name: "batch-\(ULID.make())", samples: (0..<size).map { _ in sample() })
        }
    }

    /// The same samples in deliveries of 1 to 40, cut another way at each call.
    mutating func loose(_ samples: [Sample], source: String) -> [Batch] {
        var rest = samples.shuffled(using: &numbers)[...]
        var deliveries: [Batch] = []
        while !rest.isEmpty {
            let size = Int.random(in: 1...40, using: &numbers)
            deliveries.append(Batch(source: source, name: nil, samples: Array(rest.prefix(size))))
            rest = rest.dropFirst(size)
        }
        return deliveries
    }

    /// Equal batches of the present: for what is about their number alone.
    static func even(_ count: Int, of samples: Int, source: String = Instance.usageSource) -> [Batch] {
        let nowMs = WallClock.nowMs
        return (0..<count).map { _ in
            Batch(
                source: source, name: "batch-\(ULID.make())",
                samples: (0..<samples).map { Sample(project: "project-\($0 % 5)", bytes: Int64(1000 + $0), atMs: nowMs - Int64($0), id: "") })
        }
    }
}

extension Array {
    fileprivate func randomElement(using numbers: inout SystemRandomNumberGenerator, else other: Element) -> Element {
        randomElement(using: &numbers) ?? other
    }
}

// MARK: Writing

extension UsageTraffic.Batch {
    /// How producers differ in writing the same.
    enum Hand: Int, CaseIterable, Sendable { case plain, textTimes, talkative }

    /// The body on the list.
    /// - Parameter delivery: its number, where the producer numbers them.
    func listed(_ hand: Hand = .plain, delivery: Int? = nil) -> [UInt8] {
        var text = #"{"v":1,"source":"\#(source)","samples":["# + samples.map { write($0, hand) }.joined(separator: ",") + "]"
        if let name { text += #","batch":"\#(name)""# }
        if let delivery { text += #","delivery":\#(delivery)"# }
        if hand == .talkative { text += #","producer":{"version":"2.1","host":null}"# }
        return Array((text + "}").utf8)
    }

    /// A sample a line.
    func lines(_ hand: Hand = .plain) -> [UInt8] { Array(samples.map { write($0, hand) + "\n" }.joined().utf8) }

    /// CloudEvents, each sample an event of its own.
    var events: [UInt8] {
        let events = samples.map { sample in
            #"{"specversion":"1.0","id":"\#(sample.id)","source":"/meters/\#(source)","type":"usage.traffic","subject":"\#(sample.project)","#
                + #""time":"\#(Timestamp.rfc3339(sample.atMs))","data":{"bytes":\#(sample.bytes)}}"#
        }
        return Array("[\(events.joined(separator: ","))]".utf8)
    }

    private func write(_ sample: UsageTraffic.Sample, _ hand: Hand) -> String {
        let id = name == nil ? #","id":"\#(sample.id)""# : ""
        return switch hand {
        case .plain: #"{"project":"\#(sample.project)","bytes":\#(sample.bytes),"at":\#(sample.atMs)\#(id)}"#
        case .textTimes: #"{"at":"\#(Timestamp.rfc3339(sample.atMs))","bytes":\#(sample.bytes)\#(id),"project":"\#(sample.project)"}"#
        case .talkative:
            #"{ "metric": "traffic", "project": "\#(sample.project)", "zone": ["a", {"b": 1}], "#
                + #""bytes": \#(sample.bytes), "at": \#(sample.atMs)\#(id) }"#
        }
    }

    /// The same batch as a post to ingest, with the key of its source.
    func posted(_ hand: Hand = .plain, key: String = Instance.usageKey) -> Message {
        let authorization = ("authorization", "Bearer \(key)")
        guard let name else {
            return Message(
                id: ULID.make(), body: events, path: "/usage", given: [authorization, ("content-type", "application/cloudevents-batch+json")])
        }
        return Message(
            id: ULID.make(), body: lines(hand), path: "/usage",
            given: [authorization, ("content-type", "application/x-ndjson"), ("idempotency-key", name)])
    }
}

// MARK: Adding up

/// Bytes by project and day, and by project and month.
struct UsageSums: Sendable, Equatable {
    /// By `project 2026-11-21`.
    var days: [String: Int64] = [:]
    /// By `project 2026-11`.
    var months: [String: Int64] = [:]

    mutating func add(_ samples: [UsageTraffic.Sample]) {
        for sample in samples {
            let date = Timestamp.date(sample.atMs)
            days["\(sample.project) \(date)", default: 0] += sample.bytes
            months["\(sample.project) \(date.prefix(7))", default: 0] += sample.bytes
        }
    }

    /// The first figures that differ from what they should be; empty when none does.
    func difference(from wanted: UsageSums) -> String {
        let pairs = [(days, wanted.days), (months, wanted.months)]
        let wrong = pairs.flatMap { found, wanted in
            Set(found.keys).union(wanted.keys).sorted().filter { found[$0] != wanted[$0] }.map { key in
                "\(key): \(found[key].map(String.init) ?? "nothing") for \(wanted[key].map(String.init) ?? "nothing")"
            }
        }
        return wrong.isEmpty ? "" : "\(wrong.count) figures are wrong: \(wrong.prefix(6).joined(separator: "; "))"
    }
}

extension Stage {
    /// Pushes bodies onto the samples list, as any producer may. An error leaves open whether it was done: it is done once more.
    func push(_ bodies: [[UInt8]]) async throws {
        let command = RedisCommand("LPUSH", arguments: [key("samples", "ready")] + bodies)
        try await eventually(within: .seconds(30), "the list takes \(bodies.count) batches") {
            _ = try await redis.perform(command)
            return true
        }
    }

    /// What is counted.
    func countedTraffic() async throws -> UsageSums {
        try await database.read { connection in
            var sums = UsageSums()
            for row in try connection.query(
                "SELECT project || ' ' || date(day * 86400, 'unixepoch') AS k, traffic_bytes AS n FROM usage_project_days")
            {
                sums.days[try row.text("k")] = try row.int("n")
            }
            for row in try connection.query(
                "SELECT project || ' ' || year || '-' || printf('%02d', month) AS k, traffic_bytes AS n FROM usage_project_months")
            {
                sums.months[try row.text("k")] = try row.int("n")
            }
            return sums
        }
    }

    /// Bodies in workers' hands.
    func samplesInHand() async throws -> Int {
        var count = 0
        for name in (try await redis.call("KEYS", key("samples", "inflight:*")).array ?? []).compactMap(\.string) {
            count += Int(try await redis.call("HLEN", name).int ?? 0)
        }
        return count
    }

    /// Waits until no sample is left anywhere, and throws unless the figures are exactly what was sent, each unit is known once, and
    /// nothing was buried or refused.
    /// - Parameter units: batches, and samples that count by themselves.
    func requireTraffic(_ wanted: UsageSums, units: Int, dead: Int = 0, within limit: Duration = .seconds(60)) async throws {
        try await eventually(within: limit, "all samples are counted") {
            let spooled = eventLog(prefix: "spool-", in: "spool/samples").count
            guard spooled == 0 else { throw FixtureError("the spool holds \(spooled) batches") }
            let left = try await held(by: "samples").count
            guard left == 0 else { throw FixtureError("\(left) bodies are left") }
            return true
        }
        let difference = try await countedTraffic().difference(from: wanted)
        guard difference.isEmpty else { throw FixtureError(difference) }
        let known = try await count("SELECT COUNT(*) FROM usage_batches")
        guard known == units else { throw FixtureError("\(known) units are known, \(units) were sent") }
        let refused = try await texts("SELECT reason || ' ' || batch FROM usage_rejections LIMIT 5")
        guard refused.isEmpty else { throw FixtureError("samples were refused: \(refused)") }
        let buried = try await self.dead(on: "samples")
        guard buried.count == dead else { throw FixtureError("\(buried.count) bodies are buried: \(buried.prefix(3).map(\.text))") }
    }
}
