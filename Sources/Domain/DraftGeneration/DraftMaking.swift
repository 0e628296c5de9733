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
/// The text is paid for: it is asked for as an effect, and its answer is kept, with what it cost, before anything is made of it. The crash
/// window's policy is *again, the duplicate visible*, since such endpoints know no idempotency keys: a text whose answer was lost is asked for
/// once more under the same request id, and costs twice, but only the answer that was kept is ever used.
public struct DraftMaking: Sendable {
    private let database: Database
    private let outbox: Outbox
    private let generation: TextGeneration
    private let templates: DocumentTemplates
    private let files: PrivateFiles
    private let staffEmail: String?
    private let price: TextPrice

    /// - Parameters:
    ///   - files: where drafts go, and templates are.
    ///   - price: what texts cost, and may cost in a day.
    public init(
        database: Database, outbox: Outbox, generation: TextGeneration, templates: DocumentTemplates, files: PrivateFiles, staffEmail: String?,
        price: TextPrice = TextPrice()
    ) {
        self.database = database
        self.outbox = outbox
        self.generation = generation
        self.templates = templates
        self.files = files
        self.staffEmail = staffEmail
        self.price = price
    }

    /// The name of the effect; its key is the inquiry, with the version behind it from the second on.
    public static let effect = "text-generation"
    /// The kind of the task that is open while a draft waits for another day.
    public static let budgetTask = "ai_budget"
    private static let budgetDetail = "AI_DAILY_BUDGET is used up: the draft waits for the next day (UTC)"

    static func key(inquiry: String, version: Int64) -> String { version == 1 ? inquiry : "\(inquiry):v\(version)" }

    public func run(_ parameters: GenerateDraft, context: JobContext, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let (job, log) = (context.job, context.log)
        let started = nowMs()
        let begun = try await database.write { [price] connection in
            try Self.begin(parameters, price: price, job: job, nowMs: started, in: connection)
        }
        let work: Work
        switch begun {
        case .work(let found): work = found
        case .nothingToDo(let reason): return .skipped(reason: reason)
        case .finishedBefore: return .done
        case .waits(let delay):
            log.warning("draft waits: the day's budget for texts is used up", ["inquiry_id": .string(parameters.inquiry)])
            return .snooze(delay)
        }
        let answer = try await answer(for: work, context, nowMs: nowMs)
        let document = try await templates.fill(try files.absolutePath(work.templatePath), Self.values(of: work.inquiry, answer: answer))
        // Filling takes a while. Whoever has lost the job meanwhile overwrites no draft that another one has entered.
        if try await isMade(work) { return .done }
        let stored = try await files.write(document, to: work.path)
        return try await enter(work, stored, answer, job: job, log: log, nowMs: nowMs())
    }

    private func isMade(_ work: Work) async throws -> Bool {
        try await database.read { try GeneratedDraft.of(inquiry: work.inquiry.id, version: work.version, in: $0) } != nil
    }

    /// Enters the draft that is stored by now.
    private func enter(
        _ work: Work, _ stored: StoredFile, _ answer: DraftAnswer, job: JobEnvelope, log: Log, nowMs finished: Int64
    ) async throws -> JobOutcome {
        let inquiry = work.inquiry
        let result = try await database.paidEffect(of: job, nowMs: finished, detail: stored.path) { [outbox, staffEmail] payment, connection in
            let draft = GeneratedDraft(
                inquiry: inquiry.id, version: work.version, payment: payment.id, path: stored.path, sha256: stored.sha256Hex,
                size: Int64(stored.size), template: work.template, createdAtMs: finished)
            try draft.save(in: connection)
            _ = try InquiryStore.move(
                inquiry.id, from: ProcessingState.admittingDraft, to: .draftDone, nowMs: finished, in: connection)
            try PaymentTask.close(
                payment: payment.id, kind: Self.budgetTask, detail: Self.budgetDetail, nowMs: finished, in: connection)
            if let staffEmail {
                let notice = try Self.notice(of: work, to: staffEmail, payment: payment)
                try outbox.add(notice, nowMs: finished, in: connection)
            }
        }
        switch result {
        case .done:
            log.info(
                "draft made",
                [
                    "inquiry_id": .string(inquiry.id), "order_id": .string(inquiry.order), "version": .int(work.version),
                    "bytes": .int(Int64(stored.size)), "model": .string(answer.model),
                ])
            return .done
        case .finishedBefore: return .done
        case .skipped(let reason):
            try await failed(job, reason: reason, nowMs: finished)
            return .skipped(reason: reason)
        }
    }

    /// Notes on the inquiry that no draft will come without a person: its job was buried, or skipped because the money went back.
    /// The first reason stays.
    public func failed(_ job: JobEnvelope, reason: String, nowMs: Int64) async throws {
        guard let inquiry = job.args["inquiry"]?.string else { return }
        _ = try await database.write { connection in
            guard let found = try InquiryStore.find(inquiry, in: connection), found.state.admitsDraft, found.state != .draftFailed,
                found.draftVersion == GenerateDraft.version(of: job)
            else { return }
            try InquiryStore.move(inquiry, to: .draftFailed, failure: reason, nowMs: nowMs, in: connection)
        }
    }

    // MARK: The beginning

    /// One draft to be made.
    private struct Work: Sendable {
        let inquiry: Inquiry
        let version: Int64
        let prompt: DraftPrompt
        let template: Int64
        let templatePath: String

        /// Where the document goes: of each version and template another place, so that a late worker overwrites nothing.
        var path: String {
            version == 1 && template == 0 ? "drafts/\(inquiry.id).docx" : "drafts/\(inquiry.id)-v\(version)-t\(template).docx"
        }
    }

    private enum Beginning: Sendable {
        case work(Work)
        case nothingToDo(String)
        case finishedBefore
        case waits(Duration)
    }

    /// Marks the inquiry as running, unless there is nothing to do. The guard is asked again when the effect is entered.
    private static func begin(
        _ parameters: GenerateDraft, price: TextPrice, job: JobEnvelope, nowMs: Int64, in connection: Connection
    ) throws -> Beginning {
        if try Outbox.isFinished(job.id, in: connection) { return .finishedBefore }
        let (id, version) = (parameters.inquiry, parameters.version ?? 1)
        let inquiry = try InquiryStore.require(id, in: connection)
        if let reason = try obstacle(inquiry, version, in: connection) {
            _ = try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection)
            return .nothingToDo(reason)
        }
        let payment = try PaymentStore.require(job.payment ?? "", in: connection)
        guard payment.subject == id else { throw JobFailure.bury("payment \(payment.id) is not for inquiry \(id)") }
        if try isOverBudget(inquiry, version, price, nowMs: nowMs, in: connection) {
            try PaymentTask.open(payment: payment.id, kind: budgetTask, detail: budgetDetail, nowMs: nowMs, in: connection)
            return .waits(DraftCharge.restOfDay(from: nowMs))
        }
        try InquiryStore.move(id, to: .aiRunning, nowMs: nowMs, in: connection)
        let template = try DocumentTemplateVersion.active(in: connection)
        return .work(
            Work(
                inquiry: inquiry, version: version, prompt: try DraftPrompt.active(inquiry.language, in: connection),
                template: template?.version ?? 0, templatePath: template?.path ?? DocumentTemplateVersion.standardPath))
    }

    private static func obstacle(_ inquiry: Inquiry, _ version: Int64, in connection: Connection) throws -> String? {
        guard version == inquiry.draftVersion else { return "version \(inquiry.draftVersion) of the draft is wanted, not \(version)" }
        guard try GeneratedDraft.of(inquiry: inquiry.id, version: version, in: connection) == nil, inquiry.state.admitsDraft else {
            return "inquiry is \(inquiry.state.rawValue)"
        }
        return nil
    }

    /// Whether the day has no money left for a text. Calls that are under way may pass the budget by what they cost.
    private static func isOverBudget(
        _ inquiry: Inquiry, _ version: Int64, _ price: TextPrice, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        guard let budget = price.dailyBudgetMicros, try DraftAnswer.of(inquiry: inquiry.id, version: version, in: connection) == nil else {
            return false
        }
        return try DraftCharge.sum(on: DraftCharge.day(of: nowMs), currency: price.currency, in: connection) >= budget
    }

    // MARK: The text

    /// The kept answer, or a new one, kept at once.
    private func answer(for work: Work, _ context: JobContext, nowMs: @Sendable () -> Int64) async throws -> DraftAnswer {
        let (id, version) = (work.inquiry.id, work.version)
        let wording = PromptWording(work.prompt, work.inquiry)
        return try await context.effect(Self.effect, key: Self.key(inquiry: id, version: version), policy: .againVisibly) { [self] key in
            // Kept by an attempt that ended before its effect did.
            if let kept = try await database.read({ try DraftAnswer.of(inquiry: id, version: version, in: $0) }) { return kept }
            do {
                let answer = try await generation.generate(system: wording.system, user: wording.user, request: key)
                return try await keep(answer, wording, work, nowMs: nowMs())
            } catch let error as TextGenerationError {
                guard let billed = error.billed else { throw error }
                let useless = try await charge(billed, work, nowMs: nowMs())
                throw useless < Self.uselessMax ? error : error.givenUp(after: useless)
            }
        }
    }

    /// Keeps an answer and what it cost, in one transaction. Whoever was first has said what the document says: another answer is paid for and
    /// recorded, and not used.
    private func keep(_ answer: DraftAnswer, _ wording: PromptWording, _ work: Work, nowMs: Int64) async throws -> DraftAnswer {
        let estimate = TextUsage(estimating: wording.system + wording.user, answer: answer.content)
        let usage = answer.promptTokens.map { TextUsage(promptTokens: $0, completionTokens: answer.completionTokens ?? 0) } ?? estimate
        let (id, version) = (work.inquiry.id, work.version)
        return try await kept { [price] connection in
            let isKept = try answer.save(inquiry: id, version: version, prompt: work.prompt.version, nowMs: nowMs, in: connection)
            try DraftCharge.record(
                usage, model: answer.model, outcome: isKept ? .kept : .surplus, price: price, inquiry: id, version: version, nowMs: nowMs,
                in: connection)
            return try DraftAnswer.of(inquiry: id, version: version, in: connection) ?? answer
        }
    }

    /// Answers of no use that a version of a draft may cost: an endpoint that gives one after the other is a person's to look at.
    private static let uselessMax = 3

    /// Records an answer that is of no use.
    /// - Returns: how many of those the version has cost by now.
    private func charge(_ billed: BilledAnswer, _ work: Work, nowMs: Int64) async throws -> Int {
        let (id, version) = (work.inquiry.id, work.version)
        return try await kept { [price] connection in
            try DraftCharge.record(
                billed.usage, model: billed.model, outcome: .refused, price: price, inquiry: id, version: version, nowMs: nowMs, in: connection)
            return try DraftCharge.of(inquiry: id, in: connection).count { $0.version == version && $0.outcome == .refused }
        }
    }

    /// What was paid for is written down, whatever happens: a database that is away for a moment is tried again, and a worker that stops waits.
    private func kept<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try await uncancelled(pauses: Self.keepPauses, isTransient: { ($0 as? DatabaseError)?.isTransient == true }) { [database] in
            try await database.write(body)
        }
    }

    private static let keepPauses: [Duration] = [.milliseconds(100), .milliseconds(500), .seconds(2), .seconds(5)]

    // MARK: The document

    private static func values(of inquiry: Inquiry, answer: DraftAnswer) -> JSONObject {
        var members = inquiry.texts.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }
        members.append(("generated_content", .string(answer.content)))
        members.append(("documents_count", .int(inquiry.documentsCount)))
        return JSONObject(members)
    }

    /// Tells staff that a draft is there: of each version once.
    private static func notice(of work: Work, to staff: String, payment: Payment) throws -> JobRequest {
        let inquiry = work.inquiry
        guard work.version > 1 else {
            return try SendNotification.draftReady(to: staff, inquiry: inquiry.id, organisation: inquiry.organizationName, payment: payment)
        }
        let values = ["inquiry": inquiry.id, "organisation": inquiry.organizationName, "payment": payment.id]
        return try SendNotification(
            template: .draftReady, recipient: staff, language: "fr", values: values, cause: key(inquiry: inquiry.id, version: work.version)
        ).request(payment: payment.id)
    }
}
