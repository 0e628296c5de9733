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

    /// Where templates are, below the private media root.
    public static let folder = "templates/kit"

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
        let file = CheckedFile(
            path: path, kind: .docx, name: FileName("", kind: .docx), sha256: Digest.sha256Hex(bytes), size: Int64(bytes.count))
        do {
            return try await install(file, activates: activates, actor: actor, reason: reason, nowMs: nowMs)
        } catch {
            _ = try await files.remove(path)
            throw error
        }
    }

    /// Looks into a template that lies on the shelf already, put there piece by piece, and fills it once.
    /// - Throws: ``KitActionError/invalid(_:)`` in a sentence for whoever made the template.
    public func examine(_ file: CheckedFile) async throws -> Trial { try await tried(try Self.admitted(file).path) }

    /// Installs a template that lies on the shelf already, if it passes its trial.
    /// - Parameter noting: what else is to be true with it, in the same transaction.
    /// - Throws: ``KitActionError/invalid(_:)``; the file is the caller's to take away then.
    public func install(
        _ file: CheckedFile, activates: Bool = true, actor: String, reason: String, nowMs: Int64,
        noting: @escaping @Sendable (DocumentTemplateVersion, Connection) throws -> Void = { _, _ in }
    ) async throws -> (template: DocumentTemplateVersion, trial: Trial) {
        let file = try Self.admitted(file)
        let trial = try await tried(file.path)
        let template = try await database.write { connection -> DocumentTemplateVersion in
            let version = try DocumentTemplateVersion.add(
                path: file.path, sha256: file.sha256, size: file.size, found: trial.check.found, missing: trial.check.missing, actor: actor,
                reason: reason, nowMs: nowMs, in: connection)
            if activates { try DocumentTemplateVersion.activate(version, actor: actor, reason: reason, nowMs: nowMs, in: connection) }
            guard let added = try DocumentTemplateVersion.find(version, in: connection) else { throw KitActionError.notFound("template \(version)") }
            try noting(added, connection)
            return added
        }
        return (template, trial)
    }

    // MARK: Parts

    private static func admitted(_ file: CheckedFile) throws(KitActionError) -> CheckedFile {
        guard file.kind == .docx else { throw .invalid(kindRule) }
        guard file.size <= Int64(sizeMax) else { throw .invalid(sizeRule) }
        guard file.path.hasPrefix("\(folder)/") else { throw .invalid("a template lies in \(folder)") }
        return file
    }

    private static let kindRule = "a template is a Word document (.docx) without macros"
    private static let sizeRule = "a template has at most \(sizeMax >> 20) MB"

    private func keep(_ bytes: [UInt8]) async throws -> String {
        guard bytes.count <= Self.sizeMax else { throw KitActionError.invalid(Self.sizeRule) }
        var sniffer = FileSniffer()
        sniffer.receive(bytes)
        guard sniffer.kind == .docx else { throw KitActionError.invalid(Self.kindRule) }
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
