import Formats
import Telemetry

/// One thing that somebody has to look at.
public struct ErrorReport: Sendable {
    public enum Level: String, Sendable { case fatal, error, warning }

    public var level: Level
    /// A fixed sentence; what varies goes into `detail` and `fields`.
    public var message: String
    /// Masked like a log's text before it leaves the process.
    public var detail: String?
    /// What people search by: payment, inquiry_id, order_id, provider, provider_ref, job, kind, queue, mode, trace. Masked like a log's
    /// fields of the same name.
    public var fields: [String: String]
    /// What stands together besides the message, such as a job's kind and its normalised reason.
    public var fingerprint: [String]
    /// Nil for the release of the program that sends it.
    public var release: String?

    public init(
        _ message: String, level: Level = .error, detail: String? = nil, fields: [String: String?] = [:], fingerprint: [String] = []
    ) {
        self.message = message
        self.level = level
        self.detail = detail
        self.fields = fields.compactMapValues { $0 }
        self.fingerprint = fingerprint
    }

    var group: [String] { [message] + fingerprint }
}

/// A report as it goes over the wire: Sentry's envelope with one event.
struct SentryEnvelope {
    let id: String
    let report: ErrorReport
    /// How many reports of the same group were held back before this one.
    let repeated: Int
    let atMs: Int64
    let program: String
    let release: String
    /// Where the report says nothing of it.
    let mode: String?

    /// Longest text of a tag, as Sentry takes it.
    private static let tagLengthMax = 200
    private static let detailLengthMax = 4000

    /// Three lines: the envelope's head, the item's head, the event.
    func bytes(sentAtMs: Int64) -> [UInt8] {
        let event = event.bytes
        let head: JSON = ["event_id": .string(id), "sent_at": .string(Timestamp.rfc3339(sentAtMs))]
        let item: JSON = ["type": "event", "content_type": "application/json", "length": .int(Int64(event.count))]
        return head.bytes + [0x0A] + item.bytes + [0x0A] + event + [0x0A]
    }

    private var event: JSON {
        var tags = JSONObject()
        for (name, value) in report.fields.sorted(by: { $0.key < $1.key }) where name != "mode" && name != "trace" {
            tags[name] = .string(String(Redaction.tag(name, value).prefix(Self.tagLengthMax)))
        }
        var extra = JSONObject()
        if let detail = report.detail { extra["detail"] = .string(String(Redaction.text(detail).prefix(Self.detailLengthMax))) }
        if repeated > 0 { extra["repeated"] = .int(Int64(repeated)) }
        var event: JSONObject = [
            "event_id": .string(id), "timestamp": .string(Timestamp.rfc3339(atMs)), "platform": "other", "level": .string(report.level.rawValue),
            "logger": .string(program), "release": .string(report.release ?? release), "message": ["formatted": .string(report.message)],
            "fingerprint": .array(report.group.map { .string(Redaction.text($0)) }),
        ]
        if let mode = report.fields["mode"] ?? mode {
            event["environment"] = .string(mode)
            tags["mode"] = .string(mode)
        }
        event["tags"] = .object(tags)
        event["extra"] = .object(extra)
        if let trace = report.fields["trace"].flatMap({ Trace(traceparent: $0) }) {
            event["contexts"] = ["trace": ["trace_id": .string(trace.id), "span_id": .string(trace.span)]]
        }
        return .object(event)
    }
}
