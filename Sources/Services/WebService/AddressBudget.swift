import Synchronization

/// How much each address, or whatever else has a name, may do in a span of time. What does not fit into memory is forgotten, never refused.
final class AddressBudget: Sendable {
    static let addressesMax = 20_000

    private struct Span {
        var number: Int64 = -1
        var used: [String: Int] = [:]
    }

    private let limit: Int
    private let spanMs: Int64
    private let span = Mutex(Span())

    /// - Parameter limit: 0 for any number.
    init(limit: Int, spanMs: Int64 = 60_000) {
        self.limit = limit == 0 ? .max : limit
        self.spanMs = spanMs
    }

    /// - Returns: false when the address has used its span up.
    func take(_ address: String, nowMs: Int64) -> Bool {
        span.withLock { span in
            turn(&span, nowMs)
            let used = span.used[address, default: 0]
            guard used < limit else { return false }
            if used > 0 || span.used.count < Self.addressesMax { span.used[address] = used + 1 }
            return true
        }
    }

    func hasRoom(_ address: String, nowMs: Int64) -> Bool {
        span.withLock { span in
            turn(&span, nowMs)
            return span.used[address, default: 0] < limit
        }
    }

    private func turn(_ span: inout Span, _ nowMs: Int64) {
        let number = nowMs / spanMs
        if span.number != number { span = Span(number: number) }
    }
}
