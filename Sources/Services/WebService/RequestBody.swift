import Formats
import HTTPServer
import Money

/// Bodies as callers send them.
enum RequestBody {
    /// An object of JSON.
    /// - Throws: ``WebProblem`` 415 or 400.
    static func json(_ request: HTTPRequest) throws(WebProblem) -> JSON {
        guard mediaType(of: request) == "application/json" else { throw unsupported("application/json") }
        do {
            let json = try JSON(parsing: request.body)
            guard json.object != nil else { throw WebProblem.badRequest("the body must be a JSON object") }
            return json
        } catch let problem as WebProblem {
            throw problem
        } catch {
            throw WebProblem.badRequest("the body is not JSON: \(error)")
        }
    }

    /// The fields of a form, or of an object of JSON whose members are texts or numbers. The first of two fields of one name counts.
    /// - Throws: ``WebProblem`` 415, 400 or 422.
    static func fields(_ request: HTTPRequest, allowsJSON: Bool) throws(WebProblem) -> [String: String] {
        if mediaType(of: request) == "application/x-www-form-urlencoded" { return try form(request.body) }
        guard allowsJSON else { throw unsupported("application/x-www-form-urlencoded") }
        var fields: [String: String] = [:]
        var faults: [WebProblem.Fault] = []
        for member in try json(request).object ?? JSONObject() where !member.value.isNull {
            if let text = member.value.string ?? member.value.numberText {
                fields[member.key] = text
            } else {
                faults.append(.init(field: String(member.key.prefix(80)), rule: "must be a text or a number"))
            }
        }
        guard faults.isEmpty else { throw WebProblem.invalid(faults) }
        return fields
    }

    static func form(_ body: [UInt8]) throws(WebProblem) -> [String: String] {
        do throws(FormError) {
            return Dictionary(try FormURLEncoded.parse(body, fieldsMax: 100).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        } catch {
            throw WebProblem.badRequest(error.description)
        }
    }

    /// The content type without its parameters, in lower case.
    static func mediaType(of request: HTTPRequest) -> String {
        let type = (request.headers["content-type"] ?? "").split(separator: ";").first ?? ""
        return String(type.lowercased().filter { $0 != " " && $0 != "\t" })
    }

    private static func unsupported(_ type: String) -> WebProblem {
        WebProblem(status: 415, title: "Unsupported media type", detail: "Content-Type must be \(type)", headers: [("Accept-Post", type)])
    }
}

/// Reads the members of an object of JSON and gathers every rule that one of them breaks.
struct FieldReader {
    private let json: JSON
    private let prefix: String
    private(set) var faults: [WebProblem.Fault] = []

    /// - Parameter prefix: the name of the object in faults, for one that is a member: `customer`.
    init(_ json: JSON, prefix: String = "") {
        self.json = json
        self.prefix = prefix.isEmpty ? "" : prefix + "."
    }

    mutating func fault(_ name: String, _ rule: String) { faults.append(.init(field: prefix + name, rule: rule)) }
    mutating func add(_ more: [WebProblem.Fault]) { faults += more }

    /// A text without control characters; nil when it is absent (or breaks a rule, which is then noted).
    mutating func text(_ name: String, required: Bool = false, limit: Int = 200) -> String? {
        guard let value = json[name], !value.isNull, value.string != "" else {
            if required { fault(name, "is required") }
            return nil
        }
        guard let text = value.string else {
            fault(name, "must be a text")
            return nil
        }
        guard text.count <= limit else {
            fault(name, "must have at most \(limit) characters")
            return nil
        }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
            fault(name, "must not contain control characters")
            return nil
        }
        guard !CardNumber.isIn(text) else {
            fault(name, Self.noCards)
            return nil
        }
        return text
    }

    /// Cards are for the providers' pages; here they would be stored.
    private static let noCards = "must not hold the number of a card"

    /// One of some words.
    mutating func word(_ name: String, of words: [String], required: Bool = false) -> String? {
        guard let text = text(name, required: required) else { return nil }
        guard words.contains(text) else {
            fault(name, "must be one of \(words.joined(separator: ", "))")
            return nil
        }
        return text
    }

    /// A number's exact text, given as a text or as a number.
    mutating func decimal(_ name: String, required: Bool = false) -> String? {
        if let number = json[name]?.numberText { return number }
        return text(name, required: required, limit: 40)
    }

    /// A whole number.
    mutating func whole(_ name: String, in range: ClosedRange<Int64>, required: Bool = false) -> Int64? {
        guard let value = json[name], !value.isNull else {
            if required { fault(name, "is required") }
            return nil
        }
        guard let number = value.int, range.contains(number) else {
            fault(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// A truth value.
    mutating func flag(_ name: String) -> Bool? {
        guard let value = json[name], !value.isNull else { return nil }
        guard let flag = value.bool else {
            fault(name, "must be true or false")
            return nil
        }
        return flag
    }

    /// A decimal of at most three places, in thousandths.
    mutating func thousandths(_ name: String, most: Int64) -> Int64? {
        guard let text = decimal(name) else { return nil }
        guard let value = Thousandths.parse(text), (0...most).contains(value) else {
            fault(name, "must be a decimal from 0 to \(Thousandths.text(most)) with at most 3 places")
            return nil
        }
        return value
    }

    /// An address to send a browser to.
    mutating func url(_ name: String) -> String? {
        guard let text = text(name, limit: 2000) else { return nil }
        guard text.hasPrefix("https://") || text.hasPrefix("http://"), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            fault(name, "must be an absolute http or https address")
            return nil
        }
        return text
    }

    /// An object of texts; numbers and truth values are taken as their texts.
    mutating func texts(_ name: String, countMax: Int = 20, limit: Int = 500) -> [String: String] {
        guard let value = json[name], !value.isNull else { return [:] }
        guard let members = value.object, members.count <= countMax else {
            fault(name, "must be an object of at most \(countMax) members")
            return [:]
        }
        var texts: [String: String] = [:]
        for member in members where !member.value.isNull {
            let text = member.value.string ?? member.value.numberText ?? member.value.bool.map { $0 ? "true" : "false" }
            guard let text, text.count <= limit, member.key.count <= 40 else {
                fault("\(name).\(member.key.prefix(40))", "must be a text of at most \(limit) characters under a name of at most 40")
                continue
            }
            guard !CardNumber.isIn(text), !CardNumber.isIn(member.key) else {
                fault("\(name).…", Self.noCards)
                continue
            }
            texts[member.key] = text
        }
        return texts
    }

    /// - Throws: ``WebProblem`` 422 with all faults so far.
    func check() throws(WebProblem) {
        guard faults.isEmpty else { throw WebProblem.invalid(faults) }
    }
}
