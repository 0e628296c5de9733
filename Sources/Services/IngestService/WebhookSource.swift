import Formats
import ProviderPort

/// One provider as ingest serves it.
struct WebhookSource: Sendable {
    let adapter: any PaymentProvider
    let mode: String
    let bodyLimit: Int

    var name: String { adapter.name }
}

/// Which source a path belongs to.
struct SourceTable: Sendable {
    struct Match: Sendable {
        let source: WebhookSource
        /// From a capability path; its capability still has to be checked.
        let payment: String?
        let capability: String?
    }

    private let byPath: [String: WebhookSource]
    private let byName: [String: WebhookSource]

    init(_ sources: [(source: WebhookSource, otherPaths: [String])]) {
        var byPath: [String: WebhookSource] = [:]
        var byName: [String: WebhookSource] = [:]
        for (source, otherPaths) in sources {
            byName[source.name] = source
            byPath["/webhooks/\(source.name)"] = source
            for path in otherPaths { byPath[path] = source }
        }
        self.byPath = byPath
        self.byName = byName
    }

    var names: [String] { byName.keys.sorted() }

    /// The source of a path: `/webhooks/{provider}`, a seed product's own path, or `/webhooks/{provider}/{payment}/{capability}`.
    func match(path: String) -> Match? {
        if let source = byPath[path] { return Match(source: source, payment: nil, capability: nil) }
        if path.hasSuffix("/"), let source = byPath[String(path.dropLast())] { return Match(source: source, payment: nil, capability: nil) }
        if let source = byPath[path + "/"] { return Match(source: source, payment: nil, capability: nil) }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "webhooks", let source = byName[String(parts[2])], !parts[3].isEmpty else { return nil }
        return Match(source: source, payment: String(parts[3]), capability: String(parts[4]))
    }
}
