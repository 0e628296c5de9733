import Database
import Drafts
import Formats
import HTTPServer
import Money
import ObjectStorage
import Payments

/// `/api/v1/kit/inquiries/`: takes an inquiry with its order and its payment, at the price of the product row.
struct KitCalls: Sendable {
    /// Six long texts of 10 000 characters, each of them four escaped bytes at worst.
    static let bodyLimit = 1024 * 1024
    /// The same with all the files that are taken, and what stands around them.
    static let uploadLimit = Int(InquiryAttachment.allSizeMax) + 2 * bodyLimit
    static let fileField = "documents"
    /// Forms with files of one address in a minute: each may fill a disk a little.
    private static let uploadsMax = 12

    let database: Database
    /// Nil where the program has none: then no files are taken.
    let storage: (any ObjectStorage)?
    let clients: ClientAddresses
    let baseURL: String
    let nowMs: @Sendable () -> Int64
    private let uploads = AddressBudget(limit: KitCalls.uploadsMax)
    private let room: UnpaidRoom?

    /// - Parameter unpaidMax: bytes of all files of inquiries nobody has paid for; nil for any number.
    init(
        database: Database, storage: (any ObjectStorage)?, unpaidMax: Int64? = nil, clients: ClientAddresses, baseURL: String,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        room = unpaidMax.map { UnpaidRoom(max: $0, database: database) }
        self.database = database
        self.storage = storage
        self.clients = clients
        self.baseURL = baseURL
        self.nowMs = nowMs
    }

    var routes: [Route] {
        [Route("POST", "/api/v1/kit/inquiries/", .openAPI, bodyLimit: Self.bodyLimit, uploadLimit: Self.uploadLimit, create)]
    }

    private func create(_ call: WebCall) async throws -> HTTPResponse {
        let taken = try await read(call, allowsJSON: true)
        let (inquiry, order, payment) = try await take(taken, actor: call.actor)
        let checkout = "\(baseURL)/kit/checkout/\(inquiry.id)/"
        var response = HTTPResponse.json(
            201,
            [
                "inquiry": .string(inquiry.id), "order": .string(order.id), "payment": .string(payment.id), "checkout_url": .string(checkout),
                "amount": .string(payment.amount.decimalText), "currency": .string(payment.amount.currency.code),
            ])
        response.headers["Location"] = checkout
        return response
    }

    /// What was sent: texts, and files that are in the storage by now.
    struct Taken: Sendable {
        var fields: [String: String]
        var upload: UploadForm?
    }

    /// Reads a call's form, with files or without.
    func read(_ call: WebCall, allowsJSON: Bool) async throws -> Taken {
        guard let body = call.upload else { return Taken(fields: try RequestBody.fields(call.request, allowsJSON: allowsJSON)) }
        guard let storage else { throw WebProblem.unavailable }
        guard uploads.take(clients.limitKey(of: call.request), nowMs: nowMs()) else {
            throw WebProblem.tooMany("try again in a minute", afterSeconds: 60)
        }
        let form = try await UploadForm.read(
            call, body, fileField: Self.fileField, to: storage, folder: "attachments", rules: .attachment, countMax: InquiryAttachment.countMax,
            allSizeMax: InquiryAttachment.allSizeMax, room: room)
        return Taken(fields: form.fields, upload: form)
    }

    /// Enters an inquiry. When it throws, nothing is left of the files.
    /// - Throws: ``InquiryError`` with every field that breaks a rule.
    func take(_ taken: Taken, actor: String) async throws -> (Inquiry, Order, Payment) {
        let files = taken.upload?.files ?? []
        do {
            let form = try Self.form(taken)
            let now = nowMs()
            return try await database.write { try InquiryStore.create(form, files: files, actor: actor, nowMs: now, in: $0) }
        } catch {
            await taken.upload?.discard()
            throw error
        }
    }

    /// The form, unless a text or a file breaks a rule.
    private static func form(_ taken: Taken) throws(InquiryError) -> InquiryForm {
        let faults = (taken.upload?.faults ?? []).map { InquiryError.Fault(field: $0.field, rule: $0.rule) }
        let form: InquiryForm
        do {
            form = try InquiryForm(fields: taken.fields)
        } catch {
            guard case .invalid(let others) = error else { throw error }
            throw .invalid(others + faults)
        }
        guard faults.isEmpty else { throw .invalid(faults) }
        return form
    }
}
