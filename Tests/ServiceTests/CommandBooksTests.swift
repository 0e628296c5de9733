import Access
import Database
import Formats
import Invoicing
import JobQueue
import OperatorCommands
import Payments
import PaymentsService
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("quittance migrate, apikey, issuer, ledger and invoices")
struct CommandBooksTests {
    @Test("migrate makes folders for this user only and applies what is missing, once")
    func migrate() async throws {
        let stage = try await CommandStage.make(migrated: false)
        let folders = ["var", "var/private", "var/spool"].map { stage.folder.file($0) }
        let steps = Product.migrations.flatMap { set in set.migrations.map { "\(set.room) \($0.number) (\($0.name))" } }
        let trial = await stage.run("migrate", "--dry-run")
        #expect(
            trial
                == CommandResult(
                    code: .ok,
                    out: folders.map { "would make the folder \($0)\n" }.joined() + steps.map { "would apply \($0)\n" }.joined()
                        + "\(stage.databasePath): \(steps.count) migrations to apply\n", err: ""))
        #expect(!fileExists(folders[0]))
        #expect(
            await stage.run("migrate")
                == CommandResult(
                    code: .ok,
                    out: folders.map { "made the folder \($0)\n" }.joined() + steps.map { "applied \($0)\n" }.joined()
                        + "\(stage.databasePath): \(steps.count) migrations applied\n", err: ""))
        for folder in folders {
            var information = stat()
            #expect(stat(folder, &information) == 0 && information.st_mode & 0o777 == 0o700)
        }
        let again = CommandResult(code: .ok, out: "\(stage.databasePath): nothing to apply\n", err: "")
        #expect(await stage.run("migrate") == again)
        #expect(await stage.run("migrate", "--dry-run") == again)
    }

    @Test("a database that is newer than the program is left alone")
    func newer() async throws {
        let stage = try await CommandStage.make()
        try await stage.write {
            try $0.execute("INSERT INTO quittance_migrations (room, number, name, checksum, applied_at) VALUES ('ledger', 2, 'later', 'x', 0)")
        }
        for arguments in [["migrate"], ["migrate", "--dry-run"], ["status"]] {
            let result = await stage.run(arguments)
            #expect(result.code == .failed && result.out == "")
            #expect(result.err.contains("the database is newer than this program"))
        }
    }

    // MARK: Keys

    @Test("an API key is shown once, works, is listed without its text and ends when revoked")
    func keys() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("apikey").out == "No API keys.\n")
        let made = try await stage.json("apikey", "create", "--name", "shop", "--scope", "payments", "--scope", "usage", "--json")
        let (id, text) = (try #require(made["id"]?.string), try #require(made["key"]?.string))
        #expect(made == ["id": .string(id), "name": "shop", "scopes": ["payments", "usage"], "key": .string(text)])
        #expect(try await stage.write { try APIKeys.authenticate(text, in: $0)?.id } == id)
        #expect(
            await stage.run("apikey", "list").out == """
                id                name  scopes           created at           last used at  revoked at
                \(id)  shop  payments, usage  2026-11-21 08:00:00  -             -

                """)
        #expect(await stage.run("apikey", "revoke", id) == CommandResult(code: .ok, out: "\(id) is revoked\n", err: ""))
        #expect(await stage.run("apikey", "revoke", id) == CommandResult(code: .nothingDue, out: "\(id) was already revoked\n", err: ""))
        #expect(try await stage.write { try APIKeys.authenticate(text, in: $0) } == nil)

        let plain = await stage.run("apikey", "create", "--name", "till")
        #expect(plain.code == .ok && plain.out.hasPrefix("qk_") && plain.out.contains("Keep it: only its digest is stored."))
    }

    @Test(
        "what is wrong with a key's command is said, and the key never repeated",
        arguments: [
            (["apikey", "create", "--name", "a\nb"], ExitCode.usage, "name must have 1 to 100 characters, none of them a control character"),
            (["apikey", "create", "--name", "a", "--scope", "A B"], .usage, "scopes must be words of lower-case letters, digits, '-', ':' and '.'"),
            (["apikey", "revoke", "qk_0011_secret"], .usage, "ID is what `quittance apikey list` shows, not the key"),
            (["apikey", "revoke", "0011"], .notFound, "there is no API key 0011"),
        ])
    func keyFaults(arguments: [String], code: ExitCode, fault: String) async throws {
        let result = try await CommandStage.make().run(arguments)
        #expect(result.code == code && result.out == "")
        #expect(result.err.contains(fault) && !result.err.contains("secret"))
    }

    // MARK: Issuer

    private let issuer = [
        "issuer", "set", "--mode", "live", "--name", "Servelink SAS", "--address", "1 rue A", "--address", "Abidjan", "--tax-ids", "NCC 1",
        "--series", "QT",
    ]

    @Test("an issuer is set and shown; a change keeps its numbers")
    func issuers() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("issuer").out == "No issuer is set: invoices wait. `quittance issuer set --help` says how to set one.\n")
        let shown = """
            mode     live
            name     Servelink SAS
            address  1 rue A, Abidjan
            tax ids  NCC 1
            tax      VAT 18.50 %
            series   QT
            email    -

            """
        #expect(await stage.run(issuer + ["--vat-rate", "18.5"]) == CommandResult(code: .ok, out: shown, err: ""))
        #expect(await stage.run("issuer", "show") == CommandResult(code: .ok, out: shown, err: ""))
        let exempt = await stage.run(issuer + ["--exempt", "TVA non applicable", "--email", "a@example.org", "--json"])
        let json = try JSON(parsing: Array(exempt.out.utf8))
        #expect(json[0]?["exemption"] == "TVA non applicable")
        #expect(json[0]?["id"] == "main")
        let example = await stage.run("issuer", "example")
        #expect(example.code == .ok && example.out.contains("Exemple SARL"))
        #expect(await stage.run("issuer", "example") == example)
        #expect(try await stage.json("issuer", "--json").array?.map { $0["mode"] } == ["sandbox", "live"])
    }

    @Test(
        "what is wrong with an issuer is said by option",
        arguments: [
            ([], "one of --vat-rate and --exempt is needed"),
            (["--vat-rate", "18", "--exempt", "x"], "one of --vat-rate and --exempt is needed"),
            (["--vat-rate", "eighteen"], "--vat-rate takes a percentage such as 18.00, not 'eighteen'"),
            (["--vat-rate", "18.123"], "--vat-rate takes a percentage such as 18.00, not '18.123'"),
            (["--vat-rate", "0"], "--vat-rate is above 0 and at most 100; an exemption is given by --exempt"),
            (["--vat-rate", "100.01"], "--vat-rate is above 0 and at most 100; an exemption is given by --exempt"),
        ])
    func issuerFaults(more: [String], fault: String) async throws {
        let result = try await CommandStage.make().run(issuer + more)
        #expect(result.code == .usage && result.err.hasPrefix("quittance: issuer set: \(fault)\n"))
    }

    @Test("two modes cannot share a series, and a bad field is named")
    func series() async throws {
        let stage = try await CommandStage.make()
        _ = await stage.run("issuer", "example")
        var taken = issuer
        taken[taken.count - 1] = "EX"
        #expect(await stage.run(taken + ["--vat-rate", "18"]).err.contains("--series EX is the series of the sandbox issuer"))
        taken[taken.count - 1] = "lower"
        #expect(await stage.run(taken + ["--vat-rate", "18"]).err.contains("series: capital letters and digits"))
        taken[3] = "production"
        taken[taken.count - 1] = "QT"
        #expect(await stage.run(taken + ["--vat-rate", "18"]).err.contains("mode: sandbox or live"))
    }

    // MARK: Books

    @Test("the ledger shows balances and entries, and agrees with the payments")
    func ledger() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("ledger").out == "The ledger is empty.\n")
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        #expect(
            await stage.run("ledger", "balances").out == """
                account                     balance  currency
                provider:standard-webhooks    12500  XOF
                sales:kit                    -12500  XOF

                """)
        #expect(
            await stage.run("ledger", "entries", kit.payment).out == """
                at                   debit                       credit     amount  currency  memo
                2026-11-21 08:00:03  provider:standard-webhooks  sales:kit   12500  XOF       captured

                """)
        #expect(await stage.run("ledger", "entries", "pay_x").code == .notFound)
        #expect(await stage.run("ledger", "verify") == CommandResult(code: .ok, out: "1 payments: all is well\n", err: ""))
    }

    @Test("ledger verify finds a payment that says another sum, and money on an account nobody knows")
    func ledgerFaults() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        try await stage.write { connection in
            try connection.execute("UPDATE payments_payments SET captured = 12000 WHERE id = $1", [.text(kit.payment)])
            try connection.execute(
                """
                INSERT INTO ledger_entries (at, debit, credit, amount, currency, payment, memo, source_key)
                VALUES (1, 'elsewhere', 'suspense', 700, 'XOF', $1, 'm', 's')
                """, [.text(kit.payment)])
        }
        #expect(
            await stage.run("ledger", "verify")
                == CommandResult(
                    code: .failed,
                    out: """
                        \(kit.payment): 12000 XOF captured, 12500 in the ledger
                        \(kit.payment): money is in suspense although the payment is paid
                        -700 XOF is on accounts that are not known here
                        1 payments: 3 faults

                        """, err: ""))
    }

    @Test("invoices verify finds a gap in the numbers")
    func invoiceGap() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("invoices", "verify").out == "invoice numbers: all is well\n")
        let kit = try await stage.orderKit()
        try await stage.write { connection in
            try connection.execute(
                """
                INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
                  description, net, vat, gross, currency, exemption, issued_at, pdf_path, pdf_sha256)
                VALUES ('i', $1, 'invoice', 'main', '{}', 2026, 2, 'QT-2026-000002', 'live', 'fr', 'A', 'd', 1, 0, 1, 'XOF', 'e', 1, 'gone.pdf', 'x')
                """, [.text(kit.payment)])
        }
        let result = await stage.run("invoices", "verify", "--files", "--json")
        #expect(result.code == .failed)
        let json = try JSON(parsing: Array(result.out.utf8))
        #expect(json["ok"] == false)
        #expect(json["checked"] == "invoice numbers and 1 files")
        let faults = (json["faults"]?.array ?? []).compactMap(\.string)
        #expect(faults.count == 3)
        #expect(faults.first == "main invoice 2026: 1 invoices are numbered 2 to 2")
        #expect(faults.last?.hasPrefix("QT-2026-000002: ") == true)
    }
}
