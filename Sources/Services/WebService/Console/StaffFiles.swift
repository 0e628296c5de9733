import Drafts
import HTTPServer
import ObjectStorage
import Staff

/// A private file as it is handed to staff.
struct StaffFile: Sendable {
    /// Its key where it is stored.
    let key: String
    let name: String
    let type: String
    let tag: String

    /// - Parameter noting: who looks, once the file is known to be there.
    func response(from storage: any ObjectStorage, noting: () async throws -> Void) async throws -> HTTPResponse {
        let presentation = ObjectPresentation(type: type, disposition: ContentDisposition.attachment(name))
        let opened: ObjectSending
        do throws(ObjectStorageError) {
            opened = try await storage.open(key, as: presentation)
        } catch {
            // A storage that is away has lost nothing: whoever asks again gets the file.
            let isNowhere = error.code == .notFound || error.code == .invalidKey
            throw isNowhere ? WebProblem.notFound("the file is not there") : WebProblem.unavailable
        }
        try await noting()
        switch opened {
        case .file(let file): return FileAnswer(file, type: type, name: name, tag: tag).response(.whole)
        case .link(let link): return .redirect(303, link.url)
        }
    }
}

extension UploadForm {
    /// The form's one file. Its token came with it: what another site posted is not taken.
    func file(_ field: String, of visit: ConsoleVisit) throws(WebProblem) -> CheckedFile {
        guard StaffSession.isFormToken(fields[ConsoleGate.tokenField] ?? "", of: visit.sessionID) else { throw ConsoleGate.foreignForm }
        guard faults.isEmpty else { throw WebProblem.invalid(faults) }
        guard let file = files.first else { throw WebProblem.invalid(field, "is required") }
        return file
    }
}
