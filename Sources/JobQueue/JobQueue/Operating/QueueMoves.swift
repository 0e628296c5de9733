import Formats

/// A body on its way from one queue to another.
public struct Departure: Sendable, Equatable {
    /// Made when it departs, the same however often its arrival is tried.
    public let number: String
    public let origin: String
    public let destination: String
    public let job: String
    /// As it is to stand on the other queue.
    public let body: [UInt8]
    public let dueMs: Int64?
    /// Its failed attempts.
    public let history: [HistoryEntry]

    package init(
        number: String, origin: String, destination: String, job: String, body: [UInt8], dueMs: Int64?, history: [HistoryEntry]
    ) {
        self.number = number
        self.origin = origin
        self.destination = destination
        self.job = job
        self.body = body
        self.dueMs = dueMs
        self.history = history
    }
}

extension QueueDirectory {
    /// Moves a body to another queue of the same server, with its due time and its history. It passes its keys there anew.
    ///
    /// It is off the first queue before it is on the other, and kept meanwhile: when the mover dies between the two, a worker of either
    /// queue ends the move. A number makes sure that it arrives once.
    /// - Returns: false when it was not there (any more), is in a worker's hands, or is no job.
    public func move(_ standing: StandingBody, from origin: String, to destination: String) async throws(QueueDriverError) -> Bool {
        guard origin != destination else { return false }
        let (from, to) = (driver(of: origin), driver(of: destination))
        guard let departure = try await from.depart(standing, to: destination) else { return false }
        try await to.arrive(departure)
        try await from.forget(departure)
        return true
    }
}

extension JobEnvelope {
    /// The same job on another queue, where it has not passed its keys yet.
    package func moved(to queue: String) -> JobEnvelope {
        var moved = self
        moved.queue = queue
        moved.admitted = .no
        return moved
    }
}
