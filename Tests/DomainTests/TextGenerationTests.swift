import Drafts
import Formats
import JobQueue
import Testing

@testable import DraftGeneration

@Suite("Answers of OpenAI-compatible endpoints")
struct TextGenerationTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let title: String
        var status = 200
        var retryAfter: String?
        let body: String
        let disposition: JobDisposition
        var says = ""
        var testDescription: String { title }
    }

    private static let good = #""choices":[{"finish_reason":"stop","message":{"content":"Text"}}]"#

    private static let faults = [
        Fault(
            title: "too fast, with the time to wait", status: 429, retryAfter: "7",
            body: #"{"error":{"message":"Rate limit","type":"requests","code":"rate_limit_exceeded"}}"#, disposition: .retry(after: .seconds(7)),
            says: "Rate limit"),
        Fault(
            title: "too fast, in one word", status: 429, body: #"{"error":"Too many requests"}"#, disposition: .retry(after: nil), says: "Too many"),
        Fault(
            title: "too fast, the way of vLLM", status: 429, body: #"{"object":"error","message":"Overloaded","type":"x","code":429}"#,
            disposition: .retry(after: nil), says: "Overloaded"),
        Fault(
            title: "no money left, by its code", status: 429, retryAfter: "7", body: #"{"error":{"message":"Quota","code":"insufficient_quota"}}"#,
            disposition: .bury, says: "insufficient_quota"),
        Fault(
            title: "no money left, by its type", status: 429, body: #"{"error":{"message":"Quota","type":"insufficient_quota","code":null}}"#,
            disposition: .bury),
        Fault(
            title: "a billing limit", status: 400, body: #"{"error":{"message":"Limit","code":"billing_hard_limit_reached"}}"#, disposition: .bury),
        Fault(title: "a wrong key", status: 401, body: #"{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}"#, disposition: .bury),
        Fault(title: "a country that is not served", status: 403, body: "", disposition: .bury),
        Fault(title: "a model that is not there", status: 404, body: #"{"error":{"message":"no such model","code":404}}"#, disposition: .bury),
        Fault(
            title: "a bad request, with a number for its code", status: 400, body: #"{"error":{"message":"too long","code":400}}"#,
            disposition: .bury,
            says: "400: too long"),
        Fault(title: "a page of a proxy", status: 502, body: "<html>Bad gateway</html>", disposition: .retry(after: nil), says: "502"),
        Fault(title: "a failure with nothing to say", status: 500, body: "", disposition: .retry(after: nil)),
        Fault(
            title: "an overload with the time to wait", status: 503, retryAfter: "120", body: "{}", disposition: .retry(after: .seconds(120))),
        Fault(title: "an error under status 200", body: #"{"error":{"message":"upstream","code":502}}"#, disposition: .retry(after: nil)),
        Fault(
            title: "no money left, under status 200", body: #"{"error":{"message":"upstream","code":"insufficient_quota"}}"#, disposition: .bury),
        Fault(title: "no choices", body: #"{"choices":[]}"#, disposition: .retry(after: nil)),
        Fault(title: "no JSON", body: "Text", disposition: .retry(after: nil)),
        Fault(
            title: "an empty text", body: #"{"choices":[{"finish_reason":"stop","message":{"content":""}}]}"#, disposition: .retry(after: nil)),
        Fault(
            title: "a refusal", body: #"{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I cannot"}}]}"#, disposition: .bury,
            says: "I cannot"),
        Fault(
            title: "a text that was cut", body: #"{"choices":[{"finish_reason":"length","message":{"content":"Te"}}]}"#, disposition: .bury,
            says: "length"),
        Fault(
            title: "a text that was filtered", body: #"{"choices":[{"finish_reason":"content_filter","message":{"content":"Te"}}]}"#,
            disposition: .bury),
    ]

    private static func read(_ body: String, status: Int = 200, retryAfter: String? = nil) throws -> DraftAnswerText {
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if let retryAfter { headers["retry-after"] = retryAfter }
        let answer = try TextGeneration.read(status: status, headers: headers, body: Array(body.utf8), model: "asked")
        return DraftAnswerText(model: answer.model, content: answer.content, prompt: answer.promptTokens, completion: answer.completionTokens)
    }

    struct DraftAnswerText: Equatable {
        var model = "asked"
        var content = "Text"
        var prompt: Int64?
        var completion: Int64?
    }

    @Test("a fault says whether a retry helps, and when", arguments: faults)
    func fault(_ fault: Fault) {
        let error = #expect(throws: TextGenerationError.self) {
            _ = try Self.read(fault.body, status: fault.status, retryAfter: fault.retryAfter)
        }
        #expect(error?.jobDisposition == fault.disposition)
        #expect(error?.description.contains(fault.says) == true || fault.says.isEmpty, "\(error?.description ?? "")")
    }

    @Test("a server that asks for a day is asked again after a quarter of an hour")
    func retryAfterIsCapped() {
        let error = #expect(throws: TextGenerationError.self) { _ = try Self.read("{}", status: 429, retryAfter: "86400") }
        #expect(error?.jobDisposition == .retry(after: .seconds(900)))
    }

    @Test("what is no number of seconds is no time to wait", arguments: ["0", "-5", "soon", "", "Sat, 21 Nov 2026 08:00:00 GMT"])
    func retryAfter(_ text: String) {
        let error = #expect(throws: TextGenerationError.self) { _ = try Self.read("{}", status: 429, retryAfter: text) }
        #expect(error?.jobDisposition == .retry(after: nil))
    }

    @Test(
        "a text is taken, whatever else the server writes beside it",
        arguments: [
            ("{\(good)}", DraftAnswerText()), ("{\"error\":null,\(good)}", DraftAnswerText()),
            (
                "{\"model\":\"real\",\(good),\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
                DraftAnswerText(model: "real", prompt: 3, completion: 4)
            ),
            (#"{"choices":[{"finish_reason":null,"message":{"content":"Text","refusal":null}}]}"#, DraftAnswerText()),
            (#"{"choices":[{"message":{"content":"Text","refusal":""}}]}"#, DraftAnswerText()),
            (#"{"choices":[{"finish_reason":"stop","message":{"content":"été \u00e9 & <b>"}}]}"#, DraftAnswerText(content: "été é & <b>")),
        ])
    func taken(body: String, text: DraftAnswerText) throws { #expect(try Self.read(body) == text) }

    @Test("what goes into a message of an error is bounded")
    func bounded() {
        let error = #expect(throws: TextGenerationError.self) {
            _ = try Self.read("{\"error\":{\"message\":\"\(String(repeating: "x", count: 100_000))\"}}", status: 500)
        }
        #expect((error?.description.count ?? 0) < 300)
    }
}
