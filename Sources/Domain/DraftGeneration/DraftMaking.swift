import Database
import Drafts
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import PrivateFiles
import Telemetry

/// Carries out ``GenerateDraft``.
///
/// The text is paid for: it is asked for as an effect, whose answer is kept before anything is made of it. The crash window's policy is
/// *again, the duplicate visible*, since such endpoints know no idempotency keys: a text whose answer was lost is asked for once more under
/// the same request id, and costs twice, but only the answer that was kept is ever used.
public struct DraftMaking: Sendable {
    private let database: Database
    private let outbox: Outbox
    private let generation: TextGeneration
    private let template: DocumentTemplate
    private let files: PrivateFiles
    private let staffEmail: String?

    public init(
        database: Database, outbox: Outbox, generation: TextGeneration, template: DocumentTemplate, files: PrivateFiles, staffEmail: String?
    ) {
        self.database = database
        self.outbox = outbox
        self.generation = generation
        self.template = template
        self.files = files
        self.staffEmail = staffEmail
    }

    /// The name of the effect; its key is the inquiry.
    public static let effect = "text-generation"

    public func run(_ parameters: GenerateDraft, context: JobContext, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let (job, log) = (context.job, context.log)
        let started = nowMs()
        let begun = try await database.write { connection in try Self.begin(parameters.inquiry, job: job, nowMs: started, in: connection) }
        guard case .inquiry(let inquiry) = begun else {
            if case .nothingToDo(let reason) = begun { return .skipped(reason: reason) }
            return .done
        }
        let answer = try await answer(for: inquiry, context, nowMs: nowMs)
        let document = try await template.fill(Self.values(of: inquiry, answer: answer))
        let stored = try await files.write(document, to: "drafts/\(inquiry.id).docx")
        let finished = nowMs()
        let result = try await database.paidEffect(of: job, nowMs: finished, detail: stored.path) { [outbox, staffEmail] payment, connection in
            let draft = GeneratedDraft(
                inquiry: inquiry.id, payment: payment.id, path: stored.path, sha256: stored.sha256Hex, size: Int64(stored.size),
                createdAtMs: finished)
            try draft.save(in: connection)
            try InquiryStore.move(inquiry.id, to: .draftDone, nowMs: finished, in: connection)
            if let staffEmail {
                let mail = try SendNotification.draftReady(
                    to: staffEmail, inquiry: inquiry.id, organisation: inquiry.organizationName, payment: payment)
                try outbox.add(mail, nowMs: finished, in: connection)
            }
        }
        if case .done = result {
            log.info(
                "draft made",
                [
                    "inquiry_id": .string(inquiry.id), "order_id": .string(inquiry.order), "bytes": .int(Int64(stored.size)),
                    "model": .string(answer.model),
                ])
        }
        if case .skipped(let reason) = result { try await failed(job, reason: reason, nowMs: finished) }
        return switch result {
        case .done, .finishedBefore: .done
        case .skipped(let reason): .skipped(reason: reason)
        }
    }

    /// Notes on the inquiry that no draft will come without a person: its job was buried, or skipped because the money went back.
    /// The first reason stays.
    public func failed(_ job: JobEnvelope, reason: String, nowMs: Int64) async throws {
        guard let inquiry = job.args["inquiry"]?.string else { return }
        _ = try await database.write { connection in
            guard let found = try InquiryStore.find(inquiry, in: connection), found.state.admitsDraft, found.state != .draftFailed else { return }
            try InquiryStore.move(inquiry, to: .draftFailed, failure: reason, nowMs: nowMs, in: connection)
        }
    }

    private enum Beginning: Sendable {
        case inquiry(Inquiry)
        case nothingToDo(String)
        case finishedBefore
    }

    /// Marks the inquiry as running, unless there is nothing to do. The guard is asked again when the effect is entered.
    private static func begin(_ id: String, job: JobEnvelope, nowMs: Int64, in connection: Connection) throws -> Beginning {
        if try Outbox.isFinished(job.id, in: connection) { return .finishedBefore }
        let inquiry = try InquiryStore.require(id, in: connection)
        guard try GeneratedDraft.of(inquiry: id, in: connection) == nil, inquiry.state.admitsDraft else {
            let reason = "inquiry is \(inquiry.state.rawValue)"
            _ = try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection)
            return .nothingToDo(reason)
        }
        guard try PaymentStore.require(job.payment ?? "", in: connection).subject == id else {
            throw JobFailure.bury("payment \(job.payment ?? "") is not for inquiry \(id)")
        }
        try InquiryStore.move(id, to: .aiRunning, nowMs: nowMs, in: connection)
        return .inquiry(inquiry)
    }

    /// The kept answer, or a new one, kept at once.
    private func answer(for inquiry: Inquiry, _ context: JobContext, nowMs: @Sendable () -> Int64) async throws -> DraftAnswer {
        if let kept = try await database.read({ try DraftAnswer.of(inquiry: inquiry.id, in: $0) }) { return kept }
        let prompt = DraftPrompt(inquiry)
        let answer = try await context.effect(Self.effect, key: inquiry.id, policy: .againVisibly) { [generation] key in
            try await generation.generate(system: prompt.system, user: prompt.user, request: key)
        }
        let now = nowMs()
        // Whoever was first has said what the document says: a second delivery of the job writes the same file, byte for byte.
        return try await database.write { connection in
            try answer.save(inquiry: inquiry.id, nowMs: now, in: connection)
            return try DraftAnswer.of(inquiry: inquiry.id, in: connection) ?? answer
        }
    }

    private static func values(of inquiry: Inquiry, answer: DraftAnswer) -> JSONObject {
        var members = inquiry.texts.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }
        members.append(("generated_content", .string(answer.content)))
        members.append(("documents_count", .int(inquiry.documentsCount)))
        return JSONObject(members)
    }
}
