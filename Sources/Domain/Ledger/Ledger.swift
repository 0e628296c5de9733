import Database
import Formats
import Money

/// The double-entry ledger: every movement of money is one row that debits one account and credits another by the same
/// amount in the same currency. Rows are never changed or removed; a mistake is corrected by a further entry.
public enum Ledger {
    public static let migrations = MigrationSet(
        room: "ledger",
        migrations: [Migration(number: 1, name: "entries", sqlite: String(decoding: PackageResources._001_entries_sqlite_sql, as: UTF8.self))])

    /// Posts an entry once: a second entry with the same source key changes nothing.
    /// - Returns: whether the entry is new.
    @discardableResult
    public static func post(_ entry: LedgerEntry, in connection: Connection) throws -> Bool {
        precondition(entry.amount.isPositive, "a ledger entry moves a positive amount; swap the accounts instead")
        return try connection.execute(
            """
            INSERT INTO ledger_entries (at, debit, credit, amount, currency, payment, memo, source_key)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (source_key) DO NOTHING
            """,
            [
                .integer(entry.atMs), .text(entry.debit.code), .text(entry.credit.code), .integer(entry.amount.minorUnits),
                .text(entry.amount.currency.code), .text(entry.payment), .text(entry.memo), .text(entry.sourceKey),
            ]) == 1
    }

    /// The entries of one payment, oldest first.
    public static func entries(of payment: String, in connection: Connection) throws -> [LedgerEntry] {
        try connection.query("SELECT * FROM ledger_entries WHERE payment = $1 ORDER BY id", [.text(payment)]).map(LedgerEntry.init)
    }

    /// Debits minus credits of an account, per currency.
    public static func balances(of account: LedgerAccount, in connection: Connection) throws -> [Money] {
        try connection.query(
            """
            SELECT currency, SUM(CASE WHEN debit = $1 THEN amount ELSE -amount END) AS balance FROM ledger_entries
            WHERE debit = $1 OR credit = $1 GROUP BY currency ORDER BY currency
            """, [.text(account.code)]
        ).map { Money(try $0.int("balance"), try Currency(code: try $0.text("currency"))) }
    }
}

/// An account: what kind, and whose.
public struct LedgerAccount: Sendable, Hashable {
    public let code: String
    private init(_ code: String) { self.code = code }

    /// Money that the provider holds for us.
    public static func provider(_ name: String) -> LedgerAccount { LedgerAccount("provider:\(name)") }
    /// What was sold for the purpose.
    public static func sales(_ purpose: String) -> LedgerAccount { LedgerAccount("sales:\(purpose)") }
    /// What customers' banks took back for the purpose.
    public static func chargebacks(_ purpose: String) -> LedgerAccount { LedgerAccount("chargebacks:\(purpose)") }
    /// Money received that may not be used before a person has looked: wrong amount, paid twice.
    public static let suspense = LedgerAccount("suspense")
    /// Money of one currency that was taken for money of another: each currency balances by itself.
    public static let exchange = LedgerAccount("exchange")

    init(stored code: String) { self.code = code }
}

public struct LedgerEntry: Sendable {
    public let atMs: Int64
    public let debit: LedgerAccount
    public let credit: LedgerAccount
    /// Positive.
    public let amount: Money
    public let payment: String
    public let memo: String
    /// What caused the entry; one cause has one entry.
    public let sourceKey: String

    public init(atMs: Int64, debit: LedgerAccount, credit: LedgerAccount, amount: Money, payment: String, memo: String, sourceKey: String) {
        self.atMs = atMs
        self.debit = debit
        self.credit = credit
        self.amount = amount
        self.payment = payment
        self.memo = memo
        self.sourceKey = sourceKey
    }

    init(_ row: Row) throws {
        self.init(
            atMs: try row.int("at"), debit: LedgerAccount(stored: try row.text("debit")), credit: LedgerAccount(stored: try row.text("credit")),
            amount: Money(try row.int("amount"), try Currency(code: try row.text("currency"))), payment: try row.text("payment"),
            memo: try row.text("memo"), sourceKey: try row.text("source_key"))
    }
}
