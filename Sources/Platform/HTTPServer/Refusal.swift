import Formats

/// Why the server itself turns a request down. The detail is a fixed sentence: nothing of the request is echoed.
struct Refusal: Error {
    let status: Int
    let detail: StaticString

    static func malformed(_ detail: StaticString) -> Refusal { Refusal(status: 400, detail: detail) }

    static let headTooLarge = Refusal(status: 431, detail: "request line and headers are larger than this server takes")
    static let bodyTooLarge = Refusal(status: 413, detail: "the body is larger than this resource takes")
    static let deadlinePassed = Refusal(status: 408, detail: "the request was not complete in time")
    static let endedEarly = Refusal(status: 400, detail: "the connection ended before the request did")
    static let tooManyConnections = Refusal(status: 503, detail: "too many connections")

    var response: HTTPResponse {
        var response = HTTPResponse.problem(status, ReasonPhrase.text(for: status), detail: "\(detail)")
        if status == 503 { response.headers["Retry-After"] = "1" }
        return response
    }
}
