import Formats

/// A post as the inputs of ``WebhookTarget`` and ``ForgedTarget`` spell it, so that they can be read and written by hand:
///
///     wave POST 3 17
///     content-type: application/json
///
///     {"id": …
///
/// Whatever is missing is taken as empty: every input is a post.
struct PostedInput {
    let words: [Substring]
    let headers: HTTPHeaders
    let body: [UInt8]

    init(_ input: [UInt8]) {
        let head = Self.endOfHead(input)
        let lines = String(decoding: input[..<head.lines], as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        words = (lines.first ?? "").split(separator: " ")
        var headers = HTTPHeaders()
        for line in lines.dropFirst().prefix(64) {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { headers.append(pair[0].lowercased(), String(pair[1].drop { $0 == " " })) }
        }
        self.headers = headers
        body = Array(input[head.body...])
    }

    var provider: Substring { words.first ?? "" }
    var method: String { words.count > 1 ? String(words[1]) : "POST" }
    var contentType: String { headers["content-type"] ?? "" }

    /// A natural number of the first line; 0 where there is none.
    func number(_ place: Int) -> Int { words.count > place ? max(0, Int(words[place].prefix(9)) ?? 0) : 0 }

    private static func endOfHead(_ input: [UInt8]) -> (lines: Int, body: Int) {
        var place = 0
        while place + 1 < input.count {
            if input[place] == 10 && input[place + 1] == 10 { return (place, place + 2) }
            place += 1
        }
        return (input.count, input.count)
    }
}
