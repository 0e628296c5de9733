import Database
import Formats
import Ledger
import Money
import Payments
import Settings

/// `quittance ledger …`: where the money is, and whether the books agree.
enum LedgerCommands {
    static let commands = [balances, entries, verify]

    private static let balances = Command(
        CommandSyntax(
            "ledger balances", "what stands on each account, debits minus credits", options: [.json],
            notes: [
                "provider:… holds money for us; sales:… is what was sold (negative, as income is); suspense is money that a person has to look at."
            ])
    ) { invocation, context in
        let accounts = LedgerAudit.accounts(context.settings)
        let table = try await context.withDatabase { database in
            try await database.read { connection in
                var table = Listing(["account", .number("balance"), "currency"], none: "The ledger is empty.")
                for account in accounts {
                    for balance in try Ledger.balances(of: account, in: connection) {
                        table.add(.string(account.code), .string(balance.decimalText), .string(balance.currency.code))
                    }
                }
                return table
            }
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let entries = Command(
        CommandSyntax("ledger entries", "the entries of one payment", operands: [.needed("PAYMENT", "its id")], options: [.json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let entries = try await context.withDatabase { database in
            try await database.read { connection in
                guard try PaymentStore.find(id, in: connection) != nil else {
                    throw CommandFailure(.notFound, "there is no payment '\(id.onOneLine)'")
                }
                return try Ledger.entries(of: id, in: connection)
            }
        }
        var table = Listing([.time("at"), "debit", "credit", .number("amount"), "currency", "memo"], none: "No entries.")
        for entry in entries {
            table.add(
                .int(entry.atMs), .string(entry.debit.code), .string(entry.credit.code), .string(entry.amount.decimalText),
                .string(entry.amount.currency.code), .string(entry.memo))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let verify = Command(
        CommandSyntax(
            "ledger verify", "compare every payment with its entries", options: [.json],
            notes: [
                "What a payment has captured and refunded must be what its entries say, suspense may hold money of conflicted payments only, and "
                    + "all accounts together are nought in every currency.", "Exit codes: 0 the books agree, 1 they do not.",
            ])
    ) { invocation, context in
        let audit = try await context.withDatabase { database in try await LedgerAudit.run(database, context.settings) }
        context.output.faults(audit.faults, of: "\(audit.payments) payments", asJSON: invocation.wantsJSON)
        return audit.faults.isEmpty ? .ok : .failed
    }
}

/// The comparison of payments with their ledger entries.
struct LedgerAudit: Sendable {
    let payments: Int
    let faults: [String]

    private static let page = 500

    /// Every account that the product posts to.
    static func accounts(_ settings: Settings) -> [LedgerAccount] {
        let purposes = ["kit", "order", "plan"].flatMap { [LedgerAccount.sales($0), .chargebacks($0)] }
        return settings.providers.keys.sorted().map(LedgerAccount.provider) + purposes + [.suspense, .exchange]
    }

    /// Page by page, each as of one moment, so that nobody who writes is kept waiting.
    static func run(_ database: Database, _ settings: Settings) async throws -> LedgerAudit {
        var faults: [String] = []
        var count = 0
        var last: String?
        while true {
            let before = last
            let (ids, found) = try await database.read { connection in
                let payments = try PaymentStore.list(before: before, limit: page, in: connection)
                return (payments.map(\.id), try payments.flatMap { try Self.faults(of: $0, in: connection) })
            }
            faults += found
            count += ids.count
            guard ids.count == page else { break }
            last = ids.last
        }
        let known = accounts(settings)
        faults += try await database.read { try imbalances(of: known, in: $0) }
        return LedgerAudit(payments: count, faults: faults)
    }

    private static func faults(of payment: Payment, in connection: Connection) throws -> [String] {
        let entries = try Ledger.entries(of: payment.id, in: connection)
        let currency = payment.amount.currency
        func sum(_ what: String) -> Int64 {
            entries.filter { $0.sourceKey.hasPrefix("\(payment.id):\(what):") && $0.amount.currency == currency }
                .reduce(0) { $0 + $1.amount.minorUnits }
        }
        var faults: [String] = []
        for (what, told) in [("captured", payment.captured), ("refunded", payment.refunded)] where sum(what) != told {
            let booked = Money(sum(what), currency).decimalText
            faults.append("\(payment.id): \(Money(told, currency).decimalText) \(currency.code) \(what), \(booked) in the ledger")
        }
        // Another currency is no part of what is owed: it stays held until a person decides, whatever becomes of the payment.
        let held = entries.filter { $0.amount.currency == currency }.reduce(Int64(0)) { total, entry in
            entry.credit == .suspense ? total + entry.amount.minorUnits : entry.debit == .suspense ? total - entry.amount.minorUnits : total
        }
        // What came beyond the price is held too, with a task to refund it.
        let isSurplus = payment.captured > payment.amount.minorUnits
        if held != 0 && payment.state != .conflicted && !isSurplus {
            faults.append("\(payment.id): money is in suspense although the payment is \(payment.state.rawValue)")
        }
        return faults
    }

    /// Debits and credits are one row, so only an account that nobody knows can leave a difference.
    private static func imbalances(of accounts: [LedgerAccount], in connection: Connection) throws -> [String] {
        var totals: [Currency: Int64] = [:]
        for account in accounts {
            for balance in try Ledger.balances(of: account, in: connection) { totals[balance.currency, default: 0] += balance.minorUnits }
        }
        return totals.filter { $0.value != 0 }.sorted { $0.key.code < $1.key.code }.map { currency, units in
            "\(Money(units, currency).decimalText) \(currency.code) is on accounts that are not known here"
        }
    }
}

extension CommandOutput {
    /// Faults one a line, or that there are none.
    func faults(_ faults: [String], of what: String, asJSON: Bool) {
        if asJSON { return json(["ok": .bool(faults.isEmpty), "checked": .string(what), "faults": .array(faults.map(JSON.string))]) }
        for fault in faults { line(fault) }
        line(faults.isEmpty ? "\(what): all is well" : "\(what): \(faults.count) \(faults.count == 1 ? "fault" : "faults")")
    }
}
