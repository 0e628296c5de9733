import Formats

/// Where a body stands on its queue.
public enum QueuePlace: Sendable, Hashable {
    /// In a worker's hands.
    case claimed(worker: String)
    /// Set aside for a worker that waits.
    case woken(worker: String)
    /// In the list of a key whose slots are all taken.
    case waiting(key: String)
    /// Put aside while its kind is paused.
    case parked(kind: String)
    case delayed
    case ready
    /// Off this queue and not on the other one yet. Whoever moves it, or else a worker of either queue, ends that within seconds.
    case moving
    case dead

    public var state: JobLifecycle.State {
        switch self {
        case .claimed: .claimed
        case .woken: .woken
        case .waiting: .waiting
        case .parked: .parked
        case .delayed: .delayed
        case .ready: .ready
        case .moving: .moving
        case .dead: .dead
        }
    }
}

/// A body, and where it stood when somebody looked.
public struct StandingBody: Sendable, Equatable {
    public let place: QueuePlace
    public let body: [UInt8]
    /// When it is due, or is due at the earliest; nil at once.
    public let dueMs: Int64?
    /// What the driver finds it by.
    package let member: [UInt8]

    package init(place: QueuePlace, body: [UInt8], dueMs: Int64? = nil, member: [UInt8]) {
        self.place = place
        self.body = body
        self.dueMs = dueMs
        self.member = member
    }

    /// The job; nil when the body is none.
    public var job: JobEnvelope? { try? JobEnvelope(decoding: body) }

    /// What is known of its burial; nil when it is not dead.
    public var record: DeadRecord? { place == .dead ? DeadRecord(bytes: member) : nil }
}

/// Some of the bodies of one place.
public struct StandingPage: Sendable {
    public let bodies: [StandingBody]
    /// Where the next page begins; nil when there is none.
    public let next: Int?

    package init(bodies: [StandingBody], next: Int?) {
        self.bodies = bodies
        self.next = next
    }
}

/// The order in which a place is looked through.
public enum StandingOrder: Sendable {
    /// As its bodies come to be claimed; of the dead, the latest first.
    case next
    /// So that nothing is passed over that stays in the place while others come and go. Something may be seen twice.
    case complete
}

/// What an operator does with the bodies of a queue, wherever they stand. Workers go on meanwhile: what was seen may have moved on, and
/// is then left alone.
public protocol QueueOperating: Sendable {
    var queue: String { get }

    /// The places where something may stand, the dead set left out: each before those that a body can come to from it without
    /// being claimed.
    func places() async throws(QueueDriverError) -> [QueuePlace]

    /// Bodies of one place, of which each holds `text`; any when it is empty.
    /// - Parameters:
    ///   - offset: 0, or ``StandingPage/next`` of the page before.
    ///   - limit: bodies looked at, whether they hold the text or not.
    func standing(
        in place: QueuePlace, order: StandingOrder, from offset: Int, limit: Int, holding text: [UInt8]
    ) async throws(QueueDriverError) -> StandingPage

    /// Takes a body off the queue that stands where it was seen, all copies of it; what is in a worker's hands, or dead, is not touched.
    /// Its keys are let go, and so is its history, which the ending keeps.
    /// - Returns: false when it was not there (any more).
    func remove(_ standing: StandingBody, ending: JobEnding?) async throws(QueueDriverError) -> Bool

    /// Puts a delayed body at the head of the queue.
    /// - Returns: false when it was not delayed (any more).
    func hasten(_ standing: StandingBody) async throws(QueueDriverError) -> Bool

    /// Marks a job as cancelled, for 24 hours: whoever has it in hand or claims it is told.
    func mark(cancelled job: String) async throws(QueueDriverError)

    /// Takes the mark back.
    /// - Returns: false when there was none (any more).
    @discardableResult
    func unmark(cancelled job: String) async throws(QueueDriverError) -> Bool

    func isMarked(cancelled job: String) async throws(QueueDriverError) -> Bool

    /// Takes a body off the queue, its keys let go, and keeps it as on its way to another.
    /// - Returns: nil when it was not there (any more).
    func depart(_ standing: StandingBody, to queue: String) async throws(QueueDriverError) -> Departure?

    /// Puts on this queue what has departed from another one, once however often it is asked.
    /// - Returns: false when it was here before.
    @discardableResult
    func arrive(_ departure: Departure) async throws(QueueDriverError) -> Bool

    /// Forgets what has departed from this queue and has arrived at the other.
    func forget(_ departure: Departure) async throws(QueueDriverError)

    /// Remembers how far a claimed job has come.
    /// - Returns: false when the claim is gone.
    @discardableResult
    func tell(_ progress: JobProgress, of job: String, claimed token: ClaimToken, by worker: WorkerIdentity) async throws(QueueDriverError) -> Bool

    /// What is remembered of a job: how far it has come, and its end.
    func report(ofJob id: String) async throws(QueueDriverError) -> JobReport?
}

extension QueueOperating {
    /// Bodies looked at in one call of a search.
    private static var page: Int { 2000 }

    /// Looks for a job from place to place: nothing that is on the queue all the while is passed over, unless it is claimed meanwhile.
    package func find(job id: String, in places: [QueuePlace]) async throws(QueueDriverError) -> StandingBody? {
        let text = JSON.string(id).bytes
        for place in places {
            var offset: Int? = 0
            while let from = offset {
                let page = try await standing(in: place, order: .complete, from: from, limit: Self.page, holding: text)
                if let found = page.bodies.first(where: { ($0.record?.job ?? $0.job?.id) == id }) { return found }
                offset = page.next
            }
        }
        return nil
    }

    /// Where a job stands, the dead set included; nil when it is nowhere.
    public func find(job id: String) async throws(QueueDriverError) -> StandingBody? {
        if let found = try await find(job: id, in: try await places()) { return found }
        // What was claimed while the others were looked through.
        let hands = try await places().filter { [.claimed, .woken].contains($0.state) }
        return try await find(job: id, in: hands + [.dead])
    }
}
