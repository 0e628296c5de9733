import Formats
import ProviderPort
import Settings
import Telemetry

/// One provider as ingest serves it. A class, so that handing it around for each post counts one reference and not eight.
final class WebhookSource: Sendable {
    let adapter: any PaymentProvider
    let name: String
    let mode: String
    let bodyLimit: Int
    let policy: TrustPolicy
    let addresses: SourceAddresses
    let counters: PostCounters

    init(_ source: IngestSource) {
        adapter = source.adapter
        name = adapter.name
        mode = source.mode
        bodyLimit = source.bodyLimit
        policy = source.policy
        addresses = SourceAddresses(ranges: source.addresses, check: source.addressCheck)
        counters = PostCounters(source: adapter.name)
    }
}

/// What became of the posts of one source. Made with the source, so that a post costs no look-up and each outcome is shown from
/// the start.
struct PostCounters: Sendable {
    let accepted, ignored, refused, throttled, unavailable, wrongMethod: Counter
    /// Accepted posts by the secret that matched: the newest, or an older one that a rotation has left.
    private let newest, older: Counter
    /// Posts by whether their address is one of the source's, where that is checked.
    let listed, unlisted: Counter

    init(source: String) {
        newest = Self.counter(of: source, key: "newest")
        older = Self.counter(of: source, key: "older")
        listed = Self.counter(of: source, address: "listed")
        unlisted = Self.counter(of: source, address: "unlisted")
        accepted = Self.counter(of: source, "accepted")
        ignored = Self.counter(of: source, "ignored")
        refused = Self.counter(of: source, "refused")
        throttled = Self.counter(of: source, "throttled")
        unavailable = Self.counter(of: source, "unavailable")
        wrongMethod = Self.counter(of: source, "wrong_method")
    }

    func matched(_ key: Int) { (key == 0 ? newest : older).add() }

    private static func counter(of source: String, key: String) -> Counter {
        MetricRegistry.shared.counter(
            "ingest_posts_by_secret_total", help: "Accepted posts by source and by which of its secrets proved them.",
            labels: [("source", source), ("secret", key)])
    }

    private static func counter(of source: String, address: String) -> Counter {
        MetricRegistry.shared.counter(
            "ingest_posts_by_address_total", help: "Posts by source and by whether they came from its addresses, where those are checked.",
            labels: [("source", source), ("address", address)])
    }

    static func counter(of source: String, _ outcome: String) -> Counter {
        MetricRegistry.shared.counter(
            "ingest_posts_total", help: "Posts by source and what became of them.", labels: [("source", source), ("outcome", outcome)])
    }
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
