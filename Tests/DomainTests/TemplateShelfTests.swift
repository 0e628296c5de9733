import Database
import DraftGeneration
import Drafts
import Formats
import JobQueue
import PrivateFiles
import TestSupport
import Testing

@Suite("Templates of the document")
struct TemplateShelfTests {
    private static let everything = "{{ organization_name }} {{ generated_content }}"

    @Test("one that is installed is checked, tried, kept and used from now on; the one before comes back when it is asked for")
    func installed() async throws {
        try await DraftingFixture.with { room in
            let bytes = try await room.document("Ours: \(Self.everything)")
            let (template, trial) = try await room.shelf.install(bytes, actor: "staff:awa", reason: "new logo", nowMs: DomainFixture.nowMs)
            #expect(template.version == 1 && template.isActive && template.size == Int64(bytes.count))
            #expect(template.found == ["generated_content", "organization_name"] && template.missing.count == 15)
            #expect(trial.document.starts(with: Array("PK".utf8)))

            let (id, payment) = try await room.drafted()
            let draft = try #require(try await room.draft(of: id))
            #expect(draft.template == 1 && draft.path == "drafts/\(id)-v1-t1.docx")
            #expect(try await room.text(of: draft).hasPrefix("Ours: Été & Fils <SARL>"))

            try await room.domain.database.write {
                try DocumentTemplateVersion.activate(0, actor: "staff:awa", reason: "the old one", nowMs: DomainFixture.nowMs, in: $0)
            }
            let (other, _) = try await room.drafted()
            #expect(try await room.draft(of: other)?.path == "drafts/\(other).docx")
            #expect(!payment.isEmpty)
            let trail = try await room.domain.database.read { try InquiryAudit.newest(limit: 10, in: $0) }
            #expect(trail.map(\.action) == ["template_activated", "template_activated", "template_installed"])
        }
    }

    @Test(
        "one that cannot be used is refused in a sentence, and nothing is left of it",
        arguments: [
            ("{{ organisation_name }}", "organisation_name"), ("{{ email", "cannot be filled"),
            ("{% for x in range(10**9) %}{% endfor %}{{ email }}", "Range"),
            ("{{ email.__class__ }}", "unsafe"),
        ])
    func refused(text: String, reason: String) async throws {
        try await DraftingFixture.with { room in
            let bytes = try await room.document(text)
            for isTrial in [true, false] {
                let error = await #expect(throws: KitActionError.self) {
                    if isTrial { _ = try await room.shelf.examine(bytes) }
                    _ = try await room.shelf.install(bytes, actor: "a", reason: "r", nowMs: 1)
                }
                #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
                #expect(error?.description.contains("/private/") == false)
            }
            #expect(try await room.domain.database.read { try DocumentTemplateVersion.all(in: $0).isEmpty })
            let left = room.domain.folder.list("private/templates/kit")
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test("what is no Word document is refused before any process looks at it")
    func noDocument() async throws {
        try await DraftingFixture.with { room in
            for bytes in [[], Array("PK".utf8), Array("%PDF-1.7\n%%EOF".utf8), [0xD0, 0xCF, 0x11, 0xE0]] as [[UInt8]] {
                let error = await #expect(throws: KitActionError.self) { _ = try await room.shelf.install(bytes, actor: "a", reason: "r", nowMs: 1) }
                #expect(error?.description.contains("Word document") == true)
            }
        }
    }

    @Test("one that was put on the shelf piece by piece is tried and installed where it lies; what lies elsewhere or is something else is not")
    func kept() async throws {
        try await DraftingFixture.with { room in
            func file(_ path: String, _ kind: FileKind = .docx, size: Int64 = 1) -> CheckedFile {
                CheckedFile(path: path, kind: kind, name: FileName("a", kind: kind), sha256: "aa", size: size)
            }
            let good = try await FileIntake.take(
                try await room.document(Self.everything), to: room.storage, folder: TemplateShelf.folder, name: "Kit.docx", rules: .template)
            #expect(try await room.shelf.examine(good).document.starts(with: Array("PK".utf8)))
            let (template, _) = try await room.shelf.install(good, activates: false, actor: "staff:awa", reason: "r", nowMs: 1)
            #expect(template.path == good.path && template.sha256 == good.sha256 && !template.isActive)
            let wrong = [
                file("finals/\(good.path)"), file("\(TemplateShelf.folder)/x", .pdf),
                file(good.path, size: Int64(TemplateShelf.sizeMax) + 1),
            ]
            for file in wrong {
                await #expect(throws: KitActionError.self) { _ = try await room.shelf.install(file, actor: "a", reason: "r", nowMs: 1) }
            }
            #expect(try await room.domain.database.read { try DocumentTemplateVersion.all(in: $0).count } == 1)
        }
    }

    @Test("a template that does not come to its end is killed, the draft tried again, and the process that follows fills the next one")
    func hanging() async throws {
        try await DraftingFixture.with { room in
            let slow = try await room.document("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}{{ email }}")
            let path = try await room.files.write(slow, to: "templates/slow.docx").path
            let templates = DraftingFixture.templates(timeout: .seconds(5))
            await #expect(throws: (any Error).self) { _ = try await templates.fill(try room.files.absolutePath(path), ["email": "x"]) }
            let good = try await room.files.write(try await room.document("{{ email }}"), to: "templates/good.docx").path
            let document = try await templates.fill(try room.files.absolutePath(good), ["email": "x"])
            #expect(document.starts(with: Array("PK".utf8)))
        }
    }

    @Test("one process fills many documents, and the same values give the same bytes")
    func many() async throws {
        try await DraftingFixture.with { room in
            let path = try room.files.absolutePath(try await room.files.write(try await room.document("{{ email }}"), to: "templates/x.docx").path)
            let templates = DraftingFixture.templates()
            let first = try await templates.fill(path, ["email": "a & <b>\nc"])
            try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<12 { group.addTask { try await templates.fill(path, ["email": "a & <b>\nc"]) } }
                for try await document in group { #expect(document == first) }
            }
        }
    }

    @Test("all 17 values are read back by a Word reader, letter by letter: signs of markup, accents, lines, writing from right to left")
    func readBack() async throws {
        let texts = [
            "&amp; < > \" ' {{ x }} {% y %}", "œuvre Été ÀÇÉ — « ça »", "first\nsecond\n\nthird", "עברית שלום 123", "العربية مرحبا (1)",
            "𝔘nicode 👩🏽‍🔬 e\u{301}",
        ]
        try await DraftingFixture.with { room in
            var fields = ["organization_name": "Œ & <O>", "contact_name": "שרה & <S>", "email": "a+b@example.org", "documents_count": "42"]
            for (number, name) in InquiryForm.textFields.enumerated() { fields[name] = "\(name): \(texts[number % texts.count])" }
            let (id, _) = try await room.drafted(fields)
            let draft = try #require(try await room.draft(of: id))
            let document = try await room.text(of: draft)
            for (name, value) in fields {
                for line in value.split(separator: "\n") { #expect(document.contains(line), "\(name): '\(line)' is missing") }
            }
        }
    }
}
