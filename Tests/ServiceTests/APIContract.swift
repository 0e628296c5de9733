import Formats

/// Compares two descriptions of an API (OpenAPI 3.1) and tells what of the older one its callers can no longer rely on.
///
/// What callers send may only be asked less of, what they get may only tell more: a field that a call newly requires breaks them, and so does a
/// field that answers no longer have. Words that are new in an answer's list break nobody, as docs/api.md says.
struct APIContract {
    private enum Direction { case request, response }

    private let old: JSON
    private let new: JSON
    private var broken: [String] = []
    /// Schemas that name themselves end here.
    private var seen: Set<String> = []

    static func breaks(from old: JSON, to new: JSON) -> [String] {
        var contract = APIContract(old: old, new: new)
        contract.comparePaths()
        return contract.broken
    }

    private init(old: JSON, new: JSON) {
        self.old = old
        self.new = new
    }

    private static let methods = ["get", "put", "post", "delete", "patch", "head", "options"]

    private mutating func note(_ what: String) { broken.append(what) }

    private static func resolved(_ value: JSON?, in document: JSON) -> JSON? {
        var value = value
        for _ in 0..<10 {
            guard let reference = value?["$ref"]?.string else { return value }
            value = reference.split(separator: "/").dropFirst().reduce(document as JSON?) { $0?[String($1)] }
        }
        return value
    }

    private func before(_ value: JSON?) -> JSON? { Self.resolved(value, in: old) }
    private func after(_ value: JSON?) -> JSON? { Self.resolved(value, in: new) }

    // MARK: Calls

    private mutating func comparePaths() {
        for path in old["paths"]?.object ?? [:] {
            guard let now = new["paths"]?[path.key] else {
                note("\(path.key) is gone")
                continue
            }
            for method in Self.methods {
                guard let call = path.value[method] else { continue }
                let name = "\(method.uppercased()) \(path.key)"
                guard let other = now[method] else {
                    note("\(name) is gone")
                    continue
                }
                compare(call, other, name)
            }
        }
    }

    private mutating func compare(_ call: JSON, _ other: JSON, _ name: String) {
        if call["security"] == nil, other["security"] != nil { note("\(name) asks for a key now") }
        compareParameters(call, other, name)
        compareBody(call, other, name)
        for answer in call["responses"]?.object ?? [:] {
            guard let now = after(other["responses"]?[answer.key]) else {
                note("\(name) no longer answers \(answer.key)")
                continue
            }
            compareContent(before(answer.value), now, "\(name) \(answer.key)", .response)
        }
    }

    private func parameters(_ call: JSON, _ resolve: (JSON?) -> JSON?) -> [(name: String, value: JSON)] {
        (call["parameters"]?.array ?? []).compactMap(resolve).map { ("\($0["in"]?.string ?? "") \($0["name"]?.string ?? "")", $0) }
    }

    private mutating func compareParameters(_ call: JSON, _ other: JSON, _ name: String) {
        let (were, are) = (parameters(call, before), parameters(other, after))
        for parameter in are where parameter.value["required"]?.bool == true {
            let was = were.first { $0.name == parameter.name }
            if was?.value["required"]?.bool != true { note("\(name) requires \(parameter.name) now") }
        }
        for parameter in were {
            guard let now = are.first(where: { $0.name == parameter.name }) else {
                note("\(name) no longer takes \(parameter.name)")
                continue
            }
            compare(parameter.value["schema"], now.value["schema"], "\(name) \(parameter.name)", .request)
        }
    }

    private mutating func compareBody(_ call: JSON, _ other: JSON, _ name: String) {
        let (was, now) = (before(call["requestBody"]), after(other["requestBody"]))
        if now?["required"]?.bool == true, was?["required"]?.bool != true { note("\(name) requires a body now") }
        guard let was else { return }
        guard let now else { return note("\(name) no longer takes a body") }
        compareContent(was, now, "\(name) body", .request)
    }

    private mutating func compareContent(_ was: JSON?, _ now: JSON, _ name: String, _ direction: Direction) {
        for type in was?["content"]?.object ?? [:] {
            guard let other = now["content"]?[type.key] else {
                note("\(name) is no longer \(type.key)")
                continue
            }
            compare(type.value["schema"], other["schema"], name, direction)
        }
    }

    // MARK: Shapes

    private mutating func compare(_ was: JSON?, _ now: JSON?, _ name: String, _ direction: Direction) {
        if let reference = was?["$ref"]?.string, !seen.insert("\(direction) \(reference) \(now?["$ref"]?.string ?? "")").inserted { return }
        guard let was = before(was), was != true else { return }
        guard let now = after(now) else {
            if direction == .response { note("\(name) says nothing of its shape any more") }
            return
        }
        compareTypes(was, now, name, direction)
        compareWords(was, now, name, direction)
        if direction == .request { compareBounds(was, now, name) }
        compareMembers(was, now, name, direction)
        if let items = was["items"] { compare(items, now["items"], "\(name)[]", direction) }
        if let members = was["additionalProperties"], members.object != nil {
            compare(members, now["additionalProperties"], "\(name).*", direction)
        }
    }

    private static func types(_ schema: JSON) -> Set<String>? {
        if let one = schema["type"]?.string { return [one] }
        return schema["type"]?.array.map { Set($0.compactMap(\.string)) }
    }

    private mutating func compareTypes(_ was: JSON, _ now: JSON, _ name: String, _ direction: Direction) {
        let (old, new) = (Self.types(was), Self.types(now))
        switch direction {
        case .request:
            guard let new else { return }
            // What may be a number may be a whole one.
            let missing = (old ?? ["anything"]).filter { !new.contains($0) && !($0 == "integer" && new.contains("number")) }
            if !missing.isEmpty { note("\(name) may no longer be \(missing.sorted().joined(separator: ", "))") }
        case .response:
            guard let old else { return }
            let added = (new ?? ["anything"]).filter { !old.contains($0) && !($0 == "integer" && old.contains("number")) }
            if !added.isEmpty { note("\(name) may be \(added.sorted().joined(separator: ", ")) now") }
        }
    }

    private mutating func compareWords(_ was: JSON, _ now: JSON, _ name: String, _ direction: Direction) {
        guard let words = was["enum"]?.array else {
            if direction == .request, now["enum"] != nil { note("\(name) is limited to some words now") }
            return
        }
        guard let others = now["enum"]?.array else { return }
        for word in words where !others.contains(word) { note("\(name) no longer knows \(word)") }
    }

    private mutating func compareBounds(_ was: JSON, _ now: JSON, _ name: String) {
        func number(_ schema: JSON, _ bound: String) -> Double? { schema[bound]?.numberText.flatMap { Double($0) } }
        for bound in ["maxLength", "maximum", "maxItems", "maxProperties"] {
            if let new = number(now, bound), new < number(was, bound) ?? .infinity { note("\(name) has a lower \(bound)") }
        }
        for bound in ["minLength", "minimum", "minItems", "minProperties"] {
            if let new = number(now, bound), new > number(was, bound) ?? -.infinity { note("\(name) has a higher \(bound)") }
        }
        for rule in ["pattern", "format", "const"] where now[rule] != nil && now[rule] != was[rule] { note("\(name) has another \(rule)") }
        if now["additionalProperties"] == false, was["additionalProperties"] != false { note("\(name) takes no other members any more") }
    }

    private mutating func compareMembers(_ was: JSON, _ now: JSON, _ name: String, _ direction: Direction) {
        func required(_ schema: JSON) -> Set<String> { Set(schema["required"]?.array?.compactMap(\.string) ?? []) }
        switch direction {
        case .request:
            for member in required(now).subtracting(required(was)).sorted() { note("\(name).\(member) is required now") }
        case .response:
            for member in required(was).subtracting(required(now)).sorted() { note("\(name).\(member) is no longer promised") }
        }
        for member in was["properties"]?.object ?? [:] {
            guard let other = now["properties"]?[member.key] else {
                note("\(name).\(member.key) is gone")
                continue
            }
            compare(member.value, other, "\(name).\(member.key)", direction)
        }
    }
}

extension JSON {
    /// A form that people can read and compare: members in their order, two blanks a level.
    var indented: String {
        func write(_ value: JSON, _ margin: String) -> String {
            let inner = margin + "  "
            switch value {
            case .object(let members) where !members.isEmpty:
                let lines = members.map { "\(inner)\(JSON.string($0.key).text): \(write($0.value, inner))" }
                return "{\n\(lines.joined(separator: ",\n"))\n\(margin)}"
            case .array(let elements) where elements.contains { $0.object != nil || $0.array != nil }:
                return "[\n\(elements.map { inner + write($0, inner) }.joined(separator: ",\n"))\n\(margin)]"
            case .array(let elements): return "[\(elements.map(\.text).joined(separator: ", "))]"
            default: return value.text
            }
        }
        return write(self, "") + "\n"
    }
}
