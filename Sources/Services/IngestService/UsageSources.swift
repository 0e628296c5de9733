import Cryptography
import Formats
import Telemetry

/// Who may post usage samples to ingest, and how much at once.
public struct UsageSources: Sendable {
    /// A name may stand several times, each with another key, while its key is being changed.
    public var keys: [(name: String, key: String)]
    /// The largest body in bytes.
    public var bodyLimit: Int

    public init(keys: [(name: String, key: String)] = [], bodyLimit: Int = 2 << 20) {
        self.keys = keys
        self.bodyLimit = bodyLimit
    }
}

/// Who has posted samples.
struct UsagePoster: Sendable {
    let name: String
    let samples: Counter
}

/// Finds out whose key a request bears.
struct UsageKeys: Sendable {
    enum Verdict: Sendable {
        case poster(UsagePoster)
        /// Why, for staff.
        case refused(String)
    }

    /// By SHA-256: how long a look-up takes then tells nothing of the keys.
    private let posters: [[UInt8]: UsagePoster]

    init(_ keys: [(name: String, key: String)]) {
        var posters: [[UInt8]: UsagePoster] = [:]
        for (name, key) in keys {
            let samples = MetricRegistry.shared.counter(
                "ingest_usage_samples_total", help: "Usage samples taken, by source.", labels: [("source", name)])
            posters[Digest.sha256(Array(key.utf8))] = UsagePoster(name: name, samples: samples)
        }
        self.posters = posters
    }

    func verdict(_ headers: HTTPHeaders) -> Verdict {
        let values = headers.values("authorization")
        guard let value = values.first else { return .refused("there is no bearer key") }
        let parts = value.split(separator: " ")
        guard values.count == 1, parts.count == 2, parts[0].lowercased() == "bearer" else {
            return .refused("the header Authorization is not one bearer key")
        }
        guard let poster = posters[Digest.sha256(Array(parts[1].utf8))] else { return .refused("nobody has this bearer key") }
        return .poster(poster)
    }
}
