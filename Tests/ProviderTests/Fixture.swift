import ProviderPort
import TestSupport

/// The recorded messages in `Tests/Fixtures`, byte by byte.
enum Fixture {
    static func bytes(_ path: String) throws -> [UInt8] { try RepositoryFile.read("Tests/Fixtures/\(path)") }

    static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    /// The Python with the pinned reference packages.
    static func python() throws -> String {
        let python = "\(repositoryRoot)/.venv/bin/python"
        guard fileExists(python) else { throw FixtureError("\(python) is missing: run deploy/bootstrap test") }
        return python
    }
}

extension WebhookVerdict {
    var accepted: AcceptedWebhook? { if case .accepted(let webhook) = self { webhook } else { nil } }
    var refusal: String? { if case .refused(let reason) = self { reason } else { nil } }
    var isIgnored: Bool { if case .ignored = self { true } else { false } }
}
