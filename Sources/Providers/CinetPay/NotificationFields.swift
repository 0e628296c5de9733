import Formats
import ProviderPort

/// The fields of a notification in the order of the body, decoded: urlencoded form, multipart form or JSON object.
///
/// Values are bytes, not texts: the token is made over them, and a body in another character set must not be changed by reading it.
struct NotificationFields: Sendable {
    static let fieldsMax = 64

    let all: [(name: String, value: [UInt8])]

    /// - Throws: ``ProviderError`` `unreadable`, also when one name is there twice: two values for one field are no notification.
    init(body: [UInt8], contentType: String) throws(ProviderError) {
        let read = try Self.read(body, contentType.lowercased(), contentType)
        guard read.count <= Self.fieldsMax else { throw ProviderError(.unreadable, "more than \(Self.fieldsMax) fields") }
        var names: Set<String> = []
        for field in read where !names.insert(field.name).inserted {
            throw ProviderError(.unreadable, "field '\(field.name.prefix(40))' is there twice")
        }
        all = read
    }

    func bytes(_ name: String) -> [UInt8]? { all.first { $0.name == name }?.value }

    /// The value as text; nil when the field is missing, empty or not UTF-8.
    func text(_ name: String) -> String? {
        guard let bytes = bytes(name), !bytes.isEmpty else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func read(_ body: [UInt8], _ type: String, _ contentType: String) throws(ProviderError) -> [(name: String, value: [UInt8])] {
        if type.hasPrefix("multipart/form-data") { return try multipart(body, contentType) }
        if type.contains("json") || body.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") { return try json(body) }
        let fields: [(name: [UInt8], value: [UInt8])]
        do {
            fields = try FormURLEncoded.parseBytes(body, fieldsMax: fieldsMax)
        } catch {
            throw ProviderError(.unreadable, "the body is not a form: \(error)")
        }
        var named: [(name: String, value: [UInt8])] = []
        for field in fields { named.append((try name(field.name), field.value)) }
        return named
    }

    private static func multipart(_ body: [UInt8], _ contentType: String) throws(ProviderError) -> [(name: String, value: [UInt8])] {
        do {
            return try MultipartForm.parse(body, contentType: contentType, partsMax: fieldsMax).map { ($0.name, $0.bytes) }
        } catch {
            throw ProviderError(.unreadable, "the body is not a multipart form: \(error)")
        }
    }

    private static func json(_ body: [UInt8]) throws(ProviderError) -> [(name: String, value: [UInt8])] {
        let message: JSON
        do { message = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard let object = message.object else { throw ProviderError(.unreadable, "the body is JSON but not an object") }
        // Objects and arrays have no text that both sides would join alike; of the newer API's message they are only looked over.
        return object.map { ($0.key, Array(($0.value.string ?? $0.value.numberText ?? "").utf8)) }
    }

    private static func name(_ bytes: [UInt8]) throws(ProviderError) -> String {
        guard let name = String(validating: bytes, as: UTF8.self) else { throw ProviderError(.unreadable, "a field's name is not UTF-8") }
        return name
    }
}
