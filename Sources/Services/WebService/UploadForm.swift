import Drafts
import Formats
import HTTPServer
import ObjectStorage

/// A form with files, taken piece by piece: texts are kept in memory, files go straight to the storage.
struct UploadForm: Sendable {
    /// Bytes of all texts together, as of a form without files.
    static let textsMax = 1024 * 1024
    private static let partsMax = 100

    private(set) var fields: [String: String] = [:]
    /// Files that were taken, in the storage by now.
    private(set) var files: [CheckedFile] = []
    /// What was wrong with others, in the words of rules.
    private(set) var faults: [WebProblem.Fault] = []

    private let fileField: String
    private let storage: any ObjectStorage
    private let folder: String
    private let rules: FileIntake.Rules
    private let countMax: Int
    private let allSizeMax: Int64
    private let room: UnpaidRoom?

    private var textsSize = 0
    private var filesSize: Int64 = 0
    private var current = Part.none

    private enum Part: Sendable {
        case none
        case text(name: String, bytes: [UInt8])
        case file(FileIntake)
        /// A file of no use; its bytes are passed over.
        case passed
    }

    /// - Parameters:
    ///   - fileField: the field whose files are taken; other fields' files are not.
    ///   - folder: where they go in the storage.
    ///   - room: asked before a file is taken, where there is a bound to all of them.
    private init(
        fileField: String, storage: any ObjectStorage, folder: String, rules: FileIntake.Rules, countMax: Int, allSizeMax: Int64, room: UnpaidRoom?
    ) {
        self.fileField = fileField
        self.storage = storage
        self.folder = folder
        self.rules = rules
        self.countMax = countMax
        self.allSizeMax = allSizeMax
        self.room = room
    }

    static func isMultipart(_ headers: HTTPHeaders) -> Bool { headers["content-type"]?.lowercased().hasPrefix("multipart/form-data") ?? false }

    /// Reads a whole form. When it throws, nothing is left of its files.
    /// - Throws: ``WebProblem``, ``UploadBroken``.
    static func read(
        _ call: WebCall, _ body: UploadBody, fileField: String, to storage: any ObjectStorage, folder: String, rules: FileIntake.Rules,
        countMax: Int, allSizeMax: Int64, room: UnpaidRoom? = nil
    ) async throws -> UploadForm {
        var form = UploadForm(
            fileField: fileField, storage: storage, folder: folder, rules: rules, countMax: countMax, allSizeMax: allSizeMax, room: room)
        do {
            var reader = try MultipartReader(contentType: call.request.headers["content-type"] ?? "", partsMax: partsMax)
            while let piece = try await body.next() {
                for event in try reader.receive(piece) { try await form.take(event) }
            }
            try reader.finish()
            return form
        } catch {
            if case .file(let intake) = form.current { await intake.discard() }
            await form.discard()
            if let error = error as? FormError { throw WebProblem.badRequest(error.description) }
            throw error
        }
    }

    /// Takes the files away again: nobody will refer to them.
    func discard() async {
        for file in files {
            // What cannot be taken away now is an object that nothing leads to.
            try? await storage.delete(file.path)
        }
    }

    // MARK: Parts

    private mutating func take(_ event: MultipartReader.Event) async throws {
        switch event {
        case .part(let name, let filename): try await begin(name, filename)
        case .bytes(let bytes): try await add(bytes)
        case .endOfPart: try await end()
        }
    }

    private mutating func begin(_ name: String, _ filename: String?) async throws {
        guard let filename else {
            // A file without a name is none: whoever sends one so would not learn that it was not taken.
            guard name != fileField else {
                current = .passed
                return fault("must be sent as files")
            }
            current = .text(name: name, bytes: [])
            return
        }
        current = .passed
        // A browser sends an empty part for a field where no file was chosen.
        guard name == fileField, !filename.isEmpty else { return }
        guard files.count < countMax else { return fault("must be at most \(countMax) files") }
        try await room?.check()
        do {
            current = .file(try await FileIntake(to: storage, folder: folder, name: filename, rules: rules))
        } catch {
            throw Self.problem(error)
        }
    }

    private mutating func add(_ bytes: [UInt8]) async throws {
        switch current {
        case .none, .passed: return
        case .text(let name, var text):
            textsSize += bytes.count
            guard textsSize <= Self.textsMax else {
                throw WebProblem(status: 413, title: "Too large", detail: "the texts of the form have more than \(Self.textsMax) bytes")
            }
            // The form lets go of the text first: held once, it grows in place instead of being copied with each piece.
            current = .none
            text += bytes
            current = .text(name: name, bytes: text)
        case .file(var intake):
            guard filesSize + intake.size + Int64(bytes.count) <= allSizeMax else {
                await intake.discard()
                current = .passed
                return fault("must have at most \(allSizeMax >> 20) MB in all")
            }
            do {
                try await intake.write(bytes)
                current = .file(intake)
            } catch {
                await intake.discard()
                current = .passed
                try refuse(error)
            }
        }
    }

    private mutating func end() async throws {
        defer { current = .none }
        switch current {
        case .none, .passed: return
        case .text(let name, let bytes):
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw WebProblem.badRequest("the field \(name.prefix(40)) is not UTF-8")
            }
            // Browsers end lines of a text with two signs. The first of two fields of one name counts.
            if fields[name] == nil { fields[name] = text.replacing("\r\n", with: "\n") }
        case .file(let intake):
            do {
                let file = try await intake.finish()
                files.append(file)
                filesSize += file.size
            } catch {
                try refuse(error)
            }
        }
    }

    private mutating func refuse(_ error: FileIntakeError) throws {
        switch error {
        case .empty: fault("must not be an empty file")
        case .tooLarge(let limit): fault("must have at most \(limit >> 20) MB each")
        case .wrongKind(let allowed):
            fault("must be \(allowed.map { $0.rawValue.uppercased() }.sorted().joined(separator: ", ")) by what is in them, not by name")
        case .storage: throw Self.problem(error)
        }
    }

    /// Each rule once, however many files break it.
    private mutating func fault(_ rule: String) {
        let fault = WebProblem.Fault(field: fileField, rule: rule)
        if !faults.contains(fault) { faults.append(fault) }
    }

    private static func problem(_ error: FileIntakeError) -> any Error {
        guard case .storage(let cause) = error else { return WebProblem.unavailable }
        if cause.code == .full { return WebProblem.noRoom }
        return cause.isTransient ? WebProblem.unavailable : error
    }
}
