import Database
import Formats
import HTTPServer
import Synchronization
import Telemetry

/// How many may watch teams at once, and for how long.
public struct TeamStreamLimits: Sendable {
    /// Of all browsers together.
    public var total = 500
    public var perTeam = 20
    /// Of one address.
    public var perCaller = 50
    /// Then a browser connects anew, and its token is asked for again.
    public var lifetime: Duration = .seconds(10 * 60)
    /// Something is sent at least so often, so that nobody on the way takes the connection for dead.
    public var heartbeat: Duration = .seconds(15)
    /// How often watched teams are looked at.
    public var tick: Duration = .seconds(1)
    /// A browser is told so often at most that nothing but usage has gone on: counters do so every few seconds, and it reads the whole page.
    public var usageRest: Duration = .seconds(5)

    public init() {}
}

/// Tells browsers that show a team's page when something on it has changed, as server-sent events; what it is, the page says itself.
///
/// Each watched team is looked at once a tick, however many watch it. A round that took long is followed by a rest twenty times as long, so
/// that teams of thousands of projects do not keep a processor busy.
final class TeamStreams: Sendable {
    private struct Seat {
        let team: String
        let caller: String
        let endsAt: ContinuousClock.Instant
        /// When its token runs out.
        let untilMs: Int64
        var stream: HTTPStream?
        /// The mark of what its browser shows.
        var seen: TeamMark
        /// When it was told so.
        var toldAt: ContinuousClock.Instant?

        /// Whether it is to be told now. Usage alone waits, and is told with the next look after its rest.
        func isDue(_ mark: TeamMark, rest: Duration) -> Bool {
            guard seen != mark else { return false }
            guard seen.unmetered == mark.unmetered, let toldAt else { return true }
            return toldAt + rest <= .now
        }
    }

    private struct State {
        var seats: [UInt64: Seat] = [:]
        var byTeam: [String: Set<UInt64>] = [:]
        var byCaller: [String: Int] = [:]
        var next: UInt64 = 0
        var isTicking = false
        var beatAt = ContinuousClock.now
    }

    private static let restFactor = 20
    /// No longer than that a proxy waits for a heartbeat.
    private static let restMax = Duration.seconds(10)

    private let database: Database
    private let limits: TeamStreamLimits
    private let log: Log
    private let nowMs: @Sendable () -> Int64
    private let state = Mutex(State())
    private let watching = MetricRegistry.shared.gauge("web_team_streams", help: "Browsers that follow a team's page.")
    private let refused = MetricRegistry.shared.counter(
        "web_team_streams_refused_total", help: "Browsers that found no room to follow a team's page.")

    init(database: Database, limits: TeamStreamLimits, log: Log, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.limits = limits
        self.log = log
        self.nowMs = nowMs
    }

    /// How many watch.
    var count: Int { state.withLock { $0.seats.count } }

    // MARK: Opening

    /// The answer to whoever shows a team's page.
    /// - Parameters:
    ///   - seen: the mark of what is shown; nil for whoever does not know it.
    ///   - untilMs: when the token runs out that allowed it.
    /// - Returns: nil when there is no such team.
    /// - Throws: ``WebProblem`` 429.
    func open(_ team: String, seen: String?, who caller: String, untilMs: Int64) async throws -> WebAnswer? {
        let now = nowMs()
        guard let mark = try await database.read({ try TeamMark(of: team, nowMs: now, in: $0) }) else { return nil }
        let isNews = seen != mark.text
        let number = try take(
            Seat(
                team: team, caller: caller, endsAt: .now + limits.lifetime, untilMs: untilMs, seen: mark,
                toldAt: isNews ? .now : nil))
        // Not all at once after a restart.
        let first = "retry: \(Int.random(in: 1000...4000))\n\n\(isNews ? Self.event(mark) : "")"
        let head = HTTPResponse(
            status: 200, headers: ["Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"], body: Array(first.utf8))
        return .stream(StatusStream(head: head) { responder, head in self.begin(number, responder, head) })
    }

    private static func event(_ mark: TeamMark) -> String { "id: \(mark.text)\nevent: changed\ndata: {}\n\n" }

    private func take(_ seat: Seat) throws(WebProblem) -> UInt64 {
        let (team, caller) = (seat.team, seat.caller)
        let (number, startsTicking) = state.withLock { state -> (UInt64?, Bool) in
            guard state.seats.count < limits.total, state.byTeam[team]?.count ?? 0 < limits.perTeam,
                state.byCaller[caller, default: 0] < limits.perCaller
            else { return (nil, false) }
            state.next += 1
            state.seats[state.next] = seat
            state.byTeam[team, default: []].insert(state.next)
            state.byCaller[caller, default: 0] += 1
            defer { state.isTicking = true }
            return (state.next, !state.isTicking)
        }
        guard let number else {
            refused.add()
            throw WebProblem(status: 429, title: "Too many watch", detail: "load the page again instead", headers: [("Retry-After", "60")])
        }
        watching.add(1)
        if startsTicking { Task { await self.run() } }
        return number
    }

    private func begin(_ number: UInt64, _ responder: HTTPResponder, _ head: HTTPResponse) {
        let stream = responder.stream(head) { _ in self.leave(number) }
        state.withLock { $0.seats[number]?.stream = stream }
    }

    private func leave(_ number: UInt64) {
        let left = state.withLock { state -> Bool in
            guard let seat = state.seats.removeValue(forKey: number) else { return false }
            state.byTeam[seat.team]?.remove(number)
            if state.byTeam[seat.team]?.isEmpty == true { state.byTeam[seat.team] = nil }
            let others = state.byCaller[seat.caller, default: 1] - 1
            state.byCaller[seat.caller] = others > 0 ? others : nil
            return true
        }
        if left { watching.add(-1) }
    }

    // MARK: Telling

    /// Looks and tells until nobody watches.
    private func run() async {
        var rest = limits.tick
        var failed = false
        while true {
            try? await Task.sleep(for: rest)
            let teams = state.withLock { state -> [String]? in
                state.isTicking = !state.seats.isEmpty
                return state.isTicking ? Array(state.byTeam.keys) : nil
            }
            guard let teams else { return }
            let begin = ContinuousClock.now
            var fails = false
            for team in teams {
                do { try await look(at: team) } catch {
                    // What was missed is told when SQL answers again.
                    if !failed { log.warning("teams that are watched cannot be read", ["error": .string("\(error)")]) }
                    fails = true
                    break
                }
            }
            failed = fails
            beat()
            rest = max(limits.tick * (failed ? 8 : 1), min(begin.duration(to: .now) * Self.restFactor, Self.restMax))
        }
    }

    private func look(at team: String) async throws {
        let now = nowMs()
        let mark = try await database.read { try TeamMark(of: team, nowMs: now, in: $0) }
        var sends: [HTTPStream] = []
        var ends: [HTTPStream] = []
        state.withLock { state in
            for number in state.byTeam[team] ?? [] {
                // One whose first words are not out yet is told at the next look.
                guard let seat = state.seats[number], let stream = seat.stream else { continue }
                guard let mark else {
                    ends.append(stream)
                    continue
                }
                guard seat.isDue(mark, rest: limits.usageRest) else { continue }
                state.seats[number]?.seen = mark
                state.seats[number]?.toldAt = .now
                sends.append(stream)
            }
        }
        if let mark, !sends.isEmpty {
            let bytes = Array(Self.event(mark).utf8)
            for stream in sends { stream.send(bytes) }
        }
        for stream in ends { stream.end() }
    }

    /// Keeps streams alive, and ends those that have lasted long enough.
    private func beat() {
        let (now, wallMs) = (ContinuousClock.now, nowMs())
        let (beaten, ended) = state.withLock { state -> ([HTTPStream], [HTTPStream]) in
            func isOver(_ seat: Seat) -> Bool { seat.endsAt <= now || seat.untilMs <= wallMs }
            let ended = state.seats.values.filter(isOver).compactMap(\.stream)
            guard state.beatAt + limits.heartbeat <= now else { return ([], ended) }
            state.beatAt = now
            return (state.seats.values.filter { !isOver($0) }.compactMap(\.stream), ended)
        }
        let beat = Array(": \n\n".utf8)
        for stream in beaten { stream.send(beat) }
        for stream in ended { stream.end() }
    }
}
