import Database
import Drafts
import EventLoop
import Formats
import HTTPClient
import ObjectStorage
import PrivateFiles
import TestSupport
import Testing

@testable import WebService

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Files that customers attach to their inquiry", .timeLimit(.minutes(3)))
struct WebAttachmentTests {
    private static let path = "/kit/inquiry/"
    private static let pdf = Array("%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n".utf8)
    private static let png: [UInt8] =
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0] + Array("IEND".utf8) + [0xAE, 0x42, 0x60, 0x82]
    private static let fields = [("organization_name", "Sève"), ("contact_name", "Aïcha"), ("email", "aicha@example.org"), ("documents_count", "4")]
    private static let type = "multipart/form-data; boundary=frontier"

    private typealias File = (name: String, bytes: [UInt8])

    /// A form as browsers send it.
    private static func form(_ files: [File]) -> [UInt8] { form(fields, files) }

    private static func form(_ fields: [(String, String)], _ files: [File]) -> [UInt8] {
        var body: [UInt8] = []
        for (name, value) in fields {
            body += Array("--frontier\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
        }
        for file in files {
            let name = file.name.replacing("\"", with: "%22")
            body += Array("--frontier\r\nContent-Disposition: form-data; name=\"documents\"; filename=\"\(name)\"\r\n".utf8)
            body += Array("Content-Type: application/octet-stream\r\n\r\n".utf8) + file.bytes + [0x0D, 0x0A]
        }
        return body + Array("--frontier--\r\n".utf8)
    }

    private func send(_ stage: WebStage, _ body: [UInt8], path: String = path) async throws -> WebStage.Answer {
        try await stage.send("POST", path, headers: ["content-type": Self.type], body: body)
    }

    private func attachments(_ stage: WebStage) async throws -> [InquiryAttachment] {
        try await stage.database.read { connection in
            try connection.query("SELECT id FROM drafts_inquiries").flatMap { try InquiryAttachment.of(inquiry: try $0.text("id"), in: connection) }
        }
    }

    /// Files in the storage: what nothing leads to would be among them.
    private func stored(_ stage: WebStage) -> Int { stage.privateFiles("attachments").count }

    @Test("are kept privately, whole, under names of our own, and counted; the form works without a script")
    func kept() async throws {
        try await WebStage.with { stage in
            let page = try await stage.send("GET", Self.path)
            #expect(page.text.contains("enctype=\"multipart/form-data\"") && page.text.contains("type=\"file\""))
            let large = Self.pdf + [UInt8](repeating: 32, count: 3 << 20) + Array("%%EOF".utf8)
            let answer = try await send(stage, Self.form([("évaluation.pdf", large), ("../../etc/passwd", Self.png)]))
            #expect(answer.status == 303, "\(answer.text)")
            let files = try await attachments(stage)
            #expect(files.map(\.fileName) == ["évaluation.pdf", "passwd.png"] && files.map(\.kind) == [.pdf, .png])
            #expect(try await stage.storage.read(files[0].path, limit: 20 << 20) == large)
            #expect(files.allSatisfy { $0.path.hasPrefix("attachments/") && !$0.path.contains("..") })
            let inquiry = try await stage.database.read { try InquiryStore.require(files[0].inquiry, in: $0) }
            #expect(inquiry.documentsCount == 2, "what is there is counted, not what was typed")
            // Nobody reaches them from outside.
            for path in ["/\(files[0].path)", "/private/\(files[0].path)", "/kit/\(files[0].path)"] {
                #expect(try await stage.send("GET", path).status == 404)
            }
        }
    }

    @Test("a long text that comes in many pieces is taken whole")
    func textInPieces() async throws {
        try await WebStage.with { stage in
            let text = (0..<1500).map { "p\($0)é" }.joined(separator: " ")
            let body = Self.form(Self.fields + [("mission_text", text)], [("a.pdf", Self.pdf)])
            let head =
                "POST \(Self.path) HTTP/1.1\r\nHost: x\r\nContent-Type: \(Self.type)\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
            let port = stage.address.port
            let answer = try await Self.senders.run { try Self.sent(Array(head.utf8) + body, inPiecesOf: 61, to: port) }
            #expect(answer.hasPrefix("HTTP/1.1 303 "), "\(answer)")
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).map { $0.texts["mission_text"] } } == [text])
        }
    }

    private static let senders = BlockingPool(name: "senders", threads: 1)

    /// Sends bytes piece by piece, and gives the first of what is answered.
    private static func sent(_ bytes: [UInt8], inPiecesOf size: Int, to port: Int) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw FixtureError("no socket") }
        defer { close(descriptor) }
        var (on, limit) = (Int32(1), timeval(tv_sec: 30, tv_usec: 0))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard withLoopback(port, { connect(descriptor, $0, $1) }) == 0 else { throw FixtureError("no connection") }
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            guard Glibc.send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL)) == piece.count else { throw FixtureError("not sent") }
        }
        var answer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &answer, answer.count, 0)
        return String(decoding: answer.prefix(max(0, count)), as: UTF8.self)
    }

    @Test("where no file was chosen the typed number counts; the API takes files too")
    func withoutFiles() async throws {
        try await WebStage.with { stage in
            #expect(try await send(stage, Self.form([("", [])])).status == 303)
            #expect(try await attachments(stage).isEmpty)
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).map(\.documentsCount) } == [4])
            let answer = try await send(stage, Self.form([("a.pdf", Self.pdf)]), path: "/api/v1/kit/inquiries/")
            #expect(answer.status == 201 && answer.string("inquiry") != nil)
            #expect(try await attachments(stage).count == 1)
        }
    }

    @Test("that break a rule bring the form back as it was filled in, and nothing of them stays")
    func refused() async throws {
        try await WebStage.with { stage in
            let cases: [([File], String)] = [
                ([("a.pdf", Array("<script>alert(1)</script>".utf8)), ("b.pdf", Self.pdf)], "contenu"),
                ([("a.pdf", Self.pdf + [UInt8](repeating: 32, count: 11 << 20))], "trop grands"),
                (Array(repeating: ("a.pdf", Self.pdf), count: 11), "trop de fichiers"),
                (Array(repeating: ("a.pdf", Self.pdf + [UInt8](repeating: 32, count: 8_900_000) + Array("%%EOF".utf8)), count: 3), "trop grands"),
                ([("empty.pdf", [])], "vide"),
            ]
            for (files, sentence) in cases {
                let answer = try await send(stage, Self.form(files))
                #expect(answer.status == 422, "\(sentence): \(answer.status)")
                #expect(answer.text.contains("id=\"documents-fault\"") && answer.text.contains(sentence), "\(sentence)")
                #expect(answer.text.contains("value=\"Sève\""))
                try HTMLCheck.wellFormed(answer.text)
                #expect(stored(stage) == 0, "\(sentence)")
            }
            // A text that breaks a rule takes the files with it.
            let faulty = try await send(stage, Self.form([("organization_name", "Sève"), ("email", "nobody")], [("a.pdf", Self.pdf)]))
            #expect(faulty.status == 422 && stored(stage) == 0)
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).isEmpty })
        }
    }

    @Test("more than is ever taken is refused while it comes; a form that is cut off or none leaves nothing")
    func hostile() async throws {
        try await WebStage.with { stage in
            let whole = Self.form([("a.pdf", Self.pdf)])
            for (body, status) in [(Array(whole.dropLast(6)), 400), (Array("hello".utf8), 400), ([], 400)] as [([UInt8], Int)] {
                #expect(try await send(stage, body).status == status)
            }
            let noBoundary = try await stage.send("POST", Self.path, headers: ["content-type": "multipart/form-data"], body: whole)
            #expect(noBoundary.status == 400)
            let texts = try await send(stage, Self.form([("notes_text", String(repeating: "x", count: 1_200_000))], []))
            #expect(texts.status == 413)
            #expect(stored(stage) == 0)
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).isEmpty })
            // Other sites' pages cannot hand anything in.
            let foreign = try await stage.send(
                "POST", Self.path, headers: ["content-type": Self.type, "sec-fetch-site": "cross-site", "origin": "https://evil.example"], body: whole
            )
            #expect(foreign.status == 403)
        }
    }

    @Test("one address cannot fill the disk: after a dozen forms with files in a minute it waits")
    func rate() async throws {
        try await WebStage.with { stage in
            // A minute that has just begun: the next one is far enough.
            stage.turnClock(by: 60_000 - stage.nowMs % 60_000)
            var statuses: [Int] = []
            for _ in 0..<13 { statuses.append(try await send(stage, Self.form([("a.pdf", Self.pdf)])).status) }
            #expect(statuses == Array(repeating: 303, count: 12) + [429])
            stage.turnClock(by: 61_000)
            #expect(try await send(stage, Self.form([("a.pdf", Self.pdf)])).status == 303)
        }
    }

    @Test("without room on the disk a form with files is refused with 507 and when to come again, in words; without files it is taken")
    func noRoom() async throws {
        let folder = try TemporaryFolder("full")
        let files = PrivateFiles(root: folder.file("private"), pool: Self.senders)
        try await WebStage.with(storage: { _ in LocalStorage(files, freeMin: .max) }) { stage in
            let refused = try await send(stage, Self.form([("a.pdf", Self.pdf)]))
            #expect(refused.status == 507 && refused.headers["retry-after"] == "600")
            #expect(refused.text.contains("Envoyez le formulaire sans fichiers"))
            try HTMLCheck.wellFormed(refused.text)
            let api = try await send(stage, Self.form([("a.pdf", Self.pdf)]), path: "/api/v1/kit/inquiries/")
            #expect(api.status == 507 && api.headers["retry-after"] == "600" && api.string("title") == "No room for files")
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).isEmpty })
            #expect(folder.list("private/attachments").isEmpty && folder.list("private/.incoming").isEmpty)
            #expect(try await send(stage, Self.form([("", [])])).status == 303)
            #expect(try await stage.database.read { try InquiryStore.list(InquiryFilter(), in: $0).count } == 1)
        }
    }

    @Test("all files of unpaid inquiries together have a bound; a payment makes room again")
    func bound() async throws {
        try await WebStage.with(unpaidFilesMax: Int64(Self.pdf.count)) { stage in
            #expect(try await send(stage, Self.form([("a.pdf", Self.pdf)])).status == 303)
            #expect(try await send(stage, Self.form([("a.pdf", Self.pdf)])).status == 507)
            #expect(try await send(stage, Self.form([("", [])])).status == 303, "who hands in nothing is not concerned")
            #expect(stored(stage) == 1)
            try await stage.database.write { try $0.execute("UPDATE drafts_inquiries SET processing_state = 'PAID'") }
            #expect(try await send(stage, Self.form([("a.pdf", Self.pdf)])).status == 303)
        }
    }

    @Test("documents that do not come as files are a fault, and nothing that was taken is lost unsaid")
    func documentsAsText() async throws {
        try await WebStage.with { stage in
            let body = Self.form(Self.fields + [("documents", "evaluation.pdf")], [])
            let page = try await send(stage, body)
            #expect(page.status == 422 && page.text.contains("Les documents doivent être envoyés comme fichiers."))
            let api = try await send(stage, body, path: "/api/v1/kit/inquiries/")
            #expect(api.status == 422 && api.text.contains("must be sent as files"))
        }
    }

    @Test("markup in any text of the form is text on every page that shows it")
    func markup() async throws {
        try await WebStage.with { stage in
            let attack = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
            let names = ["organization_name", "contact_name"] + InquiryForm.textFields
            for isGood in [true, false] {
                let fields = names.map { ($0, attack) } + [("email", isGood ? "a@example.org" : attack), ("language", "en")]
                let files: [File] = [("\(attack).pdf", Self.pdf)]
                let answer = try await send(stage, Self.form(fields, files))
                #expect(answer.status == (isGood ? 303 : 422))
                let page = isGood ? try await stage.send("GET", try #require(answer.headers["location"])) : answer
                #expect(page.status == (isGood ? 200 : 422))
                #expect(!page.text.contains("<script>alert") && !page.text.contains("<img"), "\(page.text)")
                try HTMLCheck.wellFormed(page.text)
                #expect(page.headers["content-security-policy"]?.contains("unsafe") == false)
            }
            #expect(try await attachments(stage).map(\.fileName).allSatisfy { !$0.contains("<") && !$0.contains("\"") && !$0.contains("/") })
        }
    }
}
