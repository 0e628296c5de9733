import Database
import Formats
import Invoicing

/// `quittance issuer …`: who issues invoices. Without one nothing is numbered.
enum IssuerCommands {
    static let commands = [show, set, example]
    private static let modes = ["sandbox", "live"]

    private static let set = Command(
        CommandSyntax(
            "issuer set", "set who issues the invoices of a mode",
            options: [
                .needed("--mode", "MODE", "sandbox or live"), .needed("--name", "NAME", "the company's name"),
                .several("--address", "LINE", "its address, one line each time", isRequired: true),
                .several("--tax-ids", "LINE", "its registrations, such as 'RCCM CI-ABJ-…' and 'NCC …', one each time", isRequired: true),
                .value("--vat-rate", "PERCENT", "such as 18.00"), .value("--exempt", "WORDS", "what the law wants on an exempt invoice"),
                .needed("--series", "PREFIX", "capital letters and digits: QT gives QT-2026-000001"),
                .value("--email", "ADDRESS", "where customers may write"), .json,
            ],
            notes: [
                "One of --vat-rate and --exempt is needed. Invoices already numbered keep the issuer as it was; the numbers go on.",
                "Invoices that waited for an issuer are made within a minute.",
            ])
    ) { invocation, context in
        let mode = invocation.value("--mode") ?? ""
        let tax = try tax(invocation)
        let nowMs = context.nowMs()
        let issuer = try await context.withDatabase { database in
            let present = try await database.read { connection in try modes.compactMap { try Issuer.of(mode: $0, in: connection) } }
            let series = invocation.value("--series") ?? ""
            if let other = present.first(where: { $0.mode != mode && $0.series == series }) {
                throw UsageError("--series \(series) is the series of the \(other.mode) issuer: labels of invoices would be the same")
            }
            // The numbers of a series belong to its issuer: the same mode keeps its issuer's id.
            let issuer: Issuer
            do {
                issuer = try Issuer(
                    id: present.first { $0.mode == mode }?.id ?? (mode == "live" ? "main" : mode), name: invocation.value("--name") ?? "",
                    address: invocation.values("--address").joined(separator: "\n"),
                    taxIDs: invocation.values("--tax-ids").joined(separator: "\n"), tax: tax, series: series, email: invocation.value("--email"),
                    mode: mode)
            } catch {
                throw UsageError("\(error)")
            }
            try await database.write { try issuer.save(nowMs: nowMs, in: $0) }
            return issuer
        }
        context.output.issuers([issuer], asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let example = Command(
        CommandSyntax("issuer example", "set an example issuer for the sandbox, unless there is one", options: [.json])
    ) { invocation, context in
        let nowMs = context.nowMs()
        let issuer = try await context.withDatabase { database in
            try await database.write { connection in
                if let present = try Issuer.of(mode: "sandbox", in: connection) { return present }
                let example = try Issuer.example()
                try example.save(nowMs: nowMs, in: connection)
                return example
            }
        }
        context.output.issuers([issuer], asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let show = Command(CommandSyntax("issuer show", "who issues invoices, per mode", options: [.json])) { invocation, context in
        let issuers = try await context.withDatabase { database in
            try await database.read { connection in try modes.compactMap { try Issuer.of(mode: $0, in: connection) } }
        }
        context.output.issuers(issuers, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static func tax(_ invocation: Invocation) throws(UsageError) -> Issuer.Tax {
        switch (invocation.value("--vat-rate"), invocation.value("--exempt")) {
        case (nil, nil), (.some, .some): throw UsageError("one of --vat-rate and --exempt is needed")
        case (nil, let words?): return .exempt(words)
        case (let rate?, nil): return .rate(try hundredths(rate))
        }
    }

    /// `18`, `18.5` and `18.50` are 1800, 1850 and 1850.
    private static func hundredths(_ text: String) throws(UsageError) -> Int64 {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let isPlain = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }
        let fraction = parts.count == 2 ? String(parts[1]) : "0"
        guard isPlain, (1...3).contains(parts[0].count), (1...2).contains(fraction.count), let whole = Int64(parts[0]), let rest = Int64(fraction)
        else { throw UsageError("--vat-rate takes a percentage such as 18.00, not '\(text)'") }
        let rate = whole * 100 + (fraction.count == 1 ? rest * 10 : rest)
        guard (1...10_000).contains(rate) else { throw UsageError("--vat-rate is above 0 and at most 100; an exemption is given by --exempt") }
        return rate
    }
}

extension CommandOutput {
    fileprivate func issuers(_ issuers: [Issuer], asJSON: Bool) {
        guard asJSON else {
            if issuers.isEmpty { line("No issuer is set: invoices wait. `quittance issuer set --help` says how to set one.") }
            for issuer in issuers { text(Self.text(issuer)) }
            return
        }
        json(.array(issuers.map(Self.json)))
    }

    private static func json(_ issuer: Issuer) -> JSON {
        let (rate, words): (Int64?, String?) =
            switch issuer.tax {
            case .rate(let rate): (rate, nil)
            case .exempt(let words): (nil, words)
            }
        return [
            "mode": .string(issuer.mode), "id": .string(issuer.id), "name": .string(issuer.name), "address": .string(issuer.address),
            "tax_ids": .string(issuer.taxIDs), "vat_rate_hundredths": .optional(rate), "exemption": .optional(words),
            "series": .string(issuer.series), "email": .optional(issuer.email),
        ]
    }

    private static func text(_ issuer: Issuer) -> String {
        let tax: String =
            switch issuer.tax {
            case .rate(let rate): "VAT \(rate / 100).\(rate % 100 < 10 ? "0" : "")\(rate % 100) %"
            case .exempt(let words): words
            }
        let lines = [
            ("mode", issuer.mode), ("name", issuer.name), ("address", issuer.address.replacing("\n", with: ", ")),
            ("tax ids", issuer.taxIDs.replacing("\n", with: ", ")), ("tax", tax), ("series", issuer.series), ("email", issuer.email ?? "-"),
        ]
        return Columns.lines(lines).map { $0.dropFirst(2) + "\n" }.joined()
    }
}
