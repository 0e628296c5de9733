import ProviderPort
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// The recorded messages in `Tests/Fixtures`, byte by byte.
enum Fixture {
    /// The repository, from this file's own place.
    static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: true)
        return "/" + parts.dropLast(3).joined(separator: "/")
    }()

    static func bytes(_ path: String) throws -> [UInt8] {
        let full = "\(root)/Tests/Fixtures/\(path)"
        guard let stream = fopen(full, "r") else { throw FixtureError("\(full) cannot be read: error \(errno)") }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&piece, 1, piece.count, stream)
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
    }

    static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    /// The Python with the pinned reference packages.
    static func python() throws -> String {
        let python = "\(root)/.venv/bin/python"
        guard fileExists(python) else { throw FixtureError("\(python) is missing: run deploy/bootstrap test") }
        return python
    }
}

extension WebhookVerdict {
    var accepted: AcceptedWebhook? { if case .accepted(let webhook) = self { webhook } else { nil } }
    var refusal: String? { if case .refused(let reason) = self { reason } else { nil } }
    var isIgnored: Bool { if case .ignored = self { true } else { false } }
}
