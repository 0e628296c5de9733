import Formats
import JobQueue
import JobQueueRedis
import Operating

extension ProductQueues {
    /// - Throws: ``UsageError`` for a queue that is none.
    static func check(_ name: String) throws(UsageError) {
        guard names.contains(name) else { throw UsageError("there is no queue '\(name)'; the queues are \(names.joined(separator: ", "))") }
    }

    /// One queue by its name, or all.
    /// - Throws: ``UsageError`` for a queue that is none.
    static func named(_ name: String?) throws(UsageError) -> [String] {
        guard let name else { return names }
        try check(name)
        return [name]
    }

    static func listing(_ queues: RedisQueues) async throws -> Listing {
        var listing = Listing(
            ["queue", .number("ready"), .number("delayed"), .number("in_flight"), .number("dead"), .number("workers")], none: "There are no queues.")
        for name in names {
            let counts = try await queues.redisDriver(of: name).counts()
            let numbers = [counts.ready, counts.delayed, counts.inFlight, counts.dead, counts.workers].map { JSON.int(Int64($0)) }
            listing.add(.string(name), numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
        }
        return listing
    }
}
