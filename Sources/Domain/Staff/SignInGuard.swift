import Database

/// Lets nobody guess: each attempt counts before it is looked at, and after a few the next one waits, twice as long each time.
///
/// It counts by the name that is tried, whether there is such a user or not, and by the address that tries. What succeeds is forgotten; so is
/// everything after a quiet day.
enum SignInGuard {
    /// What is forgiven before the first wait.
    static let freeByName: Int64 = 5
    static let freeByAddress: Int64 = 25
    static let firstWaitMs: Int64 = 15_000
    /// Names can be locked by anybody: no longer than this.
    static let longestWaitMs: Int64 = 15 * 60_000
    static let memoryMs: Int64 = 24 * 60 * 60_000
    private static let sweptAtOnce: Int64 = 200

    /// Counts an attempt.
    /// - Throws: ``StaffError/locked(untilMs:)``; such an attempt is not counted, or whoever waits could never come in.
    static func begin(name: String, address: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "DELETE FROM staff_failures WHERE subject IN (SELECT subject FROM staff_failures WHERE last_at < $1 ORDER BY last_at LIMIT $2)",
            [.integer(nowMs - memoryMs), .integer(sweptAtOnce)])
        let subjects = [(byName(name), freeByName), (byAddress(address), freeByAddress)]
        for (subject, _) in subjects {
            let row = try connection.first("SELECT locked_until FROM staff_failures WHERE subject = $1", [.text(subject)])
            if let until = try row?.int("locked_until"), until > nowMs { throw StaffError.locked(untilMs: until) }
        }
        for (subject, free) in subjects {
            let row = try connection.first("SELECT failures FROM staff_failures WHERE subject = $1", [.text(subject)])
            let failures = (try row?.int("failures") ?? 0) + 1
            try connection.execute(
                """
                INSERT INTO staff_failures (subject, failures, last_at, locked_until) VALUES ($1, $2, $3, $4)
                ON CONFLICT (subject) DO UPDATE SET failures = $2, last_at = $3, locked_until = $4
                """, [.text(subject), .integer(failures), .integer(nowMs), .integer(nowMs + waitMs(failures: failures, free: free))])
        }
    }

    /// How long the attempt after so many waits.
    static func waitMs(failures: Int64, free: Int64) -> Int64 {
        guard failures >= free else { return 0 }
        return min(longestWaitMs, firstWaitMs << min(failures - free, 20))
    }

    /// Takes back what an attempt counted that was right; the ones before it stay.
    static func passed(name: String, address: String, in connection: Connection) throws {
        for subject in [byName(name), byAddress(address)] {
            try connection.execute(
                "UPDATE staff_failures SET failures = MAX(0, failures - 1), locked_until = 0 WHERE subject = $1", [.text(subject)])
        }
    }

    /// Forgets a name's failures: its owner came in.
    static func succeeded(name: String, address: String, in connection: Connection) throws {
        try passed(name: name, address: address, in: connection)
        try forget(name: name, in: connection)
    }

    static func forget(name: String, in connection: Connection) throws {
        try connection.execute("DELETE FROM staff_failures WHERE subject = $1", [.text(byName(name))])
    }

    private static func byName(_ name: String) -> String { "name:\(name.prefix(80))" }
    private static func byAddress(_ address: String) -> String { "address:\(address.prefix(60))" }
}
