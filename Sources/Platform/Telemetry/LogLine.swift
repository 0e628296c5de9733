import Formats

/// One line before it is written: puts the fields in order and masks what must not be read.
struct LogLine {
    let nowMs: Int64
    let level: Log.Level
    let program: String
    let component: String
    let message: StaticString
    let fields: [String: Log.Value]

    /// `time level program component msg`, then the fields by name.
    var json: [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.beginObject()
        writer.member("time", Timestamp.rfc3339(nowMs))
        writer.member("level", level.name)
        writer.member("program", program)
        if !component.isEmpty { writer.member("component", component) }
        writer.member("msg", message.description)
        for (name, value) in ordered {
            writer.key(Self.reserved.contains(name) ? name + "_" : name)
            switch value {
            case .string(let value): writer.string(value)
            case .int(let value): writer.int(value)
            case .double(let value): writer.double(value)
            case .bool(let value): writer.bool(value)
            }
        }
        writer.endObject()
        return writer.bytes
    }

    /// `08:00:00.000 WARNING ingest/http a sentence key=value key="two words"`
    var text: [UInt8] {
        var line = "\(Timestamp.rfc3339(nowMs).dropFirst(11).dropLast()) \(level.name.uppercased()) "
        line += [program, component].filter { !$0.isEmpty }.joined(separator: "/")
        line += line.hasSuffix(" ") ? "\(message)" : " \(message)"
        for (name, value) in ordered {
            switch value {
            case .string(let value): line += " \(name)=\(Self.quotedIfNeeded(value))"
            case .int(let value): line += " \(name)=\(value)"
            case .double(let value): line += " \(name)=\(value)"
            case .bool(let value): line += " \(name)=\(value)"
            }
        }
        return Array(line.utf8)
    }

    private static let reserved: Set<String> = ["time", "level", "program", "component", "msg"]

    private var ordered: [(name: String, value: Log.Value)] {
        fields.sorted { $0.key < $1.key }.map { name, value in
            guard case .string(let text) = value else { return (name, value) }
            return (name, .string(Redaction.field(name: name, value: text)))
        }
    }

    /// A line stays one line, and its words can be told apart.
    private static func quotedIfNeeded(_ text: String) -> String {
        let plain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return plain ? text : JSON.string(text).text
    }
}
