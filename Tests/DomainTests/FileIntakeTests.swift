import Cryptography
import Drafts
import Formats
import ObjectStorage
import TestSupport
import Testing

@Suite("Files that people hand in")
struct FileIntakeTests {
    static let pdf = Array("%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n".utf8)
    static let png: [UInt8] =
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0] + Array("IEND".utf8) + [0xAE, 0x42, 0x60, 0x82]
    static let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10] + Array("JFIF".utf8) + [0xFF, 0xD9]

    private func refusal(
        _ bytes: [UInt8], _ room: DraftingFixture, name: String = "x.pdf", rules: FileIntake.Rules = .attachment
    ) async -> FileIntakeError? {
        await #expect(throws: FileIntakeError.self) {
            _ = try await FileIntake.take(bytes, to: room.storage, folder: "attachments", name: name, rules: rules)
        }
    }

    @Test("what is in a file says what it is, whatever it is called; it is stored whole, with its hash")
    func kinds() async throws {
        try await DraftingFixture.with { room in
            let docx = try await room.document("Hello")
            for (bytes, kind, shown) in [
                (Self.pdf, FileKind.pdf, "facture.pdf"), (Self.png, .png, "facture.png"), (Self.jpeg, .jpeg, "facture.jpg"),
                (docx, .docx, "facture.docx"),
            ] {
                let file = try await FileIntake.take(bytes, to: room.storage, folder: "attachments", name: "C:\\a\\facture.exe", rules: .attachment)
                #expect(file.kind == kind && file.name.text == shown)
                #expect(file.sha256 == Digest.sha256Hex(bytes) && file.size == Int64(bytes.count))
                #expect(try await room.storage.read(file.path, limit: 1 << 20) == bytes)
                #expect(file.path.hasPrefix("attachments/") && !file.path.contains("facture"))
            }
        }
    }

    @Test("nothing is left of a file that is empty, too large, cut off, or none of the kinds")
    func refused() async throws {
        try await DraftingFixture.with { room in
            #expect(await refusal([], room) == .empty)
            let docx = try await room.document("Hello")
            for bytes in [
                Array("<html>".utf8), Array("MZ\u{90}".utf8), Array(docx.dropLast(40)), Array(Self.pdf.prefix(20)), Array("%PDF-".utf8) + Self.png,
                [0x50, 0x4B, 0x05, 0x06] + [UInt8](repeating: 0, count: 18),
            ] {
                #expect(await refusal(bytes, room) == .wrongKind(allowed: Set(FileKind.allCases)), "\(bytes.prefix(8))")
            }
            #expect(await refusal(Self.png, room, rules: .final) == .wrongKind(allowed: [.docx, .pdf]))
            let large = Self.pdf + [UInt8](repeating: 32, count: 10 << 20)
            #expect(await refusal(large, room) == .tooLarge(limit: 10 << 20))
            #expect(room.domain.folder.list("private/attachments").isEmpty)
            #expect(room.domain.folder.list("private/.incoming").isEmpty)
        }
    }

    @Test("a document with macros, a spreadsheet under a document's name, an archive with neither: each is what it is")
    func archives() async throws {
        let cases: [([String], FileKind?)] = [
            (["[Content_Types].xml", "word/document.xml"], .docx), (["[Content_Types].xml", "xl/workbook.xml"], .xlsx),
            (["[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"], nil), (["word/document.xml"], nil), (["[Content_Types].xml"], nil),
        ]
        for (names, kind) in cases {
            let archive = Self.archive(names)
            for size in [archive.count, 7, 1] {
                var sniffer = FileSniffer()
                for start in stride(from: 0, to: archive.count, by: size) {
                    sniffer.receive(Array(archive[start..<min(start + size, archive.count)]))
                }
                #expect(sniffer.kind == kind, "\(names) in pieces of \(size)")
            }
        }
    }

    /// A ZIP archive of empty files.
    static func archive(_ names: [String]) -> [UInt8] {
        func little(_ number: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        var bytes: [UInt8] = []
        var list: [UInt8] = []
        for name in names {
            let place = bytes.count
            let common = little(20, 2) + little(0, 20) + little(name.utf8.count, 2) + little(0, 2)
            bytes += [0x50, 0x4B, 0x03, 0x04] + common + Array(name.utf8)
            list += [0x50, 0x4B, 0x01, 0x02] + little(20, 2) + common + little(0, 2) + little(0, 8) + little(place, 4) + Array(name.utf8)
        }
        let end = [0x50, 0x4B, 0x05, 0x06] + little(0, 4) + little(names.count, 2) + little(names.count, 2)
        return bytes + list + end + little(list.count, 4) + little(bytes.count, 4) + little(0, 2)
    }

    @Test(
        "a name is shown without folders, control characters and tricks of direction, and ends as its kind does",
        arguments: [
            ("../../etc/passwd", "passwd.pdf"), ("..\\..\\win.ini", "win.pdf"), ("a/b/../c.docx", "c.pdf"), ("..", "document.pdf"),
            ("", "document.pdf"), ("..\u{2F}\u{301}etc/\u{338}y.pdf", "\u{338}y.pdf"),
            (".htaccess", "htaccess.pdf"), ("évaluation 2026.PDF", "évaluation 2026.pdf"), ("gpj.\u{202E}fdp.exe", "gpj.fdp.pdf"),
            ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie x.pdf"), ("<script>alert(1)</script>.pdf", "script.pdf"), ("x\u{0}y.pdf", "xy.pdf"),
            ("כותרת.pdf", "כותרת.pdf"), (String(repeating: "a", count: 300) + ".pdf", String(repeating: "a", count: 115) + ".pdf"),
        ])
    func names(given: String, shown: String) {
        #expect(FileName(given, kind: .pdf).text == shown)
    }
}
