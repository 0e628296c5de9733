/// Receives a command's outcome, on the connection's loop, exactly once.
public typealias RedisReplyHandler = (Result<RedisValue, RedisError>) -> Void

/// A command whose reply has not come yet.
struct PendingCommand {
    /// Nil once the command has failed: its late reply then only keeps its place.
    var handler: RedisReplyHandler?
    /// In nanoseconds of ``Monotonic``.
    let deadline: Int64
    /// How many bytes must have been handed to the system before Redis can have this command whole.
    let end: UInt64
}

/// The commands under way, in the order of their replies.
struct PendingCommands {
    private var items: [PendingCommand] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { head == items.count }
    var first: PendingCommand? { isEmpty ? nil : items[head] }

    mutating func append(_ command: PendingCommand) { items.append(command) }

    mutating func popFirst() -> PendingCommand? {
        guard head < items.count else { return nil }
        let command = items[head]
        // Whatever the handler holds goes with it, not with the next clearing.
        items[head].handler = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.count <= 65536)
            head = 0
        } else if head >= 1024 && head * 2 > items.count {
            items.removeSubrange(..<head)
            head = 0
        }
        return command
    }

    /// Takes the handlers of all commands whose deadline has passed; their places stay.
    mutating func expire(now: Int64) -> (handlers: [RedisReplyHandler], nextDeadline: Int64) {
        var handlers: [RedisReplyHandler] = []
        var next = Int64.max
        for index in head..<items.count {
            guard let handler = items[index].handler else { continue }
            if items[index].deadline <= now {
                handlers.append(handler)
                items[index].handler = nil
            } else {
                next = min(next, items[index].deadline)
            }
        }
        return (handlers, next)
    }

    mutating func takeAll() -> ArraySlice<PendingCommand> {
        defer {
            items = []
            head = 0
        }
        return items[head...]
    }
}
