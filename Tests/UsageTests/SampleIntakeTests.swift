import Formats
import Testing

@testable import UsageSamples

@Suite("What POST /usage takes")
struct SampleIntakeTests {
    /// 2026-11-21 08:00:00 UTC
    private static let nowMs: Int64 = 1_795_248_000_000
    private static let ndjson = "application/x-ndjson"
    private static let json = "application/json"
    private static let events = "application/cloudevents-batch+json"
    private static let event = "application/cloudevents+json"

    private static func read(_ text: String, _ contentType: String, batch: String? = "b-1") throws(SampleIntakeError) -> SampleBatch {
        try SampleIntake.read(Array(text.utf8), contentType: contentType, batch: batch, source: "gateway-1", nowMs: nowMs)
    }

    private static func faults(_ text: String, _ contentType: String, batch: String? = "b-1") -> [String] {
        do {
            _ = try read(text, contentType, batch: batch)
            return []
        } catch .invalid(let faults) {
            return faults.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    private static func eventText(_ members: String = "", id: String = "e1", source: String = "/gw/eu", data: String = #"{"bytes":5}"#) -> String {
        #"{"specversion":"1.0","type":"usage.traffic","source":"\#(source)","id":"\#(id)","time":"2026-11-21T07:59:59Z","data":\#(data)\#(members)}"#
    }

    private static let two = SampleBatch(
        source: "gateway-1", batch: "b-1", projects: ["shop", "blog"],
        rows: [SampleBatch.Row(project: 0, bytes: 5, atMs: nowMs - 1000), SampleBatch.Row(project: 1, bytes: 6, atMs: nowMs)])

    // MARK: What is taken

    @Test("the same two samples are taken in every form")
    func forms() throws {
        let first = #"{"project":"shop","bytes":5,"at":1795247999000}"#
        let second = #"{"project":"blog","bytes":6,"at":"2026-11-21T08:00:00Z","metric":"traffic","region":"eu"}"#
        #expect(try Self.read("\(first)\n\(second)\n", Self.ndjson) == Self.two)
        #expect(try Self.read("\n\r\n\(first)\r\n  \n \(second) ", Self.ndjson) == Self.two)
        #expect(try Self.read(#"{"samples":[\#(first),\#(second)]}"#, Self.json) == Self.two)
        #expect(try Self.read(#"{"v":1,"source":"somebody else","batch":"b-1","samples":[\#(first),\#(second)]}"#, Self.json) == Self.two)
        #expect(try Self.read(#"{"batch":"b-1","samples":[\#(first),\#(second)]}"#, Self.json, batch: nil) == Self.two)
        let events = [
            Self.eventText(#","subject":"shop","datacontenttype":"application/json","region":"eu""#),
            #"{"data":{"project":"blog","bytes":6,"metric":"traffic","zone":1},"time":"2026-11-21T09:00:00+01:00","id":"e2","source":"/gw/eu","#
                + #""type":"usage","specversion":"1.0"}"#,
        ]
        #expect(try Self.read("[\(events[0]),\(events[1])]", Self.events) == Self.two)
        #expect(try Self.read(events[0], Self.event).rows == [Self.two.rows[0]])
    }

    @Test("without an Idempotency-Key each event is a unit of its own, named by its source and id")
    func eventUnits() throws {
        let text = "[\(Self.eventText(#","subject":"shop""#)),\(Self.eventText(#","subject":"shop""#, id: "a|b"))]"
        let batch = try Self.read(text, Self.events, batch: nil)
        #expect(batch.batch == nil)
        #expect(batch.ids == ["/gw/eu|e1", "/gw/eu|a|b"])
        #expect(try SampleBatch(decoding: batch.encoded()) == batch)
        #expect(try Self.read(text, Self.events, batch: "k").ids == [])
    }

    @Test("an event's data names the project before its subject does")
    func projectOfEvent() throws {
        let both = Self.eventText(#","subject":"projects/shop""#, data: #"{"project":"shop","bytes":5}"#)
        #expect(try Self.read(both, Self.event).projects == ["shop"])
    }

    @Test(
        "a content type may have parameters and any case",
        arguments: [
            "application/x-ndjson", "Application/X-NDJSON", "application/x-ndjson; charset=utf-8", " application/x-ndjson\t;charset=\"utf-8\"",
        ])
    func parameters(contentType: String) throws {
        #expect(try Self.read(#"{"project":"shop","bytes":5,"at":1795247999000}"#, contentType).rows.count == 1)
    }

    @Test(
        "other content types are not read",
        arguments: [
            "", ";", "text/plain", "application/jsonl", "application/json+x", "application/cloudevents-batch", "application/x-www-form-urlencoded",
        ])
    func otherTypes(contentType: String) {
        #expect(throws: SampleIntakeError.mediaType) { try Self.read("{}", contentType) }
    }

    @Test("samples may be 60 days old and 5 minutes ahead, to the millisecond")
    func window() throws {
        func at(_ atMs: Int64) -> [String] { Self.faults(#"{"project":"shop","bytes":5,"at":\#(atMs)}"#, Self.ndjson) }
        #expect(at(Self.nowMs + 300_000) == [])
        #expect(at(Self.nowMs + 300_001) == ["line 1: at is more than 5 minutes ahead"])
        #expect(at(Self.nowMs - 60 * 86_400_000) == [])
        #expect(at(Self.nowMs - 60 * 86_400_000 - 1) == ["line 1: at is more than 60 days ago"])
        #expect(at(1_795_248_000) == ["line 1: at is more than 60 days ago"], "seconds instead of milliseconds")
        #expect(
            Self.faults(Self.eventText(#","subject":"a""#).replacing("07:59:59Z", with: "08:05:01Z"), Self.event)
                == ["sample 0: time is more than 5 minutes ahead"])
    }

    @Test("5,000 samples are taken, 5,001 are not", arguments: [5000, 5001])
    func count(_ count: Int) {
        let sample = #"{"project":"shop","bytes":5,"at":1795247999000}"#
        let samples = [String](repeating: sample, count: count)
        let fault = count == 5000 ? [] : ["samples must be 1 to 5000"]
        #expect(Self.faults(samples.joined(separator: "\n"), Self.ndjson) == fault)
        #expect(Self.faults(#"{"samples":[\#(samples.joined(separator: ","))]}"#, Self.json) == fault)
        let events = [String](repeating: Self.eventText(#","subject":"shop""#), count: count)
        #expect(Self.faults("[\(events.joined(separator: ","))]", Self.events) == fault)
    }

    // MARK: Faults

    @Test("every line that breaks a rule is named with its number, blank lines counted, and each rule it breaks")
    func linesAreNamed() {
        let text = """
            {"project":"shop","bytes":5,"at":1795247999000}

            {"project":"a b","bytes":-5,"at":1795247999000}
            {"project":"shop","bytes":5,"at":1795247999000} x
            {"project":"shop"
            [1]
            {"bytes":1.5,"metric":"storage"}
            """
        #expect(
            Self.faults(text, Self.ndjson) == [
                "line 3: project must have 1 to 100 letters, digits, '-', '_' or '.'",
                "line 3: bytes must be a whole number from 0 to 1125899906842624",
                "line 4: sample is not valid JSON at byte 48: something follows the value",
                "line 5: sample is not valid JSON at byte 17: the text ends too early",
                "line 6: sample must be an object",
                "line 7: bytes must be a whole number from 0 to 1125899906842624",
                #"line 7: metric must be "traffic" where it is given"#,
                "line 7: project must have 1 to 100 letters, digits, '-', '_' or '.'",
                "line 7: at must be unix milliseconds or an RFC 3339 text, from 1970 to 9999",
            ])
    }

    @Test("a sample does not go on in the next line")
    func oneLineEach() {
        let faults = Self.faults("{\"project\":\"shop\",\n\"bytes\":5,\"at\":1795247999000}", Self.ndjson)
        #expect(faults.prefix(2) == ["line 1: sample is not valid JSON at byte 18: the text ends too early", "line 2: sample must be an object"])
    }

    @Test("the first twenty faults are told", arguments: [ndjson, json, events])
    func twenty(contentType: String) {
        let parts = [String](repeating: "{}", count: 100)
        let text: String
        switch contentType {
        case Self.ndjson: text = parts.joined(separator: "\n")
        case Self.json: text = #"{"samples":[\#(parts.joined(separator: ","))]}"#
        default: text = "[\(parts.joined(separator: ","))]"
        }
        #expect(Self.faults(text, contentType).count == 20)
    }

    private static let batchFaults: [(String, String, String?, [String])] = [
        (ndjson, #"{"project":"a","bytes":1,"at":1795247999000}"#, nil, ["Idempotency-Key is required: it names the batch, which counts once"]),
        (ndjson, #"{"project":"a","bytes":1,"at":1795247999000}"#, "", ["Idempotency-Key must have 1 to 200 visible ASCII characters"]),
        (ndjson, #"{"project":"a","bytes":1,"at":1795247999000}"#, "a, b", ["Idempotency-Key must have 1 to 200 visible ASCII characters"]),
        (ndjson, "", "k", ["samples must be an array of 1 to 5000 samples"]),
        (ndjson, "\n \n", "k", ["samples must be an array of 1 to 5000 samples"]),
        (
            json, #"{"samples":[{"project":"a","bytes":1,"at":1795247999000}]}"#, nil,
            ["Idempotency-Key or the member batch is required: it names the batch, which counts once"]
        ),
        (
            json, #"{"batch":"x","samples":[{"project":"a","bytes":1,"at":1795247999000}]}"#, "y",
            ["batch must be the Idempotency-Key where both are given"]
        ),
        (json, #"{"samples":[]}"#, "k", ["samples must be an array of 1 to 5000 samples"]),
        (json, "{}", "k", ["samples must be an array of 1 to 5000 samples"]),
        (json, "[]", "k", ["body must be an object"]),
        (
            json, #"{"v":2,"samples":[{"project":"a","bytes":1}]}"#, "k",
            [
                "v must be 1", "sample 0: at must be unix milliseconds or an RFC 3339 text, from 1970 to 9999",
            ]
        ),
        (json, "{", "k", ["the body is not valid JSON at byte 1: the text ends too early"]),
        (json, #"{"samples":[{"project":"a","bytes":1,"at":1795247999000},]}"#, "k", ["the body is not valid JSON at byte 57: a value is missing"]),
        (events, "[]", "k", ["samples must be an array of 1 to 5000 samples"]),
        (events, "{}", "k", ["events must be an array of 1 to 5000 events"]),
        (events, "[1]", "k", ["sample 0: event must be an object"]),
        (events, "[{]", nil, ["the body is not valid JSON at byte 2: a member's name is missing"]),
        (event, "[]", "k", ["sample 0: event must be an object"]),
    ]

    @Test("what is wrong with the whole is told without a line", arguments: batchFaults.indices)
    func whole(index: Int) {
        let (contentType, text, key, faults) = Self.batchFaults[index]
        #expect(Self.faults(text, contentType, batch: key) == faults)
    }

    private static let eventFaults: [(String, [String])] = [
        (
            "{}",
            [
                #"specversion must be "1.0""#, "id must have 1 to 200 visible ASCII characters",
                "source must have 1 to 199 visible ASCII characters without '|'", "type must be a text that is not empty",
                "time must be an RFC 3339 text", "data must be an object",
            ]
        ),
        (eventText(#","subject":"a""#).replacing("1.0", with: "0.3"), [#"specversion must be "1.0""#]),
        (eventText(#","subject":"a""#).replacing("usage.traffic", with: ""), ["type must be a text that is not empty"]),
        (eventText(#","subject":"a""#, id: ""), ["id must have 1 to 200 visible ASCII characters"]),
        (eventText(#","subject":"a""#, source: "a|b"), ["source must have 1 to 199 visible ASCII characters without '|'"]),
        (eventText(#","subject":"a b""#), ["subject must have 1 to 100 letters, digits, '-', '_' or '.'"]),
        (eventText(#","subject":7"#), ["subject must be a text"]),
        (eventText(), ["subject or data.project must have 1 to 100 letters, digits, '-', '_' or '.'"]),
        (eventText(data: #"{"project":"a b","bytes":1}"#), ["data.project must have 1 to 100 letters, digits, '-', '_' or '.'"]),
        (eventText(data: #"{"project":"a"}"#), ["data.bytes must be a whole number from 0 to 1125899906842624"]),
        (eventText(data: #"{"project":"a","bytes":1,"metric":"cpu"}"#), [#"data.metric must be "traffic" where it is given"#]),
        (eventText(#","subject":"a""#, data: #""12""#), ["data must be an object"]),
        (eventText(#","subject":"a""#).replacing("2026-11-21T07:59:59Z", with: "1795247999000"), ["time must be an RFC 3339 text"]),
    ]

    @Test("an event that breaks a rule is named, with every rule it breaks", arguments: eventFaults.indices)
    func eventFault(index: Int) {
        let (text, faults) = Self.eventFaults[index]
        #expect(Self.faults(text, Self.event) == faults.map { "sample 0: \($0)" })
    }

    @Test("an event names a member twice, and the body is unreadable", arguments: ["data", "time", "extra"])
    func twice(name: String) {
        let text = Self.eventText(#","subject":"a","extra":1,"\#(name)":{}"#)
        #expect(Self.faults(text, Self.event).first?.hasSuffix("an object names a member twice") == true)
    }
}
