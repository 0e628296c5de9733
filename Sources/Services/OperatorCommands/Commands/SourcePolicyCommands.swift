import Formats
import Settings

/// `quittance source trust` and `source ranges`: what the posts of a provider are taken for, and where they may come from.
enum SourcePolicyCommands {
    private static let own = "own"

    static let trust = Command(
        CommandSyntax(
            "source trust", "what a provider's webhooks are taken for",
            operands: [
                SourcesCommands.name,
                .needed("POLICY", SourceTrust.allCases.map(\.rawValue).joined(separator: ", ") + ", or \(own): the provider's own"),
            ],
            notes: [
                "trust: a webhook must bring its proof and is believed as far as that reaches. fetch: the provider is asked whatever it brings. "
                    + "fetch-if-unsigned: a good proof is believed, and the provider is asked where there is none. A wrong proof is refused by "
                    + "every policy, and where a proof does not cover the money the provider is asked by every policy.",
                SourcesCommands.inForce,
            ])
    ) { invocation, context in
        let name = try SourcesCommands.provider(invocation, context)
        let word = invocation.operands[1]
        let policy = SourceTrust(rawValue: word)
        guard policy != nil || word == own else {
            throw UsageError("POLICY is one of \((SourceTrust.allCases.map(\.rawValue) + [own]).joined(separator: ", "))")
        }
        return try SourcesCommands.change(context) { book in
            var source = book.sources[name] ?? SourceBook.Source()
            guard source.trust != policy else { return .nothing("\(name) has the policy \(word)") }
            source.trust = policy
            book.sources[name] = source
            return .done(["\(name) has the policy \(word)"])
        }
    }

    static let ranges = Command(
        CommandSyntax(
            "source ranges", "where a provider's webhooks come from, and what becomes of those from elsewhere",
            operands: [SourcesCommands.name],
            options: [
                .value("--check", "CHECK", AddressCheck.allCases.map(\.rawValue).joined(separator: ", ") + ": what becomes of those from elsewhere"),
                .several("--range", "RANGE", "an address, or a range such as 192.0.2.0/24; those that are given replace all before"),
            ],
            notes: [
                "log first: `ingest_posts_by_address_total` counts what enforce would refuse. Behind a proxy TRUSTED_PROXIES must name it, else every "
                    + "webhook comes from the proxy.", SourcesCommands.inForce,
            ])
    ) { invocation, context in
        let name = try SourcesCommands.provider(invocation, context)
        let check = try invocation.choice("--check", of: AddressCheck.allCases.map(\.rawValue)).flatMap(AddressCheck.init(rawValue:))
        let given = try invocation.values("--range").map { word in
            guard let range = AddressRange(parsing: word) else {
                throw UsageError("--range takes an IP address or a range without bits behind its prefix, such as 192.0.2.0/24, not '\(word)'")
            }
            return range
        }
        guard check != nil || !given.isEmpty else { throw UsageError("--check or --range is needed") }
        return try SourcesCommands.change(context) { book in
            let before = book.sources[name] ?? SourceBook.Source()
            var source = before
            if let check { source.addressCheck = check }
            if !given.isEmpty { source.addresses = given }
            guard source != before else { return .nothing("\(name) has these addresses and this check") }
            book.sources[name] = source
            let count = source.addresses?.count ?? 0
            return .done(["\(name): \(count) \(count == 1 ? "range" : "ranges"), \(source.addressCheck?.rawValue ?? "off")"])
        }
    }
}
