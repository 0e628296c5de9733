import Database
import DraftGeneration
import Drafts
import EventLoop
import Formats
import HTTPClient
import HTTPServer
import JobQueue
import ObjectStorage
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import SandboxService
import Synchronization
import Telemetry
import TestSupport

/// The drafts room with the real template process, private files and the played text endpoint over HTTP.
final class DraftingFixture: Sendable {
    let domain: DomainFixture
    let files: PrivateFiles
    private let loop: EventLoop
    private let sandbox: Sandbox
    private let client: HTTPClient

    static let python = "\(repositoryRoot)/.venv/bin/python"
    static let script = "\(repositoryRoot)/deploy/docx/fill_template.py"

    /// The template of the set-up, made once for all tests; each keeps it where the product does.
    private static let kit = Task<[UInt8], any Error> {
        let folder = try TemporaryFolder("quittance-template")
        let made = try await ProcessFixture.start(python, ["\(repositoryRoot)/deploy/docx/make_template.py", folder.file("kit.docx")])
        guard try await made.waitForExit(within: .seconds(60)) == .exited(0) else { throw FixtureError("no template: \(made.transcript)") }
        guard let template = folder.read("kit.docx") else { throw FixtureError("no template: \(made.transcript)") }
        return template
    }
    private static let kitPath = "templates/kit_complet_template.docx"

    static func with(_ body: (DraftingFixture) async throws -> Void) async throws {
        let fixture = try await DraftingFixture()
        do {
            try await body(fixture)
        } catch {
            await fixture.stop()
            throw error
        }
        await fixture.stop()
    }

    private init() async throws {
        domain = try DomainFixture()
        files = PrivateFiles(root: domain.folder.file("private"), pool: DomainFixture.pool)
        try await files.write(try await Self.kit.value, to: Self.kitPath)
        loop = try EventLoop.started(name: "drafting")
        let nowhere = "http://127.0.0.1:9"
        sandbox = Sandbox(configuration: SandboxConfiguration(address: SocketAddress("127.0.0.1", 0), ingestURL: nowhere), loop: loop)
        try await sandbox.start()
        client = HTTPClient(loop: loop)
    }

    private func stop() async {
        await client.close()
        await sandbox.stop(by: .now.advanced(by: .seconds(2)))
        let loop = loop
        _ = try? await DomainFixture.pool.run { loop.stop() }
    }

    // MARK: The text endpoint

    /// How the endpoint behaves at the next calls.
    func next(_ steps: String...) async throws {
        let body: JSON = ["steps": .array(steps.map { .string($0) })]
        let request = HTTPClient.Request(
            method: "POST", url: "http://\(sandbox.boundAddress)/sandbox/openai", headers: ["content-type": "application/json"], body: body.bytes)
        guard try await client.send(request).status == 200 else { throw FixtureError("the sandbox refuses \(steps)") }
    }

    /// How often text was asked for.
    func calls() async throws -> Int {
        let response = try await client.send(HTTPClient.Request(method: "GET", url: "http://\(sandbox.boundAddress)/sandbox/calls"))
        let calls = try JSON(parsing: response.body)["calls"]?.array ?? []
        return calls.count { $0["path"]?.string?.hasSuffix("/chat/completions") == true }
    }

    /// A text endpoint of the test's own: `answer` gets the number of the call, from 1.
    func withWriter(_ answer: @escaping @Sendable (Int) async -> HTTPResponse, _ body: (_ baseURL: String) async throws -> Void) async throws {
        try await withWriter(recording: RecordedBodies(), answer, body)
    }

    func withWriter(
        recording: RecordedBodies, _ answer: @escaping @Sendable (Int) async -> HTTPResponse = { _ in written("Text") },
        _ body: (_ baseURL: String) async throws -> Void
    ) async throws {
        let count = Mutex(0)
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "writer", log: Log(),
            handler: HTTPServer.asyncHandler { request in
                recording.add(request)
                return await answer(
                    count.withLock { count in
                        count += 1
                        return count
                    })
            })
        try await server.start()
        do {
            try await body("http://\(server.boundAddress)/v1")
        } catch {
            await server.stop(by: .now)
            throw error
        }
        await server.stop(by: .now)
    }

    /// An answer as the endpoint gives it.
    static func written(_ text: String) -> HTTPResponse {
        .json(200, ["model": "writer", "choices": [["finish_reason": "stop", "message": ["role": "assistant", "content": .string(text)]]]])
    }

    // MARK: Inquiries

    /// Every text of the form, with what would be markup if it were not text.
    static let fields: [String: String] = {
        var fields = [
            "organization_name": "Été & Fils <SARL>", "contact_name": "Ève \"Awa\" N'Diaye", "email": "eve+kit@example.org",
            "phone": "+2250707123456", "documents_count": "7",
        ]
        for name in InquiryForm.textFields { fields[name] = "\(name): œuvre & <b>{{ email }}</b>" }
        return fields
    }()

    func inquiry(_ changes: [String: String] = [:]) async throws -> (inquiry: Inquiry, order: Order, payment: String) {
        let form = try InquiryForm(fields: Self.fields.merging(changes) { $1 })
        let (inquiry, order, payment) = try await domain.database.write {
            try InquiryStore.create(form, actor: "test", nowMs: DomainFixture.nowMs, in: $0)
        }
        return (inquiry, order, payment.id)
    }

    /// An inquiry whose payment came in, with the job that this started.
    func paidInquiry(_ changes: [String: String] = [:]) async throws -> (id: String, payment: String, job: JobEnvelope) {
        let (inquiry, _, payment) = try await inquiry(changes)
        _ = try await domain.tell(.captured, of: payment)
        return (inquiry.id, payment, try await domain.delivered(GenerateDraft.kind, of: payment))
    }

    func found(_ inquiry: String) async throws -> Inquiry { try await domain.database.read { try InquiryStore.require(inquiry, in: $0) } }

    func draft(of inquiry: String) async throws -> GeneratedDraft? {
        try await domain.database.read { try GeneratedDraft.of(inquiry: inquiry, in: $0) }
    }

    // MARK: Work

    static func templates(script: String = script, timeout: Duration = .seconds(60)) -> DocumentTemplates {
        DocumentTemplates(python: python, script: script, timeout: timeout, processes: 1)
    }

    /// Where finals and attachments go.
    var storage: any ObjectStorage { LocalStorage(files) }

    var shelf: TemplateShelf { TemplateShelf(database: domain.database, files: files, templates: Self.templates()) }

    /// The template of the set-up.
    func kitTemplate() async throws -> [UInt8] { try await Self.kit.value }

    /// A one-paragraph Word document with a text, as a template or a final.
    func document(_ text: String) async throws -> [UInt8] {
        let name = "made-\(ULID.make()).docx"
        let maker = try await ProcessFixture.start(Self.python, [fixture("python/make_docx.py"), domain.folder.file(name), text])
        guard try await maker.waitForExit(within: .seconds(60)) == .exited(0), let bytes = domain.folder.read(name) else {
            throw FixtureError("no document: \(maker.transcript)")
        }
        return bytes
    }

    /// An inquiry whose draft was made.
    func drafted(_ changes: [String: String] = [:]) async throws -> (id: String, payment: String) {
        let (id, payment, job) = try await paidInquiry(changes)
        guard try await making().deliver(job) == .done else { throw FixtureError("no draft of \(id)") }
        return (id, payment)
    }

    /// The job of a version of the draft, as its queue delivers it.
    func job(of payment: String, version: Int64) async throws -> JobEnvelope {
        try await domain.database.read { connection in
            let rows = try connection.query(
                "SELECT id, args FROM outbox_jobs WHERE payment = $1 AND kind = $2 ORDER BY sequence", [.text(payment), .text(GenerateDraft.kind)])
            for row in rows {
                let args = try JSON(parsing: try row.text("args"))
                guard (args["version"]?.int ?? 1) == version else { continue }
                return JobEnvelope(
                    id: try row.text("id"), kind: GenerateDraft.kind, queue: GenerateDraft.queue, args: args, payment: payment,
                    enqueuedAtMs: DomainFixture.nowMs)
            }
            throw FixtureError("there is no job of version \(version)")
        }
    }

    /// - Parameters:
    ///   - baseURL: of another text endpoint than the sandbox's.
    ///   - script: in place of the product's own.
    func making(
        database: Database? = nil, baseURL: String? = nil, script: String = DraftingFixture.script, timeout: Duration = .seconds(20),
        staff: String? = nil, price: TextPrice = TextPrice()
    ) async throws -> DraftDelivery {
        let generation = TextGeneration(
            baseURL: baseURL ?? "http://\(sandbox.boundAddress)/openai/v1", apiKey: "sk-test", model: "writer", client: client, timeout: timeout)
        let used = database ?? domain.database
        let making = DraftMaking(
            database: used, outbox: Outbox(slot: "worker-drafts.0"), generation: generation, templates: Self.templates(script: script), files: files,
            staffEmail: staff, price: price)
        return DraftDelivery(
            making: making, effects: Effects(store: EffectTable(database: used), owners: Living()), worker: WorkerIdentity(name: "worker-drafts"))
    }

    /// What a Word reader finds in the draft's file: paragraphs, cells, header, footer and title.
    func text(of draft: GeneratedDraft) async throws -> String {
        let reader = try await ProcessFixture.start(
            Self.python, [fixture("python/docx_text.py"), domain.folder.file("private/\(draft.path)")])
        guard try await reader.waitForExit(within: .seconds(60)) == .exited(0) else { throw FixtureError("not readable: \(reader.transcript)") }
        try await eventually { reader.output.contains { $0.hasSuffix("}") } }
        let json = try JSON(parsing: Array(reader.output.joined().utf8))
        let members = (json["paragraphs"]?.array ?? []) + (json["cells"]?.array ?? []) + [json["header"] ?? "", json["footer"] ?? ""]
        return members.compactMap(\.string).joined(separator: "\n")
    }
}

/// What a text endpoint was asked.
final class RecordedBodies: Sendable {
    private let bodies = Mutex<[JSON]>([])
    var all: [JSON] { bodies.withLock { $0 } }
    func add(_ request: HTTPRequest) { bodies.withLock { $0.append((try? JSON(parsing: request.body)) ?? .null) } }
}

/// Drafts made by one worker.
struct DraftDelivery: Sendable {
    let making: DraftMaking
    let effects: Effects
    let worker: WorkerIdentity

    /// One delivery of the job.
    func deliver(_ job: JobEnvelope, nowMs: Int64 = DomainFixture.nowMs) async throws -> JobOutcome {
        let context = JobContext(job: job, attempt: 1, worker: worker, log: Log(), effects: effects)
        return try await making.run(try job.parameters(as: GenerateDraft.self), context: context, nowMs: { nowMs })
    }

    func failed(_ job: JobEnvelope, reason: String, nowMs: Int64) async throws { try await making.failed(job, reason: reason, nowMs: nowMs) }
}
