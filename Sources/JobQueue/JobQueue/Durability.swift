/// What is promised of a job once putting it on its queue has returned.
public enum Durability: Int, Sendable, Comparable, CaseIterable {
    /// It is in the server's memory: a crash of any worker or producer loses nothing, one of the server may lose what it had not yet
    /// written. The server never throws jobs away to make room.
    case memory
    /// It is on stable storage: the server has synced it before it answered.
    case fsync

    public static func < (left: Durability, right: Durability) -> Bool { left.rawValue < right.rawValue }
}

/// Queues that can say whether their server is configured for what is promised.
public protocol DurabilityChecking: QueueDirectory {
    /// - Throws: when the server is configured otherwise, or will not say.
    func require(_ level: Durability) async throws(DurabilityError)
}

/// The queue server is not configured for the level that is asked for.
public struct DurabilityError: Error, Equatable, CustomStringConvertible {
    public let level: Durability
    /// What is wrong, each with its remedy.
    public let problems: [String]
    /// Whether asking again later may help: the server did not answer.
    public let isTransient: Bool

    public init(level: Durability, problems: [String], isTransient: Bool = false) {
        self.level = level
        self.problems = problems
        self.isTransient = isTransient
    }

    public var description: String { "the queues do not keep jobs as .\(level) promises: " + problems.joined(separator: "; ") }
}

extension InMemoryQueues: DurabilityChecking {
    public func require(_ level: Durability) async throws(DurabilityError) {
        if level > .memory { throw DurabilityError(level: level, problems: ["queues in memory keep nothing on disk: use JobQueueRedis"]) }
    }
}
