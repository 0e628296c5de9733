import Database
import Formats
import Money
import ProviderPort

/// What a provider answered about an attempt, raw.
public struct KeptAnswer: Sendable {
    public let asked: String
    public let receivedAtMs: Int64
    public let status: Int
    public let contentType: String
    /// Masked, and cut after ``ProviderAnswers/bodyMax``.
    public let body: [UInt8]
    /// Bytes as they came.
    public let size: Int64
}

/// Providers' answers as they came: what an attempt's state was read from, for whoever has to prove or mend it.
public enum ProviderAnswers {
    /// Bytes of one answer.
    public static let bodyMax = 32 * 1024
    /// Answers of one attempt: the first ones and the latest; what is asked for days repeats itself.
    static let firstMax: Int64 = 10
    static let latestMax: Int64 = 20

    /// What was wanted of the provider.
    public enum Call: String, Sendable { case initiate, status, refund }

    public static func keep(_ answers: [ProviderAnswer], of call: Call, attempt: String, nowMs: Int64, in connection: Connection) throws {
        for answer in answers {
            try connection.execute(
                """
                INSERT INTO payments_answers (attempt, asked, received_at, status, content_type, body, size) VALUES ($1, $2, $3, $4, $5, $6, $7)
                """,
                [
                    .text(attempt), .text(call.rawValue), .integer(nowMs), .integer(Int64(answer.status)),
                    .text(String((answer.headers["content-type"] ?? "").prefix(200))), .blob(AnswerMask.masked(answer.body, most: bodyMax)),
                    .integer(Int64(answer.body.count)),
                ])
        }
        guard !answers.isEmpty else { return }
        try connection.execute(
            """
            DELETE FROM payments_answers WHERE attempt = $1
              AND id NOT IN (SELECT id FROM payments_answers WHERE attempt = $1 ORDER BY id LIMIT $2)
              AND id NOT IN (SELECT id FROM payments_answers WHERE attempt = $1 ORDER BY id DESC LIMIT $3)
            """, [.text(attempt), .integer(firstMax), .integer(latestMax)])
    }

    /// The answers about an attempt, oldest first.
    public static func of(attempt: String, in connection: Connection) throws -> [KeptAnswer] {
        try connection.query("SELECT * FROM payments_answers WHERE attempt = $1 ORDER BY id", [.text(attempt)]).map { row in
            KeptAnswer(
                asked: try row.text("asked"), receivedAtMs: try row.int("received_at"), status: Int(try row.int("status")),
                contentType: try row.text("content_type"), body: try row.blob("body"), size: try row.int("size"))
        }
    }

    /// Removes answers received before `cutoffMs`; at most `limit` a call.
    public static func purge(receivedBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            "DELETE FROM payments_answers WHERE id IN (SELECT id FROM payments_answers WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
            [.integer(cutoffMs), .integer(Int64(limit))])
    }
}

extension PaymentStore {
    /// Notes what a provider said of an attempt last, in our words.
    static func noteAnswer(_ notice: ProviderNotice, of attempt: String, in connection: Connection) throws {
        var members: [(String, JSON)] = [("claim", .string(notice.claim.rawValue))]
        if let amount = notice.amount { members += [("amount", .string(amount.decimalText)), ("currency", .string(amount.currency.code))] }
        if let code = notice.errorCode { members.append(("error_code", .string(code))) }
        if let text = notice.errorText { members.append(("error_text", .string(String(text.prefix(500))))) }
        if let transaction = notice.transaction { members.append(("transaction", .string(transaction))) }
        try connection.execute(
            "UPDATE payments_attempts SET last_answer = $2 WHERE id = $1", [.text(attempt), .text(JSON.object(JSONObject(members)).text)])
    }

    /// What a provider said of an attempt when it was asked last; nil where it never answered.
    static func lastAnswer(of attempt: String, in connection: Connection) throws -> ProviderClaim? {
        guard let text = try connection.first("SELECT last_answer FROM payments_attempts WHERE id = $1", [.text(attempt)])?.textOrNil("last_answer")
        else { return nil }
        return try JSON(parsing: text)["claim"]?.string.flatMap { ProviderClaim(rawValue: $0) } ?? .unknown
    }
}

/// Takes out of an answer what must not be kept: the values of members whose names tell of secrets, and numbers of cards. All other bytes stay
/// as they came.
enum AnswerMask {
    /// What stands in the place of a secret.
    static let mask = Array("***".utf8)
    /// Parts of names, in small letters.
    private static let secret = [
        "token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "authorization", "private_key", "privatekey", "cvv", "cvc", "otp",
        "pin_code", "signature", "session_id", "sessionid", "sid",
    ]

    static func masked(_ body: [UInt8], most: Int) -> [UInt8] { Array(withoutCards(withoutSecrets(Array(body.prefix(4 * most)))).prefix(most)) }

    /// In JSON `"name": "value"`, in forms `name=value`.
    private static func withoutSecrets(_ body: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(body.count)
        var at = 0
        while at < body.count {
            if body[at] == UInt8(ascii: "\""), let end = closing(body, from: at + 1) {
                output += body[at...end]
                let isSecret = names(body[(at + 1)..<end])
                at = end + 1
                guard isSecret, let value = value(body, after: at) else { continue }
                output += body[at..<value.lowerBound]
                output += [UInt8(ascii: "\"")] + mask + [UInt8(ascii: "\"")]
                at = value.upperBound
            } else if body[at] == UInt8(ascii: "="), names(word(before: at, in: body)) {
                output.append(body[at])
                output += mask
                at = body[(at + 1)...].firstIndex { $0 == UInt8(ascii: "&") || $0 <= UInt8(ascii: " ") } ?? body.count
            } else {
                output.append(body[at])
                at += 1
            }
        }
        return output
    }

    private static func names(_ name: ArraySlice<UInt8>) -> Bool {
        guard (1...64).contains(name.count) else { return false }
        let text = String(decoding: name, as: UTF8.self).lowercased()
        return secret.contains { $0 == "sid" ? text == $0 : text.contains($0) }
    }

    /// The letters, digits, `_`, `-` right before a place.
    private static func word(before place: Int, in body: [UInt8]) -> ArraySlice<UInt8> {
        var start = place
        while start > 0, place - start < 64 {
            let byte = body[start - 1]
            guard byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || isAlphanumeric(byte) else { break }
            start -= 1
        }
        return body[start..<place]
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// The quotation mark that ends a text.
    private static func closing(_ body: [UInt8], from start: Int) -> Int? {
        var at = start
        while at < body.count {
            if body[at] == UInt8(ascii: "\\") {
                at += 2
            } else if body[at] == UInt8(ascii: "\"") {
                return at
            } else {
                at += 1
            }
        }
        return nil
    }

    /// The text or number behind a name's colon; nil where there is none, such as behind a value.
    private static func value(_ body: [UInt8], after place: Int) -> Range<Int>? {
        func blanks(_ from: Int) -> Int { body[min(from, body.count)...].firstIndex { $0 > UInt8(ascii: " ") } ?? body.count }
        let colon = blanks(place)
        guard colon < body.count, body[colon] == UInt8(ascii: ":") else { return nil }
        let start = blanks(colon + 1)
        guard start < body.count else { return nil }
        if body[start] == UInt8(ascii: "\"") { return start..<((closing(body, from: start + 1) ?? body.count - 1) + 1) }
        let end = body[start...].firstIndex { !isAlphanumeric($0) && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ".") } ?? body.count
        return end > start ? start..<end : nil
    }

    /// Numbers of 13 to 19 digits, blanks or hyphens between them, that could be a card's: all but the last four digits are masked.
    private static func withoutCards(_ body: [UInt8]) -> [UInt8] {
        var output = body
        var at = 0
        while at < output.count {
            guard isDigit(output[at]) else {
                at += 1
                continue
            }
            var places = [at]
            var next = at + 1
            while next < output.count {
                if isDigit(output[next]) {
                    places.append(next)
                } else {
                    let joins = output[next] == UInt8(ascii: " ") || output[next] == UInt8(ascii: "-")
                    guard joins, next + 1 < output.count, isDigit(output[next + 1]) else { break }
                }
                next += 1
            }
            let digits = places.map { output[$0] - UInt8(ascii: "0") }
            if (13...19).contains(digits.count), (2...6).contains(digits[0]), CardNumber.passesLuhn(places.map { output[$0] }) {
                for place in places.dropLast(4) { output[place] = UInt8(ascii: "*") }
            }
            at = next
        }
        return output
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
