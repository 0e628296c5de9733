import Cryptography
import Database
import Drafts
import Formats
import JobQueue
import PrivateFiles

/// Installs templates of the document: looked into, tried, kept, and made the active one.
public struct TemplateShelf: Sendable {
    private let database: Database
    private let files: PrivateFiles
    private let templates: DocumentTemplates

    public init(database: Database, files: PrivateFiles, templates: DocumentTemplates) {
        self.database = database
        self.files = files
        self.templates = templates
    }

    private static let folder = "templates/kit"

    /// Bytes that a template may have.
    public static let sizeMax = 20 << 20

    /// What a template is found to be.
    public struct Trial: Sendable {
        public let check: DocumentTemplates.Check
        /// The document that the trial filled, for somebody to look at.
        public let document: [UInt8]
    }

    /// Looks into a template and fills it once, and installs nothing.
    /// - Throws: ``KitActionError/invalid(_:)`` in a sentence for whoever made the template.
    public func examine(_ bytes: [UInt8]) async throws -> Trial {
        let path = try await keep(bytes)
        do {
            let trial = try await tried(path)
            _ = try await files.remove(path)
            return trial
        } catch {
            _ = try await files.remove(path)
            throw error
        }
    }

    /// Installs a template that passes its trial.
    /// - Parameter activates: whether drafts are made with it from now on.
    /// - Throws: ``KitActionError/invalid(_:)``; nothing is left of the template then.
    public func install(
        _ bytes: [UInt8], activates: Bool = true, actor: String, reason: String, nowMs: Int64
    ) async throws -> (template: DocumentTemplateVersion, trial: Trial) {
        let path = try await keep(bytes)
        do {
            let trial = try await tried(path)
            let template = try await database.write { connection -> DocumentTemplateVersion in
                let version = try DocumentTemplateVersion.add(
                    path: path, sha256: Digest.sha256Hex(bytes), size: Int64(bytes.count), found: trial.check.found, missing: trial.check.missing,
                    actor: actor, reason: reason, nowMs: nowMs, in: connection)
                if activates { try DocumentTemplateVersion.activate(version, actor: actor, reason: reason, nowMs: nowMs, in: connection) }
                guard let added = try DocumentTemplateVersion.all(in: connection).first(where: { $0.version == version }) else {
                    throw KitActionError.notFound("template \(version)")
                }
                return added
            }
            return (template, trial)
        } catch {
            _ = try await files.remove(path)
            throw error
        }
    }

    // MARK: Parts

    private func keep(_ bytes: [UInt8]) async throws -> String {
        guard bytes.count <= Self.sizeMax else { throw KitActionError.invalid("a template has at most \(Self.sizeMax >> 20) MB") }
        var sniffer = FileSniffer()
        sniffer.receive(bytes)
        guard sniffer.kind == .docx else { throw KitActionError.invalid("a template is a Word document (.docx) without macros") }
        return try await files.write(bytes, to: "\(Self.folder)/\(Hex.encode(SecureRandom.bytes(12))).docx").path
    }

    private func tried(_ path: String) async throws -> Trial {
        let absolute = try files.absolutePath(path)
        do {
            let check = try await templates.check(absolute)
            guard check.unknown.isEmpty else {
                throw KitActionError.invalid("the template has variables that no kit gives: \(check.unknown.joined(separator: ", "))")
            }
            return Trial(check: check, document: try await templates.fill(absolute, Self.sample))
        } catch let failure as JobFailure where failure.disposition == .bury {
            throw KitActionError.invalid(Self.sentence(failure.reason.replacing(absolute, with: "the template")))
        }
    }

    private static func sentence(_ reason: String) -> String { reason.split(whereSeparator: \.isNewline).joined(separator: " ") }

    /// A value for every variable, with what values may be full of.
    private static let sample: JSONObject = {
        let names = ["organization_name", "contact_name", "email"] + InquiryForm.textFields + ["generated_content"]
        let text = "Été & <Fils>\n« œuvre »\n\nשלום، مرحبا"
        return JSONObject(names.map { ($0, JSON.string("\($0): \(text)")) } + [("documents_count", .int(3))])
    }()
}
