import Cryptography
import Database

/// Calls that name an idempotency key: carried out once per API key and idempotency key; a repeat gets the first answer.
/// Everything runs in the caller's transaction.
public enum IdempotentCalls {
    /// A run that has not answered after this long is taken for dead, and its call may be carried out again.
    public static let takeOverAfterMs: Int64 = 60_000
    /// How long answers are kept.
    public static let keepForMs: Int64 = 48 * 60 * 60_000
    public static let keyLimit = 200

    /// An answer as it was given.
    public struct Answer: Sendable, Equatable {
        public let status: Int
        public let contentType: String
        public let body: [UInt8]

        public init(status: Int, contentType: String, body: [UInt8]) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }
    }

    /// The right to carry a call out.
    public struct Claim: Sendable, Equatable {
        public let apiKey: String
        public let key: String
        let run: Int64
        /// What an earlier run, which died, had already made for this call.
        public let made: String?
    }

    public enum Verdict: Sendable, Equatable {
        /// It is the caller's to carry out, then to ``finish(_:with:nowMs:in:)`` or ``release(_:in:)``.
        case proceed(Claim)
        case finished(Answer)
        /// The first call has not been answered yet.
        case running
        /// The key was used for another request.
        case otherRequest
    }

    /// Whether a key can be one: 1 to ``keyLimit`` visible ASCII characters.
    public static func isKey(_ text: String) -> Bool {
        (1...keyLimit).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// What identifies a request: method, path and the exact body.
    public static func digest(method: String, path: String, body: [UInt8]) -> [UInt8] {
        Digest.sha256(Array("\(method) \(path)\n".utf8) + body)
    }

    /// Claims a call, or says why it is not to be carried out.
    public static func begin(
        apiKey: String, key: String, requestDigest: [UInt8], nowMs: Int64, in connection: Connection
    ) throws -> Verdict {
        let entered = try connection.execute(
            """
            INSERT INTO access_calls (api_key, idempotency_key, request_digest, state, run, started_at) VALUES ($1, $2, $3, 'running', 1, $4)
            ON CONFLICT (api_key, idempotency_key) DO NOTHING
            """, [.text(apiKey), .text(key), .blob(requestDigest), .integer(nowMs)])
        if entered == 1 { return .proceed(Claim(apiKey: apiKey, key: key, run: 1, made: nil)) }
        guard
            let row = try connection.first(
                "SELECT * FROM access_calls WHERE api_key = $1 AND idempotency_key = $2", [.text(apiKey), .text(key)])
        else { return .running }
        guard try row.blob("request_digest") == requestDigest else { return .otherRequest }
        if try row.text("state") == "finished" {
            return .finished(
                Answer(status: Int(try row.int("status")), contentType: try row.text("content_type"), body: try row.blob("body")))
        }
        guard nowMs - (try row.int("started_at")) >= takeOverAfterMs else { return .running }
        let run = try row.int("run") + 1
        try connection.execute(
            "UPDATE access_calls SET run = $3, started_at = $4 WHERE api_key = $1 AND idempotency_key = $2",
            [.text(apiKey), .text(key), .integer(run), .integer(nowMs)])
        return .proceed(Claim(apiKey: apiKey, key: key, run: run, made: try row.textOrNil("made")))
    }

    /// Notes what the call has made, in the transaction that makes it.
    /// - Returns: false when the claim was taken over meanwhile: whoever took over goes on, and nothing may be made.
    public static func note(_ made: String, for claim: Claim, in connection: Connection) throws -> Bool {
        try connection.execute(
            "UPDATE access_calls SET made = $4 WHERE api_key = $1 AND idempotency_key = $2 AND run = $3 AND state = 'running'",
            bindings(claim) + [.text(made)]) == 1
    }

    /// Keeps the answer for repeats. A claim that was taken over meanwhile keeps nothing.
    public static func finish(_ claim: Claim, with answer: Answer, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            UPDATE access_calls SET state = 'finished', status = $4, content_type = $5, body = $6, finished_at = $7
            WHERE api_key = $1 AND idempotency_key = $2 AND run = $3 AND state = 'running'
            """,
            bindings(claim) + [.int(answer.status), .text(answer.contentType), .blob(answer.body), .integer(nowMs)])
    }

    /// Gives the key back: nothing was carried out, so the same call may be tried again.
    public static func release(_ claim: Claim, in connection: Connection) throws {
        try connection.execute(
            "DELETE FROM access_calls WHERE api_key = $1 AND idempotency_key = $2 AND run = $3 AND state = 'running'", bindings(claim))
    }

    /// Gives the key back for the time being: the same call may come again at once and goes on with what it has made.
    public static func suspend(_ claim: Claim, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE access_calls SET started_at = $4 WHERE api_key = $1 AND idempotency_key = $2 AND run = $3 AND state = 'running'",
            bindings(claim) + [.integer(nowMs - takeOverAfterMs)])
    }

    /// Removes what is older than ``keepForMs``; at most `limit` a call.
    /// - Returns: how many were removed.
    @discardableResult
    public static func purge(nowMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            """
            DELETE FROM access_calls WHERE rowid IN
              (SELECT rowid FROM access_calls WHERE started_at < $1 ORDER BY started_at LIMIT $2)
            """, [.integer(nowMs - keepForMs), .int(limit)])
    }

    private static func bindings(_ claim: Claim) -> [SQLValue] { [.text(claim.apiKey), .text(claim.key), .integer(claim.run)] }
}
