import Database
import Formats
import RedisClient
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Usage samples count once", .timeLimit(.minutes(4)))
struct UsageOnceTests {
    private static let deliveriesEach = 5

    @Test("each batch five times, in any order, by list and by post, while workers, Redis and ingest are killed: the plain sums, exactly")
    func killedOverAndOver() async throws {
        try await Stage.run(["ingest", "worker-usage"]) { stage in
            try await stage.instance.start("worker-usage", slot: 1)
            var traffic = UsageTraffic()
            let batches = traffic.batches(400, upTo: 500)
            let loose = (0..<600).map { _ in traffic.sample() }
            let events = (0..<300).map { _ in traffic.sample() }
            var sums = UsageSums()
            for batch in batches { sums.add(batch.samples) }
            sums.add(loose)
            sums.add(events)

            var bodies: [[UInt8]] = []
            var posts: [Message] = []
            for delivery in 0..<Self.deliveriesEach {
                let hand = UsageTraffic.Batch.Hand(rawValue: delivery % UsageTraffic.Batch.Hand.allCases.count) ?? .plain
                // A batch is the same one whichever way it comes.
                for (number, batch) in batches.enumerated() {
                    if (number + delivery).isMultiple(of: 5) {
                        posts.append(batch.posted(hand))
                    } else {
                        bodies.append(batch.listed(hand, delivery: delivery))
                    }
                }
                bodies += traffic.loose(loose, source: "meter-2").map { $0.listed(hand) }
                posts += traffic.loose(events, source: "meter-3").map { $0.posted() }
            }
            bodies.shuffle()
            posts.shuffle()
            let rest = Mutex(posts)
            let stream = EventStream.start(port: stage.ingestPort, lines: 2, pause: .milliseconds(10)) { rest.withLock { $0.popLast() } }

            // Workers die in each round; now and then something else does as well.
            let rounds = 8
            let share = bodies.count / rounds + 1
            for round in 0..<rounds {
                // Kills come quicker than leases end; here and there one has to hit what was handed out before.
                if round % 3 == 2 { try await Self.awaitRedelivery(stage) }
                let pushed = Array(bodies.dropFirst(round * share).prefix(share))
                if round.isMultiple(of: 2) {
                    // Before anything of it is in SQL.
                    try await Self.whileNobodyWrites(stage) {
                        try await stage.push(pushed)
                        try await eventually("a worker has bodies in its hands") { try await stage.samplesInHand() > 0 }
                        for slot in 0...1 { try await stage.instance.kill9("worker-usage", slot: slot) }
                    }
                    try await stage.instance.start("worker-usage", slot: 1)
                } else {
                    // At whatever it is just doing.
                    try await stage.push(pushed)
                    try await eventually("a worker has bodies in its hands, or has done with them") {
                        if try await stage.samplesInHand() > 0 { return true }
                        return try await stage.redis.call("LLEN", stage.key("samples", "ready")).int == 0
                    }
                    try await stage.instance.kill9("worker-usage")
                }
                switch round {
                case 3:
                    try await stage.instance.redis.kill9()
                    try await stage.instance.redis.restart()
                case 5:
                    try await stage.instance.kill9("ingest")
                    try await stage.instance.start("ingest")
                default: break
                }
                try await stage.instance.start("worker-usage")
            }
            try await eventually(within: .seconds(60), "all posts are answered: \(stream.tally.statuses)") { stream.isIdle }
            let tally = stream.tally
            #expect(tally.accepted.count == posts.count)
            #expect(tally.refused.isEmpty)
            try await stage.requireTraffic(sums, units: batches.count + loose.count + events.count)
        }
    }

    /// Runs something while the database takes no write of anybody else.
    private static func whileNobodyWrites(_ stage: Stage, _ body: () async throws -> Void) async throws {
        let isOver = Mutex(false)
        async let held: Void = stage.database.write { _ in while !isOver.withLock({ $0 }) { usleep(1000) } }
        do {
            try await body()
        } catch {
            isOver.withLock { $0 = true }
            throw error
        }
        isOver.withLock { $0 = true }
        try await held
    }

    private static func awaitRedelivery(_ stage: Stage) async throws {
        let workers = try (0...1).map { try stage.instance.process("worker-usage", slot: $0) }
        try await eventually(within: .seconds(20), "what a killed worker had is back") {
            workers.contains { $0.lines.contains { $0.text.contains("worker lost, its work is back") } }
        }
    }

    /// What stands on the list and is no batch, and what must stand in the reason.
    private static let rubbish: [(body: String, reason: String)] = [
        ("", "JSON"), ("{half", "JSON"), ("[]", "object"), ("null", "object"), ("\u{0}\u{1}\u{2}", "JSON"),
        (#"{"v":2,"source":"s","batch":"b","samples":[{"project":"p","bytes":1,"at":1}]}"#, "v"),
        (#"{"v":1,"batch":"b","samples":[{"project":"p","bytes":1,"at":1}]}"#, "source"),
        (#"{"v":1,"source":"s","samples":[{"project":"p","bytes":1,"at":1}]}"#, "id"),
        (#"{"v":1,"source":"s","batch":"b","samples":[]}"#, "samples"),
        (#"{"v":1,"source":"s","batch":"b","samples":[{"project":"p","bytes":-1,"at":1}]}"#, "bytes"),
        (#"{"v":1,"source":"s","batch":"b","samples":[{"project":"p","bytes":1e3,"at":1}]}"#, "bytes"),
        (#"{"v":1,"source":"s","batch":"b","samples":[{"project":"p","bytes":1,"at":1},{"project":"a/b","bytes":1,"at":1}]}"#, "sample 1: project"),
        (#"{"v":1,"source":"s","batch":"b","samples":[{"project":"p","bytes":1,"at":"yesterday"}]}"#, "at"),
        (#"{"v":1,"source":"s","batch":"b","samples":[{"project":"p","bytes":1,"at":1}]} {}"#, ""),
        (#"{"v":1,"id":"job_1","kind":"invoice.create","queue":"invoices","args":{},"payment":"pay_1","attempt":0}"#, ""),
        (#"{"v":1,"source":"s","batch":"b","samples":"# + String(repeating: "[", count: 5000), ""),
    ]

    @Test("what is no batch of samples is buried with the reason, and holds up nobody else")
    func rubbishOnTheList() async throws {
        try await Stage.run(["worker-usage"]) { stage in
            let good = UsageTraffic.even(60, of: 20)
            var sums = UsageSums()
            for batch in good { sums.add(batch.samples) }
            try await stage.push((good.map { $0.listed() } + Self.rubbish.map { Array($0.body.utf8) }).shuffled())
            try await stage.requireTraffic(sums, units: good.count, dead: Self.rubbish.count)

            let records = try await stage.dead(on: "samples")
            for (body, reason) in Self.rubbish {
                let record = records.first { $0["body_base64"]?.string.flatMap { Base64.decode($0) } == Array(body.utf8) }
                let told = try #require(record?["reason"]?.string, "\(body.prefix(100)) is not among the buried")
                #expect(!told.isEmpty && told.contains(reason), "\(body.prefix(100)): \(told)")
            }
            let shown = try await stage.instance.quittance("dead", "list", "--queue", "samples", "--json")
            #expect(shown.code == 0, "\(shown.errors)")
            #expect(try JSON(parsing: shown.output, sizeLimit: 1 << 20).array?.count == Self.rubbish.count)
            // The worker that met all this is the first one still.
            #expect(try stage.instance.process("worker-usage").isRunning)
        }
    }

    @Test("another content under a known name is not counted, and is on record")
    func conflict() async throws {
        try await Stage.run(["worker-usage"]) { stage in
            let first = UsageTraffic.even(1, of: 10)[0]
            let other = UsageTraffic.Batch(source: first.source, name: first.name, samples: Array(first.samples.dropLast()))
            let sameNameElsewhere = UsageTraffic.Batch(source: "gateway-9", name: first.name, samples: other.samples)
            try await stage.push([first.listed()])
            try await eventually("it is counted") { try await stage.count("SELECT COUNT(*) FROM usage_batches") == 1 }
            try await stage.push([other.listed(), sameNameElsewhere.listed(), first.listed(.talkative)])
            try await eventually("all is taken") {
                let left = try await stage.held(by: "samples")
                return left.isEmpty
            }
            var sums = UsageSums()
            sums.add(first.samples + sameNameElsewhere.samples)
            #expect(try await stage.countedTraffic().difference(from: sums) == "")
            #expect(
                try await stage.texts("SELECT reason || ' ' || source || ' ' || batch || ' ' || samples FROM usage_rejections") == [
                    "conflict \(first.source) \(first.name ?? "") 9"
                ])
        }
    }
}
