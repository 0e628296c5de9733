import Formats

/// One job as it stands on a list: the object of `docs/wire-format.md`.
///
/// Anything that can push such an object is a producer, so decoding is strict about the fields that the engine acts upon and keeps
/// every field it does not know: a retry re-encodes the job with them.
public struct JobEnvelope: Sendable, Equatable {
    /// The version of the format, `v`. Another one is refused: its fields might mean something else.
    public static let version: Int64 = 1
    /// Largest encoded job.
    public static let bytesMax = 1 << 20
    /// Longest `id`, `kind`, `unique` and `payment`.
    public static let nameLengthMax = 200
    /// Longest `queue`.
    public static let queueLengthMax = 64

    /// `job_<ULID>` when the product made it; unique among all jobs.
    public var id: String
    /// The stable name of what is to be done, such as `draft.generate`.
    public var kind: String
    /// The queue that the job belongs to: the part of its keys in braces.
    public var queue: String
    /// The parameters: always an object.
    public var args: JSON
    /// The payment that this job is done for, if any. Guards ask about it.
    public var payment: String?
    /// How many attempts have been spent. 0 when the job is new.
    public var attempt: Int
    /// When the job was made, by its producer's clock; 0 when the producer did not say.
    public var enqueuedAtMs: Int64
    /// The key under which the job is the only one of its queue until it is done.
    public var unique: String?
    /// How many jobs with one key may be on their way at a time. Written as `serial` when it is one.
    public var slots: JobSlots?
    /// How often jobs with one key may start.
    public var rate: JobRate?
    /// Not run any more from this unix time in milliseconds on.
    public var expiresAtMs: Int64?
    /// Whether it has passed its keys. Set by the queue.
    public var admitted: Admitted
    /// W3C trace context.
    public var traceparent: String?
    /// Fields that this version does not know, kept as they came.
    public var unknown: [UnknownField]

    public struct UnknownField: Sendable, Equatable {
        public let name: String
        public let value: JSON

        public init(name: String, value: JSON) {
            self.name = name
            self.value = value
        }
    }

    public init(
        id: String, kind: String, queue: String, args: JSON, payment: String? = nil, attempt: Int = 0, enqueuedAtMs: Int64,
        unique: String? = nil, traceparent: String? = nil, slots: JobSlots? = nil, rate: JobRate? = nil, expiresAtMs: Int64? = nil,
        admitted: Admitted = .no, unknown: [UnknownField] = []
    ) {
        self.id = id
        self.kind = kind
        self.queue = queue
        self.args = args
        self.payment = payment
        self.attempt = attempt
        self.enqueuedAtMs = enqueuedAtMs
        self.unique = unique
        self.traceparent = traceparent
        self.slots = slots
        self.rate = rate
        self.expiresAtMs = expiresAtMs
        self.admitted = admitted
        self.unknown = unknown
    }

    /// The job as bytes for the list.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.beginObject()
        writer.member("v", Self.version)
        writer.member("id", id)
        writer.member("kind", kind)
        writer.member("queue", queue)
        writer.member("args", args)
        writer.member("payment", optional: payment)
        writer.member("attempt", Int64(attempt))
        writer.member("enqueued_at", enqueuedAtMs)
        if let unique { writer.member("unique", unique) }
        if let traceparent { writer.member("traceparent", traceparent) }
        if let slots {
            if slots.max == 1 {
                writer.member("serial", slots.key)
            } else {
                writer.member("concurrency", .object(["key": .string(slots.key), "max": .int(Int64(slots.max))]))
            }
        }
        if let rate {
            writer.member(
                "rate",
                .object([
                    "key": .string(rate.key), "count": .int(Int64(rate.count)), "per_ms": .int(rate.perMs), "burst": .int(Int64(rate.burst)),
                ]))
        }
        if let expiresAtMs { writer.member("expires_at", expiresAtMs) }
        if admitted != .no { writer.member("admitted", admitted.rawValue) }
        for field in unknown {
            writer.key(field.name)
            writer.value(field.value)
        }
        writer.endObject()
        return writer.bytes
    }

    /// The same job with one more attempt spent.
    public func afterAttempt() -> JobEnvelope {
        var next = self
        next.attempt += 1
        return next
    }

    /// The field in which a job carries how often an operator replayed it.
    private static let replayedField = "replayed"

    /// The same job as new, with one more replay to its name.
    func replayed() -> JobEnvelope {
        var next = self
        next.attempt = 0
        // It has let its keys go, and passes them again.
        next.admitted = .no
        let times = unknown.first { $0.name == Self.replayedField }?.value.int ?? 0
        next.unknown.removeAll { $0.name == Self.replayedField }
        next.unknown.append(UnknownField(name: Self.replayedField, value: .int(times + 1)))
        return next
    }

    /// Whether failed attempts of this job may be remembered.
    var mayHaveHistory: Bool { attempt > 0 || unknown.contains { $0.name == Self.replayedField } }

    /// The parameters as `P`.
    /// - Throws: ``ParametersError`` when they are not a `P`, or when `P` is paid-only and the job names no payment.
    public func parameters<P: JobParameters>(as type: P.Type) throws(ParametersError) -> P {
        if P.PaymentRule.isRequired && payment == nil { throw .paymentMissing(kind: kind) }
        return try P(arguments: args)
    }

    /// Whether `name` may name a queue: letters, digits, `.`, `_` and `-`, so that it cannot break out of its keys' braces.
    public static func isQueueName(_ name: String) -> Bool {
        (1...queueLengthMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
    }
}

/// Why bytes are not a job. Final: the same bytes will be refused again.
public struct EnvelopeError: Error, Equatable, CustomStringConvertible {
    /// The field at fault; empty when it is the whole.
    public let field: String
    /// The rule that it breaks.
    public let rule: String

    static func missing(_ field: String) -> EnvelopeError { EnvelopeError(field: field, rule: "is missing") }

    public var description: String { field.isEmpty ? rule : "job field \(field): \(rule)" }
}
