import EventLoop
import Synchronization

/// The one answer that a request is owed. It may be given at once or later, from any thread; a client that has gone
/// meanwhile is no error. When the last copy goes away without an answer, the client gets 500.
public struct HTTPResponder: Sendable {
    let exchange: Exchange

    /// The loop that serves the request. An answer given on it takes neither lock nor thread hop.
    public var loop: EventLoop { exchange.connection.lane.loop }

    /// Answers the request. Only the first call counts.
    public func respond(_ response: HTTPResponse) { exchange.respond(response) }

    /// Ends the connection without an answer, as a peer does that breaks down. Like an answer it counts only when it is the first.
    public func hangUp() { exchange.hangUp() }
}

/// One request under way: watches over "exactly one answer". The connection does not hold it, so that its end is noticed.
final class Exchange: Sendable {
    let connection: Connection
    let number: UInt64
    private let answered = Atomic<Bool>(false)

    init(connection: Connection, number: UInt64) {
        self.connection = connection
        self.number = number
    }

    deinit {
        guard !answered.load(ordering: .acquiring) else { return }
        let (connection, number) = (connection, number)
        connection.lane.loop.execute {
            connection.answer(.problem(500, ReasonPhrase.text(for: 500), detail: "the request was dropped without an answer"), to: number)
        }
    }

    func respond(_ response: HTTPResponse) {
        guard claim() else { return }
        let (connection, number) = (connection, number)
        if connection.lane.loop.isOnLoop {
            connection.answer(response, to: number)
        } else {
            connection.lane.loop.execute { connection.answer(response, to: number) }
        }
    }

    func hangUp() {
        guard claim() else { return }
        let (connection, number) = (connection, number)
        // Never at once: the request may still be in the middle of being read.
        connection.lane.loop.execute { connection.hangUp(on: number) }
    }

    /// Whether this is the first answer, which alone counts.
    func claim() -> Bool { !answered.exchange(true, ordering: .acquiringAndReleasing) }

    func more() {
        let (connection, number) = (connection, number)
        if connection.lane.loop.isOnLoop {
            connection.continueUpload(number)
        } else {
            connection.lane.loop.execute { connection.continueUpload(number) }
        }
    }
}
