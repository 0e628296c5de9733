import Formats
import HTTPServer

/// Plays an OpenAI-compatible endpoint: the same prompt gives the same text, and ill behaviour is had by asking for it.
///
/// A scenario comes from the control call, the header `x-sandbox-scenario` or the model's name behind `sandbox-`:
/// `429`, `quota`, `500`, `503`, `slow`, `refusal`, `length`, `empty`. Anything else is an ordinary answer.
struct TextStage: Sendable {
    static let scenarios = ["429", "quota", "500", "503", "slow", "refusal", "length", "empty", "ok"]
    static let slowPause: Duration = .seconds(5)

    let configuration: SandboxConfiguration
    let book: SandboxBook

    func respond(_ request: HTTPRequest, _ path: String) async -> HTTPResponse? {
        switch (request.method, path) {
        case ("GET", "/v1/models"): .json(200, ["object": "list", "data": [["id": "sandbox-writer", "object": "model", "owned_by": "sandbox"]]])
        case ("POST", "/v1/chat/completions"): await complete(request)
        default: nil
        }
    }

    private func complete(_ request: HTTPRequest) async -> HTTPResponse {
        let bearer = request.headers["authorization"] ?? ""
        guard configuration.openAIKey.map({ bearer == "Bearer \($0)" }) ?? true else {
            return Self.error(401, "Incorrect API key provided.", type: "invalid_request_error", code: "invalid_api_key")
        }
        guard let json = try? JSON(parsing: request.body), let model = json["model"]?.string, let messages = json["messages"]?.array,
            !messages.isEmpty
        else { return Self.error(400, "model and messages are required", type: "invalid_request_error", code: nil) }
        let named = model.hasPrefix("sandbox-") ? String(model.dropFirst("sandbox-".count)) : nil
        let scenario = await book.takeTextScenario() ?? request.headers["x-sandbox-scenario"] ?? named
        switch scenario {
        case "429":
            return Self.error(429, "Rate limit reached.", type: "requests", code: "rate_limit_exceeded", headers: ["retry-after": "1"])
        case "quota":
            return Self.error(429, "You exceeded your current quota.", type: "insufficient_quota", code: "insufficient_quota")
        case "500": return Self.error(500, "The server had an error.", type: "server_error", code: nil)
        case "503": return Self.error(503, "The server is overloaded.", type: "service_unavailable_error", code: "server_is_overloaded")
        case "slow": try? await Task.sleep(for: Self.slowPause)
        default: break
        }
        return Self.answer(model: model, messages: messages, scenario: scenario)
    }

    private static func answer(model: String, messages: [JSON], scenario: String?) -> HTTPResponse {
        let system = messages.filter { ["system", "developer"].contains($0["role"]?.string ?? "") }.compactMap { $0["content"]?.string }.joined()
        let user = messages.filter { $0["role"]?.string == "user" }.compactMap { $0["content"]?.string }.joined(separator: "\n")
        let text = WrittenText(system: system, user: user).text
        let content: JSON
        var refusal = JSON.null
        switch scenario {
        case "refusal": (content, refusal) = (.null, "I cannot help with that.")
        case "length": content = .string(String(text.prefix(40)))
        case "empty": content = ""
        default: content = .string(text)
        }
        let asked = Int64((system.utf8.count + user.utf8.count) / 4)
        let given = Int64((content.string ?? "").utf8.count / 4)
        return .json(
            200,
            [
                "id": .string("chatcmpl-\(ULID.make())"), "object": "chat.completion", "created": .int(WallClock.nowMs / 1000),
                "model": .string(model),
                "choices": [
                    [
                        "index": 0, "finish_reason": .string(scenario == "length" ? "length" : "stop"), "logprobs": nil,
                        "message": ["role": "assistant", "content": content, "refusal": refusal],
                    ]
                ], "usage": ["prompt_tokens": .int(asked), "completion_tokens": .int(given), "total_tokens": .int(asked + given)],
            ])
    }

    private static func error(_ status: Int, _ message: String, type: String, code: String?, headers: HTTPHeaders = [:]) -> HTTPResponse {
        let body: JSON = ["error": ["message": .string(message), "type": .string(type), "param": nil, "code": .optional(code)]]
        var response = HTTPResponse.json(status, body)
        headers.forEach { response.headers[$0] = $1 }
        response.headers["x-request-id"] = "req_\(ULID.make())"
        return response
    }
}

/// What the played writer makes of a prompt: its facts, told in order. The same facts, the same text.
struct WrittenText: Sendable {
    let text: String

    init(system: String, user: String) {
        let english = !(system.contains("français") || system.contains("French"))
        let facts = user.split(whereSeparator: \.isNewline).compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("<") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            return value.isEmpty ? nil : (String(line[..<colon]), String(value.prefix(200)))
        }
        let name = facts.first { $0.0 == "organization_name" }?.1 ?? (english ? "your organisation" : "votre organisation")
        let told = facts.map { "- \($0.0) : \($0.1)" }.joined(separator: "\n")
        text =
            english
            ? """
            Introduction
            This draft was prepared for \(name) from what was given.

            What was given
            \(told)

            Risks
            - Documents that are not dated or not signed.
            - Budget lines without supporting papers.

            Plan
            1. Gather the documents. 2. Compare them with the budget. 3. Review with the team before the audit.
            """
            : """
            Introduction
            Ce brouillon a été préparé pour \(name) à partir des informations fournies.

            Informations fournies
            \(told)

            Risques
            - Documents non datés ou non signés.
            - Lignes budgétaires sans pièces justificatives.

            Plan
            1. Rassembler les documents. 2. Les comparer au budget. 3. Relire avec l'équipe avant l'audit.
            """
    }
}
