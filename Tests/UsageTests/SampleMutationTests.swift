import Formats
import Testing

@testable import UsageSamples

/// The fast reader against the plain one: `JSON(parsing:)` and a walk over its tree.
@Suite("Batches of samples, damaged and random")
struct SampleMutationTests {
    /// SplitMix64: the same bodies on every run.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var word = state
            word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
            word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
            return word ^ (word >> 31)
        }
    }

    // MARK: The plain reader

    private func plainly(_ bytes: [UInt8]) -> SampleBatch? {
        guard let json = try? JSON(parsing: bytes), json["v"]?.int == 1, let source = json["source"]?.string, Slug.isValid(source, most: 100),
            let samples = json["samples"]?.array, (1...5000).contains(samples.count)
        else { return nil }
        var batch: String?
        if let member = json["batch"], !member.isNull {
            guard let text = member.string, isID(text, most: 200) else { return nil }
            batch = text
        }
        var projects: [String] = []
        var rows: [SampleBatch.Row] = []
        var ids: [String] = []
        for sample in samples {
            guard let project = sample["project"]?.string, Slug.isValid(project, most: 100), let bytes = sample["bytes"]?.int,
                (0...(1 << 50)).contains(bytes), let at = sample["at"], let atMs = at.int ?? at.string.flatMap({ Timestamp.parse($0) }),
                (0...253_402_300_799_999).contains(atMs), sample["metric"] == nil || sample["metric"] == "traffic"
            else { return nil }
            if batch == nil {
                guard let id = sample["id"]?.string, isID(id, most: 400) else { return nil }
                ids.append(id)
            }
            let number = projects.firstIndex(of: project) ?? projects.count
            if number == projects.count { projects.append(project) }
            rows.append(SampleBatch.Row(project: Int32(number), bytes: bytes, atMs: atMs))
        }
        return SampleBatch(source: source, batch: batch, projects: projects, rows: rows, ids: ids)
    }

    private func isID(_ text: String, most: Int) -> Bool {
        (1...most).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    private func compare(_ bytes: [UInt8]) -> Bool {
        let expected = plainly(bytes)
        let found = try? SampleBatch(decoding: bytes)
        #expect(found == expected, "\(String(decoding: bytes, as: UTF8.self))")
        if let found { #expect((try? SampleBatch(decoding: found.encoded())) == found) }
        return found != nil
    }

    // MARK: Random bodies

    private func quoted(_ text: String, _ random: inout Seeded) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            if Int.random(in: 0..<12, using: &random) == 0, scalar.value < 0x10000 {
                let digits = String(scalar.value, radix: 16, uppercase: Bool.random(using: &random))
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else if scalar == "\"" || scalar == "\\" {
                output += "\\" + String(scalar)
            } else {
                output += String(scalar)
            }
        }
        return output + "\""
    }

    private func rubbish(_ depth: Int, _ random: inout Seeded) -> String {
        switch Int.random(in: 0..<(depth > 3 ? 7 : 10), using: &random) {
        case 0: return "null"
        case 1: return "true"
        case 2: return "-0.5e+3"
        case 3: return "0"
        case 4: return quoted("é\u{1F600}\"\\x", &random)
        case 5: return "\"\""
        case 6: return "12345678901234567890"
        case 7: return "[" + (0..<Int.random(in: 0..<4, using: &random)).map { _ in rubbish(depth + 1, &random) }.joined(separator: ",") + "]"
        default:
            let members = (0..<Int.random(in: 0..<4, using: &random)).map { quoted("k\($0)", &random) + ":" + rubbish(depth + 1, &random) }
            return "{" + members.joined(separator: ",") + "}"
        }
    }

    private func object(_ members: [(String, String)], _ random: inout Seeded) -> String {
        var members = members
        // Now and then something is missing, strange, or there twice.
        if Int.random(in: 0..<40, using: &random) == 0 { members.remove(at: Int.random(in: 0..<members.count, using: &random)) }
        if Int.random(in: 0..<40, using: &random) == 0, let some = members.randomElement(using: &random) { members.append(some) }
        if Int.random(in: 0..<40, using: &random) == 0, !members.isEmpty {
            members[Int.random(in: 0..<members.count, using: &random)].1 = rubbish(0, &random)
        }
        for number in 0..<Int.random(in: 0..<3, using: &random) { members.append(("x\(number)", rubbish(0, &random))) }
        let blanks = ["", "", "", " ", "\n", "\t ", "\r\n"]
        func blank() -> String { blanks.randomElement(using: &random) ?? "" }
        let text = members.shuffled(using: &random).map { blank() + quoted($0, &random) + blank() + ":" + blank() + $1 + blank() }
        return "{" + text.joined(separator: ",") + "}"
    }

    private func body(_ random: inout Seeded) -> String {
        let samples = (0..<Int.random(in: 0..<6, using: &random)).map { number -> String in
            let project = ["shop", "blog", "a.b-c_d", "p\(Int.random(in: 0..<100, using: &random))"].randomElement(using: &random) ?? "shop"
            let atMs = Int64.random(in: 0...2_000_000_000_000, using: &random)
            var members = [
                ("project", quoted(project, &random)), ("bytes", "\(Int64.random(in: 0...(1 << 50), using: &random))"),
                ("at", Bool.random(using: &random) ? "\(atMs)" : quoted(Timestamp.rfc3339(atMs), &random)),
            ]
            if Bool.random(using: &random) { members.append(("id", quoted("id\"\(number)", &random))) }
            if Int.random(in: 0..<5, using: &random) == 0 { members.append(("metric", quoted("traffic", &random))) }
            return object(members, &random)
        }
        var members = [("v", "1"), ("source", quoted("gateway-1", &random)), ("samples", "[" + samples.joined(separator: " ,") + "]")]
        switch Int.random(in: 0..<4, using: &random) {
        case 0: members.append(("batch", "null"))
        case 1: break
        default: members.append(("batch", quoted("b/1\"é".filter(\.isASCII), &random)))
        }
        return object(members, &random)
    }

    @Test("random bodies are read as the plain reader reads them, and written back they read the same")
    func randomBodies() {
        var random = Seeded(state: 7)
        var accepted = 0
        for _ in 0..<6000 where compare(Array(body(&random).utf8)) { accepted += 1 }
        #expect((500..<5500).contains(accepted), "\(accepted)")
    }

    @Test("damaged bodies are refused or read exactly as the plain reader does, and never end the process")
    func damagedBodies() {
        var random = Seeded(state: 42)
        let interesting = Array("{}[]\",:\\u0019eE+-.truefalsn \r\n\t|".utf8) + [0x00, 0x7F, 0x80, 0xC3, 0xED, 0xF4, 0xFF]
        var accepted = 0
        for _ in 0..<12_000 {
            var bytes = Array(body(&random).utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[place] = interesting.randomElement(using: &random) ?? 0
                case 1: bytes.insert(interesting.randomElement(using: &random) ?? 0, at: place)
                case 2: bytes.remove(at: place)
                case 3: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                default: if Int.random(in: 0..<4, using: &random) == 0 { bytes.removeSubrange(place...) }
                }
            }
            if compare(bytes) { accepted += 1 }
        }
        #expect(accepted > 300, "\(accepted)")
    }

    @Test("posted bodies, damaged at random, are refused or taken whole, and what is taken can be put on the list")
    func damagedPosts() {
        let nowMs: Int64 = 1_795_248_000_000
        let sample = #"{"project":"shop","bytes":12,"at":1795247999000}"#
        let event = #"{"specversion":"1.0","id":"1","source":"/gw","type":"t","subject":"shop","time":"2026-11-21T07:59:59Z","data":{"bytes":12}}"#
        let posts = [
            ("application/x-ndjson", "\(sample)\n\n\(sample)\r\n\(sample)"),
            ("application/json", #"{"batch":"b","samples":[\#(sample),\#(sample)]}"#),
            ("application/cloudevents-batch+json", "[\(event),\(event)]"), ("application/cloudevents+json", event),
        ]
        var random = Seeded(state: 3)
        let interesting = Array("{}[]\",:\\u0019eE+-.truefalsn \r\n\t|".utf8) + [0x00, 0x80, 0xC3, 0xFF]
        for (contentType, text) in posts {
            var taken = 0
            for _ in 0..<3000 {
                var bytes = Array(text.utf8)
                for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: bytes[place] = interesting.randomElement(using: &random) ?? 0
                    case 1: bytes.insert(interesting.randomElement(using: &random) ?? 0, at: place)
                    case 2: bytes.remove(at: place)
                    default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    }
                }
                do throws(SampleIntakeError) {
                    let batch = try SampleIntake.read(bytes, contentType: contentType, batch: "b", source: "s", nowMs: nowMs)
                    #expect((try? SampleBatch(decoding: batch.encoded())) == batch)
                    taken += 1
                } catch {
                    if case .invalid(let faults) = error { #expect((1...20).contains(faults.count)) }
                }
            }
            #expect(taken > 300, "\(contentType): \(taken)")
        }
    }
}
