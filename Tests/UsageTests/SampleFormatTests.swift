import Formats
import Testing

@testable import UsageSamples

@Suite("Batches of samples on the list")
struct SampleFormatTests {
    /// 2026-11-21 08:00:00 UTC
    private static let nowMs: Int64 = 1_795_248_000_000

    private static func decode(_ text: String) throws(SampleFormatError) -> SampleBatch { try SampleBatch(decoding: Array(text.utf8)) }

    private static let one = SampleBatch(
        source: "gateway-1", batch: "b-1", projects: ["shop"], rows: [SampleBatch.Row(project: 0, bytes: 1234, atMs: nowMs)])

    // MARK: What is read

    @Test(
        "one sample reads the same however its body is written",
        arguments: [
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","bytes":1234,"at":1795248000000}]}"#,
            #"{"samples":[{"at":1795248000000,"bytes":1234,"project":"shop"}],"batch":"b-1","source":"gateway-1","v":1}"#,
            " {\r\n\t\"v\" : 1 ,\"source\":\"gateway-1\",\"batch\":\"b-1\",\n\"samples\" : [ { \"project\" : \"shop\" , \"bytes\" : 1234 , \"at\" "
                + ": 1795248000000 } ] } \n",
            #"{"v":1,"source":"g\u0061teway-1","b\u0061tch":"b\u002d1","samples":[{"p\u0072oject":"\u0073hop","bytes":1234,"at":1795248000000}]}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","bytes":1234,"at":"2026-11-21T08:00:00Z"}]}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","bytes":1234,"at":"2026-11-21T09:30:00.000+01:30"}]}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","bytes":1234,"at":"2026-11-21T08:00\u003a00Z"}]}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","metric":"traffic","bytes":1234,"at":1795248000000}]}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","samples":[{"project":"shop","bytes":1234,"at":1795248000000,"id":["no",{"id":1}]}]}"#,
            #"{"v":1,"source":"gateway-1","samples":[{"project":"shop","bytes":1234,"at":1795248000000,"id":7}],"batch":"b-1"}"#,
            #"{"v":1,"source":"gateway-1","batch":"b-1","later":{"a":[1,2.5e-3,true,false,null,"é\uD83D\uDE00"],"b":{}},"#
                + #""samples":[{"project":"shop","région":"eu","bytes":1234,"at":1795248000000,"tags":[[],{"x":""}]}]}"#,
        ])
    func oneSample(text: String) throws {
        #expect(try Self.decode(text) == Self.one)
    }

    @Test("projects are named once, in the order in which they come, whatever their number")
    func projects() throws {
        let names = (0..<3000).map { "project-\($0 % 1300)" }
        let samples = names.enumerated().map { #"{"project":"\#($1)","bytes":\#($0),"at":\#(Self.nowMs)}"# }.joined(separator: ",")
        let batch = try Self.decode(#"{"v":1,"source":"s","batch":"b","samples":[\#(samples)]}"#)
        #expect(batch.projects == (0..<1300).map { "project-\($0)" })
        #expect(batch.rows.map { batch.projects[Int($0.project)] } == names)
        #expect(batch.rows.map(\.bytes) == (0..<3000).map { Int64($0) })
    }

    @Test("names that differ in a letter or in their length only are different projects")
    func similarNames() throws {
        let names = ["a", "aa", "aaa", "aaaaaaaa", "aaaaaaaab", "aaaaaaaac", "A", "a.", ".a", String(repeating: "a", count: 100)]
        let samples = (names + names.reversed()).map { #"{"project":"\#($0)","bytes":1,"at":1}"# }.joined(separator: ",")
        let batch = try Self.decode(#"{"v":1,"source":"s","batch":"b","samples":[\#(samples)]}"#)
        #expect(batch.projects == names)
        #expect(batch.rows.map { Int($0.project) } == Array(0..<10) + Array((0..<10).reversed()))
    }

    @Test("without a batch each sample has an id of its own; with one, ids mean nothing")
    func ids() throws {
        let samples = #"[{"project":"a","bytes":1,"at":1,"id":"x|1"},{"id":"y\"","project":"b","bytes":2,"at":2}]"#
        let own = SampleBatch(
            source: "s", batch: nil, projects: ["a", "b"],
            rows: [SampleBatch.Row(project: 0, bytes: 1, atMs: 1), SampleBatch.Row(project: 1, bytes: 2, atMs: 2)], ids: ["x|1", "y\""])
        #expect(try Self.decode(#"{"v":1,"source":"s","samples":\#(samples)}"#) == own)
        #expect(try Self.decode(#"{"v":1,"source":"s","batch":null,"samples":\#(samples)}"#) == own)
        #expect(try Self.decode(#"{"v":1,"source":"s","batch":"b","samples":\#(samples)}"#).ids == [])
        #expect(try Self.decode(#"{"v":1,"source":"s","samples":\#(samples),"batch":"b"}"#).ids == [])
    }

    @Test("the largest figures are read, and one more is refused")
    func limits() throws {
        let id = String(repeating: "i", count: 200)
        let sample = #"{"project":"p","bytes":1125899906842624,"at":253402300799999}"#
        let batch = try Self.decode(#"{"v":1,"source":"s","batch":"\#(id)","samples":[\#(sample)]}"#)
        #expect(batch.rows == [SampleBatch.Row(project: 0, bytes: 1 << 50, atMs: 253_402_300_799_999)])
        #expect(batch.batch == id)
        let most = [String](repeating: sample, count: 5000).joined(separator: ",")
        #expect(try Self.decode(#"{"v":1,"source":"s","batch":"b","samples":[\#(most)]}"#).rows.count == 5000)
        #expect(throws: SampleFormatError(sample: nil, field: "samples", rule: "must be 1 to 5000")) {
            try Self.decode(#"{"v":1,"source":"s","batch":"b","samples":[\#(most),\#(sample)]}"#)
        }
    }

    // MARK: What is refused

    private static let nameRule = "must have 1 to 100 letters, digits, '-', '_' or '.'"
    private static let bytesRule = "must be a whole number from 0 to 1125899906842624"
    private static let atRule = "must be unix milliseconds or an RFC 3339 text, from 1970 to 9999"
    private static let idRule = "must have 1 to 400 visible ASCII characters, as no batch is named"
    private static let batchRule = "must have 1 to 200 visible ASCII characters"
    private static let samplesRule = "must be an array of 1 to 5000 samples"

    /// Members of a sample that break a rule, behind one that breaks none.
    private static let badSamples: [(String, String)] = [
        (#""bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"a b","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"a/b","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"é","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"a\u0000","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"\#(String(repeating: "a", count: 101))","bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":7,"bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":null,"bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":{"project":"a"},"bytes":1,"at":1"#, "project \(nameRule)"),
        (#""project":"a","at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":-1,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":1.0,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":1e3,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":"1","at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":true,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":1125899906842625,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":9223372036854775808,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":18446744073709551617,"at":1"#, "bytes \(bytesRule)"),
        (#""project":"a","bytes":1"#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":-1"#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":253402300800000"#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":1.5"#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":"yesterday""#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":"2026-11-21T08:00:00""#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":"1969-12-31T23:59:59.999Z""#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":"1795248000000""#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":[1]"#, "at \(atRule)"),
        (#""project":"a","bytes":1,"at":1,"metric":"storage""#, #"metric must be "traffic" where it is given"#),
        (#""project":"a","bytes":1,"at":1,"metric":null"#, #"metric must be "traffic" where it is given"#),
    ]

    @Test("a sample that breaks a rule is named, with the rule", arguments: badSamples.indices)
    func badSample(index: Int) throws {
        let (members, fault) = Self.badSamples[index]
        let text = #"{"v":1,"source":"s","batch":"b","samples":[{"project":"a","bytes":1,"at":1},{\#(members)}]}"#
        let error = #expect(throws: SampleFormatError.self) { try Self.decode(text) }
        #expect(error?.description == "sample 1: \(fault)")
        #expect(error?.sample == 1)
    }

    private static let good = #""samples":[{"project":"a","bytes":1,"at":1}]"#
    private static let badBodies: [(String, String)] = [
        (#"{"source":"s","batch":"b",\#(good)}"#, "v must be 1"),
        (#"{"v":2,"source":"s","batch":"b",\#(good)}"#, "v must be 1"),
        (#"{"v":"1","source":"s","batch":"b",\#(good)}"#, "v must be 1"),
        (#"{"v":1,"batch":"b",\#(good)}"#, "source \(nameRule)"),
        (#"{"v":1,"source":"a b","batch":"b",\#(good)}"#, "source \(nameRule)"),
        (#"{"v":1,"source":null,"batch":"b",\#(good)}"#, "source \(nameRule)"),
        (#"{"v":1,"source":"s","batch":"",\#(good)}"#, "batch \(batchRule)"),
        (#"{"v":1,"source":"s","batch":"a b",\#(good)}"#, "batch \(batchRule)"),
        (#"{"v":1,"source":"s","batch":7,\#(good)}"#, "batch \(batchRule)"),
        (#"{"v":1,"source":"s","batch":"\#(String(repeating: "b", count: 201))",\#(good)}"#, "batch \(batchRule)"),
        (#"{"v":1,"source":"s",\#(good)}"#, "sample 0: id \(idRule)"),
        (
            #"{"v":1,"source":"s","batch":null,"samples":[{"project":"a","bytes":1,"at":1,"id":"i"},{"project":"a","bytes":1,"at":1}]}"#,
            "sample 1: id \(idRule)"
        ),
        (#"{"v":1,"source":"s","samples":[{"project":"a","bytes":1,"at":1,"id":"i j"}]}"#, "sample 0: id \(idRule)"),
        (#"{"v":1,"source":"s","samples":[{"project":"a","bytes":1,"at":1,"id":7}]}"#, "sample 0: id \(idRule)"),
        (#"{"v":1,"source":"s","batch":"b"}"#, "samples \(samplesRule)"),
        (#"{"v":1,"source":"s","batch":"b","samples":[]}"#, "samples \(samplesRule)"),
        (#"{"v":1,"source":"s","batch":"b","samples":{}}"#, "samples \(samplesRule)"),
        (#"{"v":1,"source":"s","batch":"b","samples":[1]}"#, "sample 0: sample must be an object"),
        (#"{"v":1,"source":"s","batch":"b","samples":[[]]}"#, "sample 0: sample must be an object"),
        ("[]", "body must be an object"),
        ("7", "body must be an object"),
        ("", "the body is not valid JSON at byte 0: the text ends too early"),
        ("{", "the body is not valid JSON at byte 1: the text ends too early"),
        (#"{"v":1,"source":"s","batch":"b",\#(good)} x"#, "the body is not valid JSON at byte 78: something follows the value"),
        (#"{"v":1,"v":1,"source":"s","batch":"b",\#(good)}"#, "the body is not valid JSON at byte 11: an object names a member twice"),
        (
            #"{"v":1,"x":1,"\u0078":2,"source":"s","batch":"b",\#(good)}"#,
            "the body is not valid JSON at byte 22: an object names a member twice"
        ),
        (#"{"v":1,"samples":[{"bytes":1,"bytes":1}]}"#, "sample 0: the body is not valid JSON at byte 37: an object names a member twice"),
        (#"{"v":1,"samples":[{"bytes":01}]}"#, "sample 0: the body is not valid JSON at byte 29: a number begins with 0"),
        (#"{"v":1,"samples":[{"bytes":+1}]}"#, "sample 0: the body is not valid JSON at byte 27: a value is missing"),
        (#"{"v":1,"samples":[{"project":"\x"}]}"#, "sample 0: the body is not valid JSON at byte 31: an unknown escape in a string"),
        (#"{"v":1,"samples":[{"project":"\ud800"}]}"#, "sample 0: the body is not valid JSON at byte 36: half of a surrogate pair"),
        ("{\"v\":1,\"a\":\"\n\"}", "the body is not valid JSON at byte 12: a control character inside a string"),
        ("\u{FEFF}{}", "the body is not valid JSON at byte 0: a value is missing"),
    ]

    @Test("a body that breaks a rule is refused with the rule", arguments: badBodies.indices)
    func badBody(index: Int) {
        let (text, fault) = Self.badBodies[index]
        let error = #expect(throws: SampleFormatError.self) { try Self.decode(text) }
        #expect(error?.description == fault)
    }

    @Test("bytes that are no UTF-8 are refused, also where nobody keeps them")
    func notUTF8() {
        for place in ["project", "other"] {
            var bytes = Array(#"{"v":1,"source":"s","batch":"b","samples":[{"project":"a","bytes":1,"at":1,"\#(place)2":"?"}]}"#.utf8)
            for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "?") { bytes[index] = 0xC3 }
            let error = #expect(throws: SampleFormatError.self) { try SampleBatch(decoding: bytes) }
            #expect(error?.rule.hasSuffix("bytes that are not UTF-8") == true)
        }
    }

    @Test("what nobody knows may nest 64 levels deep and no deeper, wherever it stands")
    func depth() throws {
        func text(_ levels: Int) -> String { String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }
        func body(outer: Int, inner: Int) -> String {
            #"{"v":1,"source":"s","batch":"b","x":\#(text(outer)),"samples":[{"project":"a","bytes":1,"at":1,"x":\#(text(inner))}]}"#
        }
        #expect(try Self.decode(body(outer: 63, inner: 61)).rows.count == 1)
        for (outer, inner) in [(64, 61), (63, 62), (1, 100_000)] {
            let error = #expect(throws: SampleFormatError.self) { try Self.decode(body(outer: outer, inner: inner)) }
            #expect(error?.rule.hasSuffix("nested too deeply") == true)
        }
    }

    @Test("a body of more than 16 MiB is not even looked at")
    func tooLarge() {
        let error = #expect(throws: SampleFormatError.self) { try SampleBatch(decoding: [UInt8](repeating: 0x20, count: 16 << 20 | 1)) }
        #expect(error?.description == "the body is larger than 16777216 bytes")
    }

    // MARK: Digest

    @Test("the digest is of what was measured: the same for every source, batch and way of writing, and in every process")
    func digest() throws {
        let digest = Self.one.digest
        #expect(digest == 8_951_526_264_385_542_224)
        #expect(
            try Self.decode(#"{"samples":[{"at":"2026-11-21T08:00:00Z","bytes":1234,"project":"sh\u006fp"}],"batch":"x","source":"y","v":1}"#).digest
                == digest)
        let row = SampleBatch.Row(project: 1, bytes: 1234, atMs: Self.nowMs)
        #expect(SampleBatch(source: "s", batch: "b", projects: ["other", "shop"], rows: [row]).digest == digest, "numbers of projects do not matter")
        let rows = [row, SampleBatch.Row(project: 0, bytes: 1, atMs: 2)]
        let others = [
            SampleBatch(source: "s", batch: "b", projects: ["shops"], rows: [SampleBatch.Row(project: 0, bytes: 1234, atMs: Self.nowMs)]),
            SampleBatch(source: "s", batch: "b", projects: ["shop"], rows: [SampleBatch.Row(project: 0, bytes: 1235, atMs: Self.nowMs)]),
            SampleBatch(source: "s", batch: "b", projects: ["shop"], rows: [SampleBatch.Row(project: 0, bytes: 1234, atMs: Self.nowMs + 1)]),
            SampleBatch(source: "s", batch: nil, projects: ["other", "shop"], rows: [row], ids: ["i"]),
            SampleBatch(source: "s", batch: nil, projects: ["other", "shop"], rows: [row], ids: ["j"]),
            SampleBatch(source: "s", batch: "b", projects: ["other", "shop"], rows: [row, row]),
            SampleBatch(source: "s", batch: "b", projects: ["other", "shop"], rows: rows),
            SampleBatch(source: "s", batch: "b", projects: ["other", "shop"], rows: rows.reversed()),
        ].map(\.digest)
        #expect(Set(others + [digest]).count == 9)
    }
}
