import Database

/// The record that somebody's personal data was erased. It does not say whose: that would be what was to go.
public struct Erasure: Sendable, Equatable {
    public let atMs: Int64
    public let actor: String
    public let payments: Int
    public let rows: Int
    public let files: Int

    public init(atMs: Int64, actor: String, payments: Int, rows: Int, files: Int) {
        self.atMs = atMs
        self.actor = actor
        self.payments = payments
        self.rows = rows
        self.files = files
    }

    /// Enters it, in the transaction that erases.
    public func record(in connection: Connection) throws {
        try connection.execute(
            "INSERT INTO access_erasures (at, actor, payments, changed_rows, files) VALUES ($1, $2, $3, $4, $5)",
            [.integer(atMs), .text(actor), .int(payments), .int(rows), .int(files)])
    }

    /// All of them, oldest first.
    public static func list(in connection: Connection) throws -> [Erasure] {
        try connection.query("SELECT * FROM access_erasures ORDER BY id").map { row in
            Erasure(
                atMs: try row.int("at"), actor: try row.text("actor"), payments: Int(try row.int("payments")), rows: Int(try row.int("changed_rows")),
                files: Int(try row.int("files")))
        }
    }
}
