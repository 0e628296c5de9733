import Database
import Formats

/// Lets nobody guess: each attempt counts before it is looked at, and after a few the next one waits, twice as long each time.
///
/// What somebody who is signed in says once more of their password counts by a subject of its own instead of the loose one: strangers cannot fill
/// it, and whoever has a stolen session cannot go from network to network.
///
/// It counts strictly by a name together with the network that tries it, by the network alone, and loosely by the name alone, whether there is
/// such a user or not. The loose count is for guesses that come from many networks at once. It never keeps out a network from which the user
/// signed in of late: a stranger who goes on failing locks a name for strangers, not for its owner. What nobody tries for a day is forgotten.
enum SignInGuard {
    /// What is forgiven before the first wait: of a name from one network, of one network, of a name from all the networks that it is not known in.
    static let freeByPair: Int64 = 5
    static let freeByNetwork: Int64 = 25
    static let freeByName: Int64 = 50
    /// Of a name within its sessions, from all networks.
    static let freeBySession: Int64 = 10
    static let firstWaitMs: Int64 = 15_000
    /// Names can be locked by anybody: no longer than this.
    static let longestWaitMs: Int64 = 15 * 60_000
    static let memoryMs: Int64 = 24 * 60 * 60_000
    /// How long a network is known by a sign-in that succeeded.
    static let knownMs: Int64 = 30 * 24 * 60 * 60_000
    private static let sweptAtOnce: Int64 = 200
    /// Rows of somebody's audit that are looked through for their sign-ins.
    private static let deedsMax: Int64 = 2000

    /// Who tries, and from where.
    struct Try {
        let name: String
        let network: String
        /// Somebody who is signed in: the name is theirs, wherever they are by now.
        var isSignedIn = false
    }

    /// Counts an attempt.
    /// - Throws: ``StaffError/locked(untilMs:)``; such an attempt is not counted, or whoever waits could never come in.
    static func begin(_ attempt: Try, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "DELETE FROM staff_failures WHERE subject IN (SELECT subject FROM staff_failures WHERE last_at < $1 ORDER BY last_at LIMIT $2)",
            [.integer(nowMs - memoryMs), .integer(sweptAtOnce)])
        let strict = [(byPair(attempt), freeByPair), (byNetwork(attempt.network), freeByNetwork)]
        for (subject, _) in strict { try checkLock(subject, nowMs: nowMs, in: connection) }
        let loose = try loose(attempt, nowMs: nowMs, in: connection)
        for (subject, _) in loose { try checkLock(subject, nowMs: nowMs, in: connection) }
        for (subject, free) in strict + loose {
            let row = try connection.first("SELECT failures FROM staff_failures WHERE subject = $1", [.text(subject)])
            let failures = (try row?.int("failures") ?? 0) + 1
            try connection.execute(
                """
                INSERT INTO staff_failures (subject, failures, last_at, locked_until) VALUES ($1, $2, $3, $4)
                ON CONFLICT (subject) DO UPDATE SET failures = $2, last_at = $3, locked_until = $4
                """, [.text(subject), .integer(failures), .integer(nowMs), .integer(nowMs + waitMs(failures: failures, free: free))])
        }
    }

    /// What counts from all networks.
    private static func loose(_ attempt: Try, nowMs: Int64, in connection: Connection) throws -> [(String, Int64)] {
        if attempt.isSignedIn { return [(bySession(attempt.name), freeBySession)] }
        return try isKnown(attempt, nowMs: nowMs, in: connection) ? [] : [(byName(attempt.name), freeByName)]
    }

    private static func checkLock(_ subject: String, nowMs: Int64, in connection: Connection) throws {
        let row = try connection.first("SELECT locked_until FROM staff_failures WHERE subject = $1", [.text(subject)])
        if let until = try row?.int("locked_until"), until > nowMs { throw StaffError.locked(untilMs: until) }
    }

    /// How long the attempt after so many waits.
    static func waitMs(failures: Int64, free: Int64) -> Int64 {
        guard failures >= free else { return 0 }
        return min(longestWaitMs, firstWaitMs << min(failures - free, 20))
    }

    /// Takes back what an attempt counted that was right; the ones before it stay.
    static func passed(_ attempt: Try, nowMs: Int64, in connection: Connection) throws {
        // Where it is known nothing was counted by the name, and what strangers did to it stands.
        let loose = try loose(attempt, nowMs: nowMs, in: connection).map(\.0)
        for subject in [byPair(attempt), byNetwork(attempt.network)] + loose {
            try connection.execute(
                "UPDATE staff_failures SET failures = MAX(0, failures - 1), locked_until = 0 WHERE subject = $1", [.text(subject)])
        }
    }

    /// Forgets what failed of a name where it came in at last; to be called before the sign-in is recorded. What failed elsewhere stays, or every
    /// sign-in of its owner would let others guess anew.
    static func succeeded(_ attempt: Try, nowMs: Int64, in connection: Connection) throws {
        try passed(attempt, nowMs: nowMs, in: connection)
        try connection.execute("DELETE FROM staff_failures WHERE subject = $1", [.text(byPair(attempt))])
    }

    /// Forgets all that failed of a name: it has another password.
    static func forget(name: String, in connection: Connection) throws {
        // All pairs of the name: a blank is followed by `!`.
        let name = shortened(name)
        try connection.execute(
            "DELETE FROM staff_failures WHERE subject IN ($1, $4) OR (subject >= $2 AND subject < $3)",
            [.text(byName(name)), .text("pair:\(name) "), .text("pair:\(name)!"), .text(bySession(name))])
    }

    /// Whether the name's user signed in from this network within the last days.
    private static func isKnown(_ attempt: Try, nowMs: Int64, in connection: Connection) throws -> Bool {
        let rows = try connection.query(
            """
            SELECT DISTINCT address FROM (SELECT at, action, address FROM staff_audit WHERE actor = $1 ORDER BY id DESC LIMIT $2)
            WHERE action = '\(StaffAudit.signIn)' AND at > $3 AND address IS NOT NULL
            """, [.text("staff:\(attempt.name)"), .integer(deedsMax), .integer(nowMs - knownMs)])
        return try rows.contains { row in
            let address = try row.text("address")
            return (IPAddress(parsing: address)?.network ?? address) == attempt.network
        }
    }

    private static func byPair(_ attempt: Try) -> String { "pair:\(shortened(attempt.name)) \(attempt.network.prefix(60))" }
    private static func byName(_ name: String) -> String { "name:\(shortened(name))" }
    private static func bySession(_ name: String) -> String { "session:\(shortened(name))" }
    private static func byNetwork(_ network: String) -> String { "address:\(network.prefix(60))" }
    private static func shortened(_ name: String) -> String { String(name.prefix(80)) }
}
