import Formats

extension Redaction {
    /// How deep masking follows; what lies deeper is not shown at all.
    private static let depthMax = 32

    /// A value as listings may show it: what a log would mask under the same name is masked here, at every depth.
    public static func json(_ value: JSON) -> JSON { masked(value, name: "", depth: 0) }

    private static func masked(_ value: JSON, name: String, depth: Int) -> JSON {
        guard depth < depthMax else { return .string(mark) }
        switch value {
        case .string(let text): return .string(field(name: name, value: text))
        case .array(let values): return .array(values.map { masked($0, name: name, depth: depth + 1) })
        case .object(let object):
            return .object(JSONObject(object.map { ($0.key, masked($0.value, name: $0.key, depth: depth + 1)) }))
        // A telephone number may stand there without quotes.
        case .number(let text):
            let shown = field(name: name, value: text)
            return shown == text ? value : .string(shown)
        case .null, .bool: return isSecretName(name) ? .string(mark) : value
        }
    }
}

extension Redaction {
    /// A named text as it may leave the process: masked as a log's field of that name.
    public static func tag(_ name: String, _ value: String) -> String { field(name: name, value: value) }
}

extension Trace {
    /// The identifier of this step within its trace, 16 hex digits.
    public var span: String { Hex.encode(spanID) }
}
