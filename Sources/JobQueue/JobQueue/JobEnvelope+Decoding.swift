import Formats

extension JobEnvelope {
    /// Reads a job.
    /// - Throws: ``EnvelopeError`` naming the field and the rule. A retry never helps: the bytes stay what they are.
    public init(decoding bytes: [UInt8]) throws(EnvelopeError) {
        guard bytes.count <= Self.bytesMax else { throw EnvelopeError(field: "", rule: "a job has at most \(Self.bytesMax) bytes") }
        let fields = try bytes.withUnsafeBufferPointerTyped { (buffer) throws(EnvelopeError) in try EnvelopeFields(buffer) }
        guard let version = fields.version else { throw .missing("v") }
        guard version == Self.version else { throw EnvelopeError(field: "v", rule: "only version \(Self.version) is understood") }
        guard let id = fields.id else { throw .missing("id") }
        guard let kind = fields.kind else { throw .missing("kind") }
        guard let queue = fields.queue else { throw .missing("queue") }
        self.init(
            id: id, kind: kind, queue: queue, args: fields.args ?? [:], payment: fields.payment, attempt: fields.attempt,
            enqueuedAtMs: fields.enqueuedAtMs, unique: fields.unique, traceparent: fields.traceparent, slots: fields.slots, rate: fields.rate,
            expiresAtMs: fields.expiresAtMs, admitted: fields.admitted, unknown: fields.unknown)
    }
}

/// The fields of an envelope while it is read, each checked as it comes. Every job passes through here: what all of them carry is read
/// where it stands, and no tree is made of the whole.
private struct EnvelopeFields {
    var version: Int64?
    var id: String?
    var kind: String?
    var queue: String?
    var args: JSON?
    var payment: String?
    var attempt = 0
    var enqueuedAtMs: Int64 = 0
    var unique: String?
    var traceparent: String?
    var slots: JobSlots?
    var rate: JobRate?
    var expiresAtMs: Int64?
    var admitted = JobEnvelope.Admitted.no
    var unknown: [JobEnvelope.UnknownField] = []

    /// The fields that most jobs carry, in the order in which they are written.
    private static let common: [StaticString] = ["v", "id", "kind", "queue", "args", "payment", "attempt", "enqueued_at"]
    /// Which of them have been seen, by their places.
    private var seen = 0
    private var seenOthers: Set<String> = []

    init(_ buffer: UnsafeBufferPointer<UInt8>) throws(EnvelopeError) {
        var reader: JSONMemberReader
        do { reader = try JSONMemberReader(buffer) } catch { throw Self.notAnObject(error) }
        // Almost every producer keeps the order, so the next name is the one after the last.
        var expected = 0
        while try Self.next(&reader) {
            guard let place = Self.place(&reader, expected) else {
                try takeOther(&reader)
                continue
            }
            guard seen & 1 << place == 0 else { throw Self.twice(reader) }
            seen |= 1 << place
            expected = place + 1
            try take(place, &reader)
        }
    }

    private static func place(_ reader: inout JSONMemberReader, _ expected: Int) -> Int? {
        if expected < common.count && reader.isAt(common[expected]) { return expected }
        return common.firstIndex { reader.isAt($0) }
    }

    private mutating func take(_ place: Int, _ reader: inout JSONMemberReader) throws(EnvelopeError) {
        switch place {
        case 0:
            guard let number = try Self.natural(&reader) else { throw EnvelopeError(field: "v", rule: "must be an integer") }
            version = number
        case 1: id = try Self.text("id", try Self.string(&reader))
        case 2: kind = try Self.text("kind", try Self.string(&reader))
        case 3:
            guard let text = try Self.string(&reader), JobEnvelope.isQueueName(text) else {
                throw EnvelopeError(field: "queue", rule: "must be 1 to \(JobEnvelope.queueLengthMax) letters, digits, '.', '_' or '-'")
            }
            queue = text
        case 4:
            let value = try Self.value(&reader)
            guard case .object = value else { throw EnvelopeError(field: "args", rule: "must be an object") }
            args = value
        case 5: payment = try Self.textOrNull("payment", &reader)
        case 6:
            guard let number = try Self.natural(&reader), number <= 1_000_000 else {
                throw EnvelopeError(field: "attempt", rule: "must be an integer from 0 to 1000000")
            }
            attempt = Int(number)
        default:
            guard let number = try Self.natural(&reader) else { throw EnvelopeError(field: "enqueued_at", rule: "must be unix milliseconds") }
            enqueuedAtMs = number
        }
    }

    private mutating func takeOther(_ reader: inout JSONMemberReader) throws(EnvelopeError) {
        let name = reader.name
        guard seenOthers.insert(name).inserted else { throw Self.twice(reader) }
        let value = try Self.value(&reader)
        switch name {
        case "unique": unique = try Self.textOrNull(name, value)
        case "traceparent": traceparent = try Self.textOrNull(name, value)
        case "serial":
            guard let key = try Self.textOrNull(name, value) else { return }
            try take(slots: JobSlots(key: key, max: 1), name)
        case "concurrency":
            guard !value.isNull else { return }
            let key = try Self.text("\(name).key", value["key"]?.string)
            try take(slots: JobSlots(key: key, max: try Self.count("\(name).max", value["max"])), name)
        case "rate": rate = value.isNull ? nil : try Self.rate(name, value)
        case "expires_at":
            guard !value.isNull else { return }
            guard let number = value.int, number >= 0 else { throw EnvelopeError(field: name, rule: "must be unix milliseconds") }
            expiresAtMs = number
        case "admitted":
            guard let known = value.int.flatMap(JobEnvelope.Admitted.init(rawValue:)) else {
                throw EnvelopeError(field: name, rule: "must be 0, 1 or 2")
            }
            admitted = known
        default: unknown.append(JobEnvelope.UnknownField(name: name, value: value))
        }
    }

    private mutating func take(slots named: JobSlots, _ name: String) throws(EnvelopeError) {
        guard slots == nil else { throw EnvelopeError(field: name, rule: "stands beside serial or concurrency: a job has one of them") }
        slots = named
    }

    // MARK: Rules

    private static func rate(_ name: String, _ value: JSON) throws(EnvelopeError) -> JobRate {
        JobRate(
            key: try text("\(name).key", value["key"]?.string), count: try count("\(name).count", value["count"]),
            perMs: Int64(try count("\(name).per_ms", value["per_ms"])), burst: try count("\(name).burst", value["burst"] ?? .int(1)))
    }

    private static func count(_ name: String, _ value: JSON?) throws(EnvelopeError) -> Int {
        guard let number = value?.int, (1...1_000_000_000).contains(number) else {
            throw EnvelopeError(field: name, rule: "must be an integer from 1 to 1000000000")
        }
        return Int(number)
    }

    private static func text(_ name: @autoclosure () -> String, _ value: String?) throws(EnvelopeError) -> String {
        guard let text = value else { throw EnvelopeError(field: name(), rule: "must be a string") }
        guard (1...JobEnvelope.nameLengthMax).contains(text.utf8.count) else {
            throw EnvelopeError(field: name(), rule: "must have 1 to \(JobEnvelope.nameLengthMax) bytes")
        }
        return text
    }

    private static func textOrNull(_ name: String, _ value: JSON) throws(EnvelopeError) -> String? {
        value.isNull ? nil : try text(name, value.string)
    }

    private static func textOrNull(_ name: String, _ reader: inout JSONMemberReader) throws(EnvelopeError) -> String? {
        if let string = try string(&reader) { return try text(name, string) }
        return try textOrNull(name, try value(&reader))
    }

    // MARK: The text

    private static func next(_ reader: inout JSONMemberReader) throws(EnvelopeError) -> Bool {
        do { return try reader.next() } catch { throw notAnObject(error) }
    }

    private static func value(_ reader: inout JSONMemberReader) throws(EnvelopeError) -> JSON {
        do { return try reader.value() } catch { throw notAnObject(error) }
    }

    private static func string(_ reader: inout JSONMemberReader) throws(EnvelopeError) -> String? {
        do { return try reader.string() } catch { throw notAnObject(error) }
    }

    private static func natural(_ reader: inout JSONMemberReader) throws(EnvelopeError) -> Int64? {
        do { return try reader.naturalNumber() } catch { throw notAnObject(error) }
    }

    private static func twice(_ reader: JSONMemberReader) -> EnvelopeError {
        notAnObject(JSONError(code: .duplicateKey, offset: reader.nameOffset))
    }

    private static func notAnObject(_ error: JSONError) -> EnvelopeError {
        EnvelopeError(field: "", rule: "a job is a JSON object: \(error)")
    }
}
