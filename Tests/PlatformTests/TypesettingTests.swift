import EventLoop
import Subprocess
import Testing
import Typesetting

/// Every statement about a document is made by poppler, which has no part in making it.
@Suite struct TypesettingTests {
    private let pool = BlockingPool(name: "poppler", threads: 4)
    private static let metadata = PDFDocument.Metadata(
        title: "Facture n° 2026-0001", author: "Société Élan", subject: "Kit complet", createdMs: 1_795_248_000_123, language: "fr")

    private func poppler(_ program: String, _ arguments: [String], _ document: [UInt8]) async throws -> [UInt8] {
        let output = try await Subprocess.run(
            executable: program, arguments: arguments, environment: ["LC_ALL": "C.UTF-8", "TZ": "UTC"], input: document, pool: pool)
        #expect(output.status.isSuccess, "\(program): \(output.errorText)")
        return output.output
    }

    private func text(_ document: [UInt8], page: Int = 1) async throws -> String {
        String(decoding: try await poppler("pdftotext", ["-f", "\(page)", "-l", "\(page)", "-layout", "-", "-"], document), as: UTF8.self)
    }

    /// A page as pixels, one per point.
    private func pixels(_ document: [UInt8]) async throws -> (width: Int, colour: (Int, Int) -> [UInt8]) {
        let image = try await poppler("pdftoppm", ["-r", "72", "-f", "1", "-l", "1", "-aa", "no", "-aaVector", "no", "-"], document)
        // "P6\nwidth height\n255\n" and then three bytes a pixel.
        var lines = image.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false).makeIterator()
        #expect(lines.next().map(Array.init) == Array("P6".utf8))
        let width = lines.next()?.split(separator: 32).first.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
        _ = lines.next()
        let points = Array(lines.next() ?? [])
        return (width, { x, y in Array(points[(y * width + x) * 3..<(y * width + x) * 3 + 3]) })
    }

    @Test func textInSeveralScriptsIsReallyInTheFile() async throws {
        let document = try PDFDocument(metadata: Self.metadata)
        try document.text("Reçu de 12 500 XOF – œuvre, été, « merci »", x: 50, y: 50)
        document.newPage()
        try document.text("חשבונית מס לתשלום", x: 50, y: 50, width: 400)
        document.newPage()
        try document.text("Troisième page", x: 50, y: 50, style: .init(size: 20, weight: .bold, isItalic: true))
        #expect(document.pageCount == 3)
        let bytes = try document.finish()
        #expect(bytes.starts(with: "%PDF-1.5".utf8))

        let first = try await text(bytes)
        #expect(first.contains("Reçu de 12 500 XOF – œuvre, été, « merci »"), "\(first)")
        #expect(!first.contains("page"))
        #expect(try await text(bytes, page: 2).contains("חשבונית מס לתשלום"))
        #expect(try await text(bytes, page: 3).contains("Troisième page"))
        let fonts = String(decoding: try await poppler("pdffonts", ["-"], bytes), as: UTF8.self)
        #expect(fonts.contains("DejaVuSans") && !fonts.contains(" no  no"), "every font is embedded: \(fonts)")
    }

    @Test func theFileSaysWhatItIs() async throws {
        let document = try PDFDocument(metadata: Self.metadata)
        try document.text("x", x: 50, y: 50)
        document.newPage()
        let information = String(decoding: try await poppler("pdfinfo", ["-isodates", "-"], document.finish()), as: UTF8.self)
        let facts = Dictionary(
            information.split(separator: "\n").map { line in
                let parts = line.split(separator: ":", maxSplits: 1)
                return (String(parts[0]), String(parts.last ?? "").drop { $0 == " " }.description)
            }, uniquingKeysWith: { first, _ in first })
        #expect(facts["Title"] == "Facture n° 2026-0001")
        #expect(facts["Author"] == "Société Élan")
        #expect(facts["Subject"] == "Kit complet")
        #expect(facts["CreationDate"]?.hasPrefix("2026-11-21T08:00:00") == true, "\(information)")
        #expect(facts["ModDate"] == facts["CreationDate"])
        #expect(facts["Pages"] == "2")
        #expect(facts["Page size"]?.contains("A4") == true, "\(information)")
    }

    @Test func theSameCallsGiveTheSameBytes() throws {
        func make() throws -> [UInt8] {
            let document = try PDFDocument(metadata: Self.metadata)
            try document.text("Reçu שלום", x: 50, y: 50, width: 200)
            document.rectangle(x: 10, y: 10, width: 20, height: 20, fill: .grey)
            return try document.finish()
        }
        #expect(try make() == make())
    }

    @Test func linesBreakAtTheWidthAndMeasureFindsThem() throws {
        let document = try PDFDocument(metadata: Self.metadata)
        let words = String(repeating: "mot ", count: 60)
        let one = try document.measure("mot")
        let many = try document.measure(words, width: 200)
        #expect(one.lines == 1 && one.height > 8 && one.width > 10)
        #expect(many.lines > 5 && many.width <= 200)
        #expect(abs(many.height - Double(many.lines) * one.height) < 1)
        #expect(try document.text(words, x: 50, y: 50, width: 200) == many.height)
        #expect(try document.measure("a\nb\nc").lines == 3)
        #expect(try document.measure(String(repeating: "x", count: 500), width: 100).width <= 100, "a word longer than the line is broken")
        #expect(try document.measure(words, width: 200, style: .init(lineSpacing: 2)).height > many.height * 1.5)
        #expect(try document.measure("mot", style: .init(size: 20)).height > one.height * 1.8)
        #expect(try document.measure("mot", style: .init(weight: .bold)).width > one.width)
        #expect(try document.measure("").lines == 1)
        _ = try document.finish()
    }

    @Test func alignmentPutsTextWhereItSays() async throws {
        func columns(_ text: String, _ alignment: TextStyle.Alignment, width: Double?, x: Double) async throws -> ClosedRange<Int> {
            let document = try PDFDocument(metadata: Self.metadata)
            try document.text(text, x: x, y: 100, width: width, style: .init(size: 20, alignment: alignment))
            let (pageWidth, colour) = try await pixels(document.finish())
            let inked = (0..<pageWidth).filter { x in (95..<135).contains { colour(x, $0) != [255, 255, 255] } }
            return (inked.first ?? 0)...(inked.last ?? 0)
        }
        let leading = try await columns("12 500", .leading, width: 300, x: 100)
        let centre = try await columns("12 500", .centre, width: 300, x: 100)
        let trailing = try await columns("12 500", .trailing, width: 300, x: 100)
        #expect((99...105).contains(leading.lowerBound))
        #expect((395...401).contains(trailing.upperBound))
        #expect(abs((centre.lowerBound + centre.upperBound) / 2 - 250) < 4)
        // What runs from right to left begins at the right.
        #expect(try await columns("שלום", .leading, width: 300, x: 100).upperBound > 390)
        // Without a width x is the anchor.
        #expect(try await columns("12 500", .trailing, width: nil, x: 300).upperBound <= 301)
        #expect(try await columns("12 500", .leading, width: nil, x: 300).lowerBound >= 299)
    }

    @Test func shapesAndColoursAreDrawn() async throws {
        let document = try PDFDocument(metadata: Self.metadata)
        document.rectangle(x: 100, y: 100, width: 50, height: 50, fill: Colour(hex: 0x204060), border: Colour(hex: 0xFF0000), thickness: 4)
        document.line(fromX: 100, fromY: 300, toX: 200, toY: 300, thickness: 6, colour: Colour(hex: 0x00FF00))
        try document.text("█", x: 300, y: 300, style: .init(size: 60, colour: Colour(hex: 0x0000FF)))
        let (width, colour) = try await pixels(document.finish())
        #expect((594...597).contains(width))
        #expect(colour(125, 125) == [0x20, 0x40, 0x60])
        #expect(colour(100, 125) == [255, 0, 0])
        #expect(colour(150, 300) == [0, 255, 0])
        #expect(colour(320, 340) == [0, 0, 255])
        #expect(colour(50, 50) == [255, 255, 255])
    }

    @Test(arguments: [
        "a\u{0}b", "tab\there", "\u{7}\u{1B}[31m", "", "\r\nx\r\n", String(repeating: "long ", count: 5000), "\u{202E}abc", "👩‍👩‍👧‍👦 🎉",
        "\u{FFFF}\u{10FFFF}",
    ])
    func anyTextGivesAValidDocument(content: String) async throws {
        var metadata = Self.metadata
        metadata.title = content
        let document = try PDFDocument(metadata: metadata)
        try document.text(content, x: 50, y: 50, width: 400)
        try document.text("end", x: 50, y: 20)
        #expect(try await text(document.finish()).contains("end"))
    }

    @Test func manyDocumentsAtOnceKeepApart() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<24 {
                group.addTask {
                    let document = try PDFDocument(metadata: Self.metadata)
                    for line in 0..<20 {
                        try document.text("document \(number)", x: 50, y: 40 + 20 * Double(line), style: .init(size: 10 + Double(number % 7)))
                    }
                    let text = try await text(document.finish())
                    return text.split(separator: "\n").filter { $0.contains("document \(number)") }.count == 20
                }
            }
            for try await whole in group { #expect(whole) }
        }
    }
}
