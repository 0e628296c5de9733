import EventLoop
import Formats
import Synchronization
import Telemetry

/// One pipelined connection to Redis, on one loop, that comes back by itself for as long as it is not closed.
///
/// On the loop's thread commands are sent without a hop and their replies come as calls (``send(_:timeout:_:)``,
/// ``run(_:timeout:_:)``); all commands of one turn of the loop go out in one write. From anywhere else there is the waiting form
/// (``call(_:_:timeout:)``, ``run(_:keys:arguments:timeout:)``).
///
/// A command fails after its time-out; the connection lives on and the late reply is dropped in its place. When nothing has come for
/// `stuckLimit` behind a timed-out command, the connection is torn down and made anew. Commands sent while there is no connection fail at
/// once, unless `waitsForConnection` is set: then they wait within their time-out.
///
/// A connection for blocking reads (`purpose: .blocking`) carries one command at a time and is never shared. A connection that was
/// started stays alive until ``close()``, which comes before its loop is stopped.
///
/// With TLS (`rediss://`) certificates and keys are read at each connection, so that renewed ones need no restart; what is wrong with
/// them is told by ``lastError`` and, before a program starts, by ``refusal(of:)``.
///
/// `@unchecked Sendable`: mutable state is touched on the loop's thread only, which each entry checks, except `published`, behind its Mutex.
public final class RedisConnection: @unchecked Sendable {
    public enum Purpose: Sendable {
        /// Pipelined commands of any number of callers.
        case shared
        /// One blocking read (BLPOP, BLMOVE, …) at a time.
        case blocking
    }

    /// What a connection that has just been made is.
    public struct Connected: Sendable, Equatable {
        /// 1 for the first connection, one more each time.
        public let generation: Int
        /// Redis' `run_id`, different after each start of the server. Nil when the user may not ask.
        public let runID: String?
        /// Another server process than at the connection before, as far as can be known: it may have lost what it had not kept.
        public let isOtherRun: Bool
    }

    struct Published {
        var connected: Connected?
        var isConnected = false
        var lastError: RedisError?
    }

    /// Where a connection stands. Each case with a link owns the link.
    enum Phase {
        case idle
        case resolving
        case connecting(RedisLink, rest: [RedisEndpoint])
        case greeting(RedisLink)
        case ready(RedisLink)
        case pausing
        case closed(RedisError)
    }

    /// Commands that may wait for a connection; one beyond is refused.
    static let waitingMax = 100_000

    public let loop: EventLoop
    public let address: RedisAddress
    public let name: String
    /// How long a command may take unless it says otherwise.
    public let timeout: Duration
    public let purpose: Purpose
    let waitsForConnection: Bool
    let stuckLimit: Duration
    let log: Log
    let published = Mutex(Published())

    var phase = Phase.idle
    var backoff = Backoff()
    var attemptTimer: LoopTimer?
    var pauseTimer: LoopTimer?
    var lookupIsUnderWay = false
    var wasReported = false
    /// What the log was told needs somebody's hands.
    var reportedMending: RedisError.Kind?
    var connectObservers: [(Connected) -> Void] = []
    var disconnectObservers: [(RedisError) -> Void] = []
    var waiting: [WaitingCommand] = []
    var waitingTimer: LoopTimer?
    var waitingTimerDeadline = Int64.max
    var refused: [(RedisReplyHandler, RedisError)] = []
    var waiters: [UInt64: ConnectionWaiter] = [:]
    var waitersMade: UInt64 = 0

    /// Makes a connection that is not yet started.
    /// - Parameters:
    ///   - name: shown by Redis' CLIENT LIST.
    ///   - stuckLimit: silence behind a timed-out command after which the connection is made anew; three time-outs unless given.
    public init(
        loop: EventLoop, address: RedisAddress, name: String, timeout: Duration = .seconds(2), purpose: Purpose = .shared,
        waitsForConnection: Bool = false, stuckLimit: Duration? = nil, log: Log = Log("redis")
    ) {
        precondition(timeout > .zero, "a command's time-out is positive")
        self.loop = loop
        self.address = address
        self.name = name
        self.timeout = timeout
        self.purpose = purpose
        self.waitsForConnection = waitsForConnection
        self.stuckLimit = stuckLimit ?? timeout * 3
        self.log = log
    }

    /// Why this address cannot be used; nil when it can. To be asked before a program starts.
    public static func refusal(of address: RedisAddress) -> RedisError? {
        guard let tls = address.tls else { return nil }
        do throws(RedisError) {
            _ = try TLSSession(tls, host: address.host)
            return nil
        } catch {
            return error
        }
    }

    /// Begins to connect, and keeps at it until ``close()``. From any thread; once.
    public func start() { onLoop { $0.begin() } }

    /// Ends the connection for good: what is under way fails as closed. From any thread.
    public func close() { onLoop { $0.end(RedisError(.closed, "the connection is closed", mayHaveBeenExecuted: false)) } }

    // MARK: State

    /// Whether commands can be sent now, as far as is known. From any thread.
    public var isConnected: Bool { published.withLock(\.isConnected) }
    /// The present connection, or the last one while there is none. From any thread.
    public var lastConnected: Connected? { published.withLock(\.connected) }
    /// The `run_id` of the server last connected to. From any thread.
    public var runID: String? { lastConnected?.runID }
    /// How many connections have been made. From any thread.
    public var generation: Int { lastConnected?.generation ?? 0 }
    /// Why the last attempt or connection ended; nil once connected. From any thread.
    public var lastError: RedisError? { published.withLock(\.lastError) }

    /// Whether Redis is silent behind a command that has timed out: what is sent now is likely to time out too. On the loop only.
    public var isStalled: Bool {
        loop.preconditionOnLoop()
        return if case .ready(let link) = phase { link.isStalled } else { false }
    }

    /// Calls `body`, on the loop, at each new connection before any waiting command is sent; at once when there is one already.
    public func onConnect(_ body: @escaping @Sendable (Connected) -> Void) {
        onLoop { connection in
            connection.connectObservers.append(body)
            if case .ready = connection.phase, let connected = connection.lastConnected { body(connected) }
        }
    }

    /// Calls `body`, on the loop, each time an established connection is lost, before the commands under way fail.
    public func onDisconnect(_ body: @escaping @Sendable (RedisError) -> Void) {
        onLoop { $0.disconnectObservers.append(body) }
    }

    // MARK: Commands, on the loop

    /// Sends a command. On the loop only; `reply` is called on it exactly once, later, never within this call.
    /// - Parameter timeout: the connection's unless given.
    public func send(_ command: RedisCommand, timeout: Duration? = nil, _ reply: @escaping RedisReplyHandler) {
        loop.preconditionOnLoop()
        let now = Monotonic.nanoseconds
        let deadline = now + (timeout ?? self.timeout).nanoseconds
        guard case .ready(let link) = phase else { return hold(command, deadline: deadline, reply) }
        precondition(purpose == .shared || link.isIdle, "a connection for blocking reads carries one command at a time")
        guard link.submit(command, now: now, deadline: deadline, reply) else { return refuse(reply, .tooMuchWaits) }
    }

    /// Runs a script by its SHA, and by its source when Redis does not have it. On the loop only. In the second case the script runs after
    /// commands that were sent behind it.
    public func run(_ call: RedisScriptCall, timeout: Duration? = nil, _ reply: @escaping RedisReplyHandler) {
        send(call.bySHA, timeout: timeout) { [self] result in
            if case .failure(let error) = result, error.serverCode == "NOSCRIPT" {
                send(call.bySource, timeout: timeout, reply)
            } else {
                reply(result)
            }
        }
    }

    /// Runs `body` on the loop: now when the caller is there.
    func onLoop(_ body: @escaping @Sendable (RedisConnection) -> Void) {
        if loop.isOnLoop { body(self) } else { loop.execute { body(self) } }
    }
}

extension RedisError {
    static let tooMuchWaits = RedisError(.overloaded, "too much waits to be sent already", mayHaveBeenExecuted: false)
}
