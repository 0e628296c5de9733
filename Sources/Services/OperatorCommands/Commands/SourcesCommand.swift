import Formats
import ProviderCatalog
import ProviderPort
import Settings

/// `quittance source list`
enum SourcesCommand {
    static let command = Command(
        CommandSyntax(
            "source list", "the providers: mode, proof of their webhooks, paths", options: [.json],
            notes: [
                "proof: whether its webhooks prove where they come from. asked: whether the provider is asked before an event of it is believed. "
                    + "secrets: how many are set; all verify, the first signs."
            ])
    ) { invocation, context in
        let sources = try ProviderCatalog.sources(context.settings)
        var table = Listing(["source", "mode", "proof", "asked", .number("secrets"), .number("body_limit"), "paths"], none: "No sources.")
        for name in context.settings.providers.keys.sorted() {
            guard let provider = context.settings.provider(name) else { continue }
            let source = sources.first { $0.adapter.name == name }
            let asked = source.map { $0.adapter.capabilities.hasStatus && !$0.adapter.capabilities.proofCoversMoney }
            let mode = provider.mode.rawValue
            let paths = source.map { ["/webhooks/\(name)"] + $0.otherPaths } ?? []
            table.add(
                .string(name), .string(mode), .bool(provider.hasProof), asked.map(JSON.bool) ?? .null, .int(Int64(provider.secrets.count)),
                .int(Int64(provider.bodyLimit)), .array(paths.map(JSON.string)))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }
}
