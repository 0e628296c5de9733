import Database
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import Operating
import Outbox
import Payments
import RedisClient
import Staff
import Synchronization

/// What the overview shows, as of one moment.
struct ConsoleFigures: Sendable {
    let states: [(state: PaymentState, count: Int64)]
    let tasks: Int
    let unsettledEvents: Int
    let refundRequests: Int
    let unfinishedJobs: Int64
    /// Nil while Redis is away, or where there is none.
    var dead: Int?
    /// Nil while they are being counted for the first time.
    var nearLimits: Int?
    var inGrace: Int64?
    var hours: [(begun: Int64, paid: Int64)] = []
    let standings: [PaymentFigures.Standing]

    static let hoursShown = 24
    /// More are not counted.
    static let most = 10_000

    static func read(in connection: Connection) throws -> ConsoleFigures {
        ConsoleFigures(
            states: try PaymentStore.counts(in: connection), tasks: try PaymentTask.countOpen(most: most, in: connection),
            unsettledEvents: try EventArchive.countUnsettled(most: most, in: connection),
            refundRequests: try RefundRequest.waiting(limit: 1000, in: connection).count,
            unfinishedJobs: try UnfinishedJobs.all(in: connection).reduce(0) { $0 + $1.count }, dead: nil,
            standings: try PaymentFigures.read(in: connection).standings)
    }

    func count(_ state: PaymentState) -> Int64 { states.first { $0.state == state }?.count ?? 0 }

    var total: Int64 { states.reduce(0) { $0 + $1.count } }

    /// The numbers that follow by themselves, by the name that the page gives them.
    var numbers: [(name: String, value: String)] {
        [
            ("total", String(total)), ("paid", String(count(.paid))),
            ("open", String(states.filter { $0.state.isOpen }.reduce(0) { $0 + $1.count })), ("conflicted", String(count(.conflicted))),
            ("tasks", Self.shown(tasks)), ("events", Self.shown(unsettledEvents)), ("requests", String(refundRequests)),
            ("jobs", String(unfinishedJobs)), ("dead", dead.map(String.init) ?? "–"), ("near", nearLimits.map(String.init) ?? "–"),
            ("grace", inGrace.map(String.init) ?? "–"),
        ]
    }

    private static func shown(_ count: Int) -> String { count < most ? String(count) : "\(most)+" }

    func number(_ name: String) -> String { numbers.first { $0.name == name }?.value ?? "–" }
}

/// Reads the figures, once for all who look at them within a moment.
struct FiguresDesk: Sendable {
    private let numbers: KeptReading<ConsoleFigures>
    /// A day's payments are many: they are counted once a minute.
    private let hours: KeptReading<[(begun: Int64, paid: Int64)]>

    init(database: Database, queues: RedisQueues?, teams: TeamsDesk, nowMs: @escaping @Sendable () -> Int64) {
        numbers = KeptReading(freshness: .seconds(2), staleness: .seconds(10)) {
            var figures = try await database.read { try ConsoleFigures.read(in: $0) }
            figures.dead = await Self.deadCount(queues)
            // The overview has its other numbers, whatever becomes of these.
            if let reading = try? await teams.read() {
                (figures.nearLimits, figures.inGrace) = (reading.nearLimits, reading.subscriptions["grace"])
            }
            return figures
        }
        hours = KeptReading(freshness: .seconds(60), staleness: .seconds(600)) {
            let now = nowMs()
            return try await database.read { try PaymentListing.perHour(ConsoleFigures.hoursShown, nowMs: now, in: $0) }
        }
    }

    /// The numbers, without the hours.
    func figures() async throws -> ConsoleFigures { try await numbers.value() }

    func withHours() async throws -> ConsoleFigures {
        var figures = try await figures()
        figures.hours = try await hours.value()
        return figures
    }

    private static func deadCount(_ queues: RedisQueues?) async -> Int? {
        guard let queues, queues.connection.isConnected else { return nil }
        var dead = 0
        for name in ProductQueues.names {
            guard let counts = try? await queues.redisDriver(of: name).counts() else { return nil }
            dead += counts.dead
        }
        return dead
    }
}

/// How quickly work goes through the queues, of the last minutes: counted once for all who look within a moment.
struct RatesDesk: Sendable {
    static let minutes: Int64 = 5

    private let rates: KeptReading<[String: JobRates]>
    private let eventRates: KeptReading<Int64>

    init(database: Database, nowMs: @escaping @Sendable () -> Int64) {
        rates = KeptReading(freshness: .seconds(5), staleness: .seconds(30)) {
            let sinceMs = nowMs() - Self.minutes * 60_000
            let found = try await database.read { try JobRates.read(sinceMs: sinceMs, in: $0) }
            return Dictionary(found.map { ($0.queue, $0) }) { first, _ in first }
        }
        eventRates = KeptReading(freshness: .seconds(5), staleness: .seconds(30)) {
            let sinceMs = nowMs() - Self.minutes * 60_000
            return try await database.read { try EventArchive.count(sinceMs: sinceMs, in: $0) }
        }
    }

    /// By queue; what is not recorded in SQL is not there.
    func all() async throws -> [String: JobRates] { try await rates.value() }

    /// Events that were taken up: their queue has no records of jobs.
    func events() async throws -> Int64 { try await eventRates.value() }

    /// `12.4`, of a count over the minutes looked at.
    static func perMinute(_ count: Int64?, _ words: Words) -> String {
        guard let count else { return "–" }
        let tenths = (count * 10 + minutes / 2) / minutes
        return "\(tenths / 10)\(words(",", "."))\(tenths % 10)"
    }
}

/// Tells overviews that are open how the numbers stand, as server-sent events: one reading for all of them.
final class FigureStreams: Sendable {
    static let seatsMax = 100
    private static let tick = Duration.seconds(2)
    /// Then a browser connects anew, and is asked who it is again.
    private static let lifetime = Duration.seconds(10 * 60)

    private struct Seat {
        let endsAt: ContinuousClock.Instant
        var stream: HTTPStream?
    }

    private struct State {
        var seats: [UInt64: Seat] = [:]
        var next: UInt64 = 0
        var isTicking = false
    }

    private let desk: FiguresDesk
    private let state = Mutex(State())

    init(desk: FiguresDesk) { self.desk = desk }

    /// - Throws: ``WebProblem`` 429.
    func open() async throws -> WebAnswer {
        let first = Self.event(try await desk.figures())
        let seat = state.withLock { state -> (UInt64, Bool)? in
            guard state.seats.count < Self.seatsMax else { return nil }
            state.next += 1
            state.seats[state.next] = Seat(endsAt: ContinuousClock.now + Self.lifetime, stream: nil)
            defer { state.isTicking = true }
            return (state.next, !state.isTicking)
        }
        guard let (number, startsTicking) = seat else {
            throw WebProblem(status: 429, title: "Too many watch", detail: "load the page again instead", headers: [("Retry-After", "60")])
        }
        if startsTicking { Task { await run() } }
        let head = HTTPResponse(
            status: 200, headers: ["Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"],
            body: Array("retry: 5000\n\n".utf8) + first)
        return .stream(StatusStream(head: head) { responder, head in self.begin(number, responder, head) })
    }

    private func begin(_ number: UInt64, _ responder: HTTPResponder, _ head: HTTPResponse) {
        let stream = responder.stream(head) { _ in self.state.withLock { $0.seats[number] = nil } }
        state.withLock { $0.seats[number]?.stream = stream }
    }

    /// Reads and tells until nobody watches.
    private func run() async {
        while true {
            try? await Task.sleep(for: Self.tick)
            let goesOn = state.withLock { state in
                state.isTicking = !state.seats.isEmpty
                return state.isTicking
            }
            guard goesOn else { return }
            // What cannot be read now is told when it can be.
            let bytes = (try? await desk.figures()).map(Self.event) ?? Array(": \n\n".utf8)
            let seats = state.withLock { Array($0.seats.values) }
            for seat in seats {
                seat.stream?.send(bytes)
                if seat.endsAt <= ContinuousClock.now { seat.stream?.end() }
            }
        }
    }

    private static func event(_ figures: ConsoleFigures) -> [UInt8] {
        let data = JSON.object(JSONObject(figures.numbers.map { ($0.name, JSON.string($0.value)) }))
        return Array("event: figures\ndata: \(data.text)\n\n".utf8)
    }
}
