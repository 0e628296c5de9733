import Formats
import QRCodes
import TestSupport
import Testing

@Suite("QR codes")
struct QRCodeTests {
    /// What a reader makes of a picture.
    private func read(_ path: String) async throws -> String {
        let process = try await ProcessFixture.start("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", path])
        try await process.waitForExit()
        return process.output.joined(separator: "\n")
    }

    private static let texts = [
        "x", "https://pay.example.com/pay/eyJhIjoxfQ.c2lnbmF0dXJl?lang=fr&x=%C3%A9",
        "https://shop.example.org/kit/checkout/inq_01J8Z3YV7Q4N5T6R8W9X0A1B2C/",
        "Reçu n° 42 — payé à Abidjan", String(repeating: "0123456789", count: 99),
    ]

    @Test("a reader finds in the PNG what was put in, at any scale", arguments: texts)
    func png(text: String) async throws {
        let folder = try TemporaryFolder("qr")
        let code = try #require(QRCode(text))
        for scale in [3, 8] {
            let png = try #require(code.png(scale: scale))
            #expect(Array(png.prefix(8)) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
            let path = try folder.write(png, to: "code.png")
            #expect(try await read(path) == text)
        }
    }

    @Test("the SVG holds the same squares within its margin, and nothing a viewer would run or fetch")
    func svg() throws {
        let code = try #require(QRCode(Self.texts[1]))
        let svg = code.svg
        #expect(svg.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "))
        var dark = Set<[Int]>()
        let path = try #require(svg.split(separator: "d=\"").last?.split(separator: "\"").first)
        for run in path.split(separator: "M") {
            let numbers = run.split { !$0.isNumber }.compactMap { Int($0) }
            for x in numbers[0]..<numbers[0] + numbers[2] { dark.insert([x - QRCode.margin, numbers[1] - QRCode.margin]) }
        }
        for y in 0..<code.width { for x in 0..<code.width { #expect(dark.contains([x, y]) == code.isDark(x, y)) } }
        #expect(!svg.contains("script") && !svg.contains("href"))
    }

    @Test("what is no text for a code, or too long, has none", arguments: ["", "a\0b", String(repeating: "x", count: QRCode.lengthMax + 1)])
    func refused(text: String) {
        #expect(QRCode(text) == nil)
    }
}
