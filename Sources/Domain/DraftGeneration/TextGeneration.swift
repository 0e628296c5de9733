import Drafts
import Formats
import HTTPClient
import JobQueue

/// An OpenAI-compatible chat endpoint.
public struct TextGeneration: Sendable {
    /// Such as `https://api.openai.com/v1`; the path of the call is appended.
    private let baseURL: String
    private let apiKey: String?
    private let model: String
    private let client: HTTPClient
    /// The whole answer must be there within this time; a local server may first load its model.
    private let timeout: Duration
    private let breaker: CircuitBreaker?

    /// The name of the breaker.
    public static let dependency = "text-generation"

    /// - Parameter breaker: while the endpoint is ill it is not called, and drafts wait without an attempt being spent.
    public init(
        baseURL: String, apiKey: String?, model: String, client: HTTPClient, timeout: Duration = .seconds(120), breaker: CircuitBreaker? = nil
    ) {
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.apiKey = apiKey
        self.model = model
        self.client = client
        self.timeout = timeout
        self.breaker = breaker
    }

    /// Longest answer that is taken, in tokens; a huge value alone makes servers answer 429.
    static let tokensMax: Int64 = 4000

    /// - Parameter request: what the endpoint's own records name the request by, so that one that was made twice can be seen there.
    func generate(system: String, user: String, request: String) async throws -> DraftAnswer {
        guard let breaker else { return try await call(system: system, user: user, request: request) }
        return try await breaker.run { try await call(system: system, user: user, request: request) }
    }

    private func call(system: String, user: String, request id: String) async throws -> DraftAnswer {
        var headers: HTTPHeaders = ["content-type": "application/json", "accept": "application/json", "x-client-request-id": id]
        if let apiKey { headers["authorization"] = "Bearer \(apiKey)" }
        // OpenAI deprecates `max_tokens`, compatible servers read only that one.
        let limitName = baseURL.contains("api.openai.com") ? "max_completion_tokens" : "max_tokens"
        let body: JSON = [
            "model": .string(model), limitName: .int(Self.tokensMax),
            "messages": [["role": "system", "content": .string(system)], ["role": "user", "content": .string(user)]],
        ]
        // A text is paid for each time it is asked for: never sent again by the client itself, as on a kept connection that turns out dead.
        let request = HTTPClient.Request(
            method: "POST", url: baseURL + "/chat/completions", headers: headers, body: body.bytes, timeout: timeout, freshConnection: true)
        let response: HTTPClient.Response
        do { response = try await client.send(request) } catch {
            throw TextGenerationError(
                kind: .unavailable, message: error.message, retryAfterSeconds: nil, isUnanswered: error.mayHaveReachedServer)
        }
        return try Self.read(status: response.status, headers: response.headers, body: response.body, model: model)
    }

    /// Reads an answer. Servers differ, so errors are read leniently and successes strictly.
    static func read(status: Int, headers: HTTPHeaders, body: [UInt8], model: String) throws(TextGenerationError) -> DraftAnswer {
        let json = try? JSON(parsing: body)
        // Some servers write `"error": null` and `"refusal": ""` beside a good answer.
        let hasError = json?["error"].map { !$0.isNull } ?? false
        if status != 200 || hasError || json?["object"]?.string == "error" {
            throw TextGenerationError(status: status, headers: headers, json: json)
        }
        // What is of no use is billed all the same.
        let billed = BilledAnswer(json, model: model)
        guard let choice = json?["choices"]?[0] else {
            throw TextGenerationError(kind: .unavailable, message: "the answer has no choices", retryAfterSeconds: nil, billed: billed)
        }
        if let refusal = choice["message"]?["refusal"]?.string, !refusal.isEmpty {
            throw TextGenerationError(kind: .refused, message: String(refusal.prefix(200)), retryAfterSeconds: nil, billed: billed)
        }
        let finish = choice["finish_reason"]?.string
        guard finish == nil || finish == "stop" else {
            throw TextGenerationError(
                kind: .refused, message: "the answer ended by '\(finish ?? "")', not by itself", retryAfterSeconds: nil, billed: billed)
        }
        guard let content = choice["message"]?["content"]?.string, !content.isEmpty else {
            throw TextGenerationError(kind: .unavailable, message: "the answer is empty", retryAfterSeconds: nil, billed: billed)
        }
        return DraftAnswer(
            model: json?["model"]?.string ?? model, content: content, promptTokens: json?["usage"]?["prompt_tokens"]?.int,
            completionTokens: json?["usage"]?["completion_tokens"]?.int)
    }
}

/// An answer that is on the seller's bill.
struct BilledAnswer: Sendable, Equatable {
    let model: String
    let usage: TextUsage

    /// Nil where the answer names no tokens: then nothing was written.
    init?(_ json: JSON?, model: String) {
        guard let usage = json?["usage"], let prompt = usage["prompt_tokens"]?.int else { return nil }
        self.model = json?["model"]?.string ?? model
        self.usage = TextUsage(promptTokens: prompt, completionTokens: usage["completion_tokens"]?.int ?? 0)
    }
}

/// Why no text came. Says whether a retry helps.
public struct TextGenerationError: JobErrorClassifying, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// Silence, overload, too fast: later.
        case unavailable
        /// Money or key: somebody must act, no retry helps.
        case account
        /// The request itself, or the model will not.
        case refused
    }
    public let kind: Kind
    public let message: String
    /// Whether the request may be worked on, and paid for, all the same.
    let isUnanswered: Bool
    /// What was answered, and so billed, though no text came of it.
    let billed: BilledAnswer?
    /// At most the cap of the drafts' retries: a server that asks for more is asked again all the same.
    public let retryAfterSeconds: Int64?
    static let retryAfterMax: Int64 = 900

    init(kind: Kind, message: String, retryAfterSeconds: Int64?, isUnanswered: Bool = false, billed: BilledAnswer? = nil) {
        self.kind = kind
        self.billed = billed
        self.isUnanswered = isUnanswered
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    init(status: Int, headers: HTTPHeaders, json: JSON?) {
        let error = json?["error"]
        let code = error?["code"]?.string ?? error?["code"]?.numberText ?? ""
        let type = error?["type"]?.string ?? json?["type"]?.string ?? ""
        let text = error?["message"]?.string ?? error?.string ?? json?["message"]?.string ?? ""
        let billing = ["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"]
        if billing.contains(code) || type == "insufficient_quota" || status == 401 || status == 403 || status == 404 {
            kind = .account
        } else if [408, 409, 429].contains(status) || status >= 500 || status == 200 {
            kind = .unavailable
        } else {
            kind = .refused
        }
        isUnanswered = false
        billed = nil
        message = "status \(status)" + (code.isEmpty ? "" : " \(code)") + (text.isEmpty ? "" : ": " + String(text.prefix(200)))
        retryAfterSeconds = headers["retry-after"].flatMap { RetryAfter.seconds($0) }.flatMap { $0 > 0 ? min($0, Self.retryAfterMax) : nil }
    }

    /// The same, and no retry any more: each of so many answers was paid for.
    func givenUp(after answers: Int) -> TextGenerationError {
        TextGenerationError(
            kind: .refused, message: "\(message): \(answers) answers were paid for and of no use", retryAfterSeconds: nil, billed: billed)
    }

    public var jobDisposition: JobDisposition {
        kind == .unavailable ? .retry(after: retryAfterSeconds.map { .seconds($0) }) : .bury
    }

    public var description: String { "text generation: \(message)" }
}

/// With an answer nothing is under way any more, and there is no text to keep: the next attempt asks anew.
extension TextGenerationError: EffectErrorClassifying {
    public var effectCannotHaveHappened: Bool { !isUnanswered }
}
