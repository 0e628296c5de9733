import Formats
import Testing

/// Texts that were right once and have been damaged at random: no parser may trap, and what is accepted must survive writing.
@Suite("Damaged input") struct HostileBytesTests {
    /// Reproducible, so that a failure can be run again.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    private func damaged(_ text: String, rounds: Int, _ check: ([UInt8]) -> Void) {
        var generator = Generator(state: 42)
        let interesting = Array("{}[]\",:\\u0019eE+-.truefalsn %&=;\r\n-".utf8) + [0x00, 0x7F, 0x80, 0xC3, 0xED, 0xF4, 0xFF]
        for _ in 0..<rounds {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = interesting[Int.random(in: 0..<interesting.count, using: &generator)]
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                case 2: bytes.remove(at: place)
                default: bytes.removeSubrange(place...)
                }
            }
            check(bytes)
        }
    }

    @Test("is read as JSON or refused within its length, and written back it reads the same")
    func json() {
        let text = #"{"id":"pay_1","amount":12500.10,"list":[1,-2.5e3,true,false,null,{"é":"\u00e9\uD83D\uDE00\n"}],"empty":{},"s":"a\\b"}"#
        var accepted = 0
        damaged(text, rounds: 20_000) { bytes in
            do throws(JSONError) {
                let json = try JSON(parsing: bytes)
                let again = try JSON(parsing: json.bytes)
                #expect(again == json)
                accepted += 1
            } catch {
                #expect((0...bytes.count).contains(error.offset))
            }
        }
        #expect(accepted > 100)
    }

    @Test("is read as a form or refused within its length")
    func forms() {
        damaged("cpm_trans_id=A%2B1&nom=A%C3%AFcha+Kon%C3%A9&x=1&&empty=", rounds: 10_000) { bytes in
            do throws(FormError) {
                let fields = try FormURLEncoded.parse(bytes)
                let again = try FormURLEncoded.parse(Array(FormURLEncoded.encode(fields.map { ($0.name, $0.value) }).utf8))
                #expect(again.count == fields.count)
                #expect(zip(again, fields).allSatisfy { $0.name == $1.name && $0.value == $1.value })
            } catch {
                #expect((0...bytes.count).contains(error.offset))
            }
        }
    }

    @Test("is read as parts or refused")
    func multipart() {
        let head = "Content-Disposition: form-data; name=\"a\"; filename=\"b\\\"c\""
        let body = "--XX\r\n\(head)\r\nContent-Type: text/plain\r\n\r\nline\r\n--X\r\n--XX\r\n\(head)\r\n\r\n\r\n--XX--\r\n"
        damaged(body, rounds: 20_000) { bytes in
            let parts = try? MultipartForm.parse(bytes, contentType: "multipart/form-data; boundary=XX")
            if let parts { #expect(parts.allSatisfy { $0.bytes.count <= bytes.count }) }
        }
        damaged("multipart/form-data; boundary=\"XX\"; x=y", rounds: 5000) { bytes in
            _ = try? MultipartForm.parse(Array(body.utf8), contentType: String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test("is read as a time, a code or a header or refused")
    func small() {
        damaged("2026-11-21T08:00:00.123+01:30", rounds: 10_000) { bytes in
            if let ms = Timestamp.parse(String(decoding: bytes, as: UTF8.self)) { #expect(Timestamp.parse(Timestamp.rfc3339(ms)) == ms) }
        }
        damaged("Zm9vYmFyZm9vYg==", rounds: 10_000) { bytes in
            if let plain = Base64.decode(bytes) { #expect(Array(Base64.encode(plain).utf8) == bytes) }
            _ = Base64.decode(bytes, lenientPadding: true)
            _ = Hex.decode(bytes)
            _ = PercentEncoding.decode(String(decoding: bytes, as: UTF8.self))
        }
    }
}
