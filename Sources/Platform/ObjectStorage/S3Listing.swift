import Formats
import HTTPClient

extension S3Storage {
    /// Keys in one answer: more than these no service gives.
    static let listedMax = 1000

    public func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject] {
        try S3Calls.check(folder)
        var query = [
            ("delimiter", "/"), ("list-type", "2"), ("max-keys", String(min(limit, Self.listedMax))), ("prefix", "\(calls.keyPrefix)\(folder)/"),
        ]
        if let after { query.append(("start-after", calls.keyPrefix + after)) }
        // Folders below this one count as entries: an answer may hold nothing else, and still not be the last.
        var next: String?
        while true {
            let more = next.map { [("continuation-token", $0)] } ?? []
            // A key has 1024 bytes at most, each of them six when it is escaped.
            var call = S3Call("GET", folder, query: query + more, answerLimit: 8 << 20)
            call.hasKey = false
            let answer = try await calls.send(call).body
            let objects = try Self.listed(answer, in: folder, behind: calls.keyPrefix)
            guard objects.isEmpty else { return objects }
            // Some services say it before the entries, others behind them; only the first 64 KiB are looked at.
            next = S3Calls.element("NextContinuationToken", in: answer) ?? S3Calls.element("NextContinuationToken", in: answer.suffix(8192))
            guard next != nil else { return objects }
        }
    }

    /// The objects of a service's answer.
    static func listed(_ answer: [UInt8], in folder: String, behind prefix: String) throws(ObjectStorageError) -> [ListedObject] {
        func broken() -> ObjectStorageError {
            ObjectStorageError(code: .unavailable, message: "\(folder): the service's list of objects cannot be read", isTransient: true)
        }
        var objects: [ListedObject] = []
        let text = String(decoding: answer, as: UTF8.self)
        guard text.contains("<ListBucketResult") else { throw broken() }
        for part in text.split(separator: "<Contents>").dropFirst() {
            let entry = Array(part.utf8)
            guard let key = S3Calls.element("Key", in: entry).map(unescaped), key.hasPrefix(prefix),
                let size = S3Calls.element("Size", in: entry).flatMap({ Int64($0) }),
                let changed = S3Calls.element("LastModified", in: entry).flatMap({ Timestamp.parse($0) })
            else { throw broken() }
            objects.append(ListedObject(key: String(key.dropFirst(prefix.count)), size: size, changedAtMs: changed))
        }
        return objects
    }

    /// Our keys hold no control characters, so that these five are all that a service escapes by name; others come by number.
    private static func unescaped(_ text: String) -> String {
        guard text.contains("&") else { return text }
        var result = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: "&"), let end = rest[start...].firstIndex(of: ";") {
            result += rest[..<start]
            result += sign(rest[rest.index(after: start)..<end]) ?? String(rest[start...end])
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private static func sign(_ name: Substring) -> String? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap { Unicode.Scalar($0) }.map { String(Character($0)) }
        }
    }
}
