import Database
import Formats
import HTTPServer
import Payments
import Synchronization
import Telemetry

/// How many may watch payments at once, and for how long.
public struct StreamLimits: Sendable {
    /// Of all clients together.
    public var total = 4000
    /// Of one address, or of one key: many phones share the address of their network.
    public var perCaller = 200
    public var perPayment = 40
    /// Then the stream ends, and its client connects anew.
    public var lifetime: Duration = .seconds(15 * 60)
    /// Something is sent at least so often, so that nobody on the way takes the connection for dead.
    public var heartbeat: Duration = .seconds(15)
    /// How often SQL is asked what has changed, while somebody watches.
    public var tick: Duration = .milliseconds(250)

    public init() {}
}

/// Tells clients where their payments stand, as server-sent events: the present state, then each change, until the payment has come to
/// its end.
///
/// All of them are served by one question to SQL a tick: which moves came after the last one seen? The audit trail has one row per move, so
/// the question costs what has changed, however many watch. See docs/decisions/0017.
final class StatusStreams: Sendable {
    private struct Seat: Sendable {
        let payment: String
        let caller: String
        let endsAt: ContinuousClock.Instant
        /// Nil until the client has its first event.
        var stream: HTTPStream?
        /// The number of the last move that the client knows.
        var seen: Int64
    }

    private struct State {
        var seats: [UInt64: Seat] = [:]
        var byPayment: [String: Set<UInt64>] = [:]
        var byCaller: [String: Int] = [:]
        var nextSeat: UInt64 = 0
        /// Every move up to this number has been told.
        var told: Int64 = 0
        var isTicking = false
        var beatAt = ContinuousClock.now
    }

    private static let movesMax = 2000

    private let database: Database
    private let limits: StreamLimits
    private let log: Log
    private let state = Mutex(State())
    private let watching = MetricRegistry.shared.gauge("web_status_streams", help: "Clients that watch a payment.")
    private let refused = MetricRegistry.shared.counter("web_status_streams_refused_total", help: "Clients that found no room to watch.")

    init(database: Database, limits: StreamLimits, log: Log) {
        self.database = database
        self.limits = limits
        self.log = log
    }

    /// How many watch.
    var count: Int { state.withLock { $0.seats.count } }

    // MARK: Opening

    /// The answer to whoever wants to watch a payment.
    /// - Parameter caller: whom the stream counts for.
    /// - Throws: ``WebProblem`` 404, 429 or 503.
    func open(_ payment: String, _ call: WebCall, who caller: String) async throws -> WebAnswer {
        let found = try await database.read { connection in
            try PaymentMove.last(of: payment, in: connection).map { ($0, try PaymentMove.lastNumber(in: connection)) }
        }
        guard let (last, newest) = found else { throw WebProblem.notFound("there is no payment \(payment.prefix(80))") }
        let first = StatusEvent(last)
        if last.state.endsWatching {
            // 204 is how a client that connects again and again is told to stop; it knows the end already.
            let knows = call.request.headers["last-event-id"] == String(last.number)
            return .whole(knows ? HTTPResponse(status: 204) : Self.head(first.bytes))
        }
        let number = try take(payment, caller, seen: last.number, newest: newest)
        // Not all at once after a restart.
        let retry = Array("retry: \(Int.random(in: 1000...4000))\n\n".utf8)
        return .stream(StatusStream(head: Self.head(retry + first.bytes)) { responder, head in self.begin(number, responder, head) })
    }

    private static func head(_ body: [UInt8]) -> HTTPResponse {
        // Nginx would gather what is sent until its buffer is full.
        HTTPResponse(status: 200, headers: ["Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"], body: body)
    }

    private func take(_ payment: String, _ caller: String, seen: Int64, newest: Int64) throws(WebProblem) -> UInt64 {
        let endsAt = ContinuousClock.now + limits.lifetime
        let (number, startsTicking) = state.withLock { state -> (UInt64?, Bool) in
            guard state.seats.count < limits.total, state.byCaller[caller, default: 0] < limits.perCaller,
                state.byPayment[payment]?.count ?? 0 < limits.perPayment
            else { return (nil, false) }
            state.nextSeat += 1
            // A tick may have gone past this client's moment of SQL: the next one goes back there, and each client is told only what it has
            // not seen.
            state.told = state.seats.isEmpty ? newest : min(state.told, newest)
            state.seats[state.nextSeat] = Seat(payment: payment, caller: caller, endsAt: endsAt, stream: nil, seen: seen)
            state.byPayment[payment, default: []].insert(state.nextSeat)
            state.byCaller[caller, default: 0] += 1
            defer { state.isTicking = true }
            return (state.nextSeat, !state.isTicking)
        }
        guard let number else {
            refused.add()
            throw WebProblem(
                status: 429, title: "Too many watch", detail: "ask for the status instead, or try again in a minute", headers: [("Retry-After", "60")]
            )
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
            state.byPayment[seat.payment]?.remove(number)
            if state.byPayment[seat.payment]?.isEmpty == true { state.byPayment[seat.payment] = nil }
            let others = state.byCaller[seat.caller, default: 1] - 1
            state.byCaller[seat.caller] = others > 0 ? others : nil
            return true
        }
        if left { watching.add(-1) }
    }

    // MARK: Telling

    /// Asks and tells until nobody watches.
    private func run() async {
        var failures = 0
        var isBehind = false
        while true {
            if !isBehind { try? await Task.sleep(for: failures == 0 ? limits.tick : limits.tick * 8) }
            guard let after = state.withLock({ Self.next(&$0) }) else { return }
            do {
                let moves = try await database.read { try PaymentMove.after(after, limit: Self.movesMax, in: $0) }
                failures = 0
                isBehind = moves.count == Self.movesMax
                tell(moves, after: after)
            } catch {
                // What was missed is told when SQL answers again.
                failures += 1
                isBehind = false
                if failures == 1 { log.warning("payments that are watched cannot be read", ["error": .string("\(error)")]) }
            }
            beat()
        }
    }

    /// From where to ask; nil ends the ticking.
    private static func next(_ state: inout State) -> Int64? {
        state.isTicking = !state.seats.isEmpty
        return state.isTicking ? state.told : nil
    }

    private func tell(_ moves: [PaymentMove], after: Int64) {
        guard let last = moves.last else { return }
        var sends: [(HTTPStream, [UInt8], isLast: Bool)] = []
        state.withLock { state in
            // Somebody came meanwhile whose moment lies further back.
            if state.told == after { state.told = last.number }
            for move in moves {
                guard let seats = state.byPayment[move.payment] else { continue }
                let bytes = StatusEvent(move).bytes
                for number in seats {
                    guard let seat = state.seats[number], seat.seen < move.number else { continue }
                    guard let stream = seat.stream else {
                        // Its first event is not out yet: this move waits for the next tick.
                        state.told = min(state.told, move.number - 1)
                        continue
                    }
                    state.seats[number]?.seen = move.number
                    sends.append((stream, bytes, move.state.endsWatching))
                }
            }
        }
        for (stream, bytes, isLast) in sends {
            stream.send(bytes)
            if isLast { stream.end() }
        }
    }

    /// Keeps streams alive, and ends those that have lasted long enough.
    private func beat() {
        let now = ContinuousClock.now
        let (beaten, ended) = state.withLock { state -> ([HTTPStream], [HTTPStream]) in
            guard state.beatAt + min(limits.heartbeat, limits.lifetime) <= now else { return ([], []) }
            state.beatAt = now
            let seats = state.seats.values
            return (seats.filter { $0.endsAt > now }.compactMap(\.stream), seats.filter { $0.endsAt <= now }.compactMap(\.stream))
        }
        let beat = Array(": \n\n".utf8)
        for stream in beaten { stream.send(beat) }
        for stream in ended { stream.end() }
    }
}

/// Where a payment stands, as one server-sent event; its id is the number of the move.
struct StatusEvent: Sendable {
    let bytes: [UInt8]

    init(_ move: PaymentMove) {
        let data: JSON = [
            "payment": .string(move.payment), "status": .string(move.state.rawValue), "final": .bool(move.state.endsWatching),
            "at": PaymentAnswer.time(move.atMs),
        ]
        bytes = Array("id: \(move.number)\nevent: status\ndata: \(data.text)\n\n".utf8)
    }
}

/// What a request is answered with.
enum WebAnswer: Sendable {
    case whole(HTTPResponse)
    /// Goes on until the payment has come to its end.
    case stream(StatusStream)

    var status: Int {
        switch self {
        case .whole(let response): response.status
        case .stream(let stream): stream.head.status
        }
    }

    /// The same with other headers.
    func with(_ change: (HTTPResponse) -> HTTPResponse) -> WebAnswer {
        switch self {
        case .whole(let response): return .whole(change(response))
        case .stream(var stream):
            stream.head = change(stream.head)
            return .stream(stream)
        }
    }

    func give(to responder: HTTPResponder) {
        switch self {
        case .whole(let response): responder.respond(response)
        case .stream(let stream): stream.begin(responder, stream.head)
        }
    }
}

/// A stream that is about to begin. Its place is taken already, and given back when the stream ends.
struct StatusStream: Sendable {
    var head: HTTPResponse
    let begin: @Sendable (HTTPResponder, HTTPResponse) -> Void
}
