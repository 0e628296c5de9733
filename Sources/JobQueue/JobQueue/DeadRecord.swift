import Formats

/// One failed attempt.
public struct HistoryEntry: Sendable, Equatable {
    /// Longest reason kept.
    public static let reasonLengthMax = 1000

    /// The job whose history this is.
    public let job: String
    /// Which attempt, from 1.
    public let attempt: Int
    public let atMs: Int64
    public let worker: String
    public let reason: String

    public init(job: String, attempt: Int, atMs: Int64, worker: String, reason: String) {
        self.job = job
        self.attempt = attempt
        self.atMs = atMs
        self.worker = worker
        self.reason = String(reason.prefix(Self.reasonLengthMax))
    }

    /// One line of JSON, as it is kept.
    public var bytes: [UInt8] {
        JSON.object(["attempt": .int(Int64(attempt)), "at": .int(atMs), "worker": .string(worker), "reason": .string(reason)]).bytes
    }

    /// Reads what ``bytes`` wrote; nil for anything else.
    public init?(job: String, line: some Sequence<UInt8>) {
        guard let json = try? JSON(parsing: Array(line)), let attempt = json["attempt"]?.int, let atMs = json["at"]?.int else { return nil }
        self.init(
            job: job, attempt: Int(clamping: attempt), atMs: atMs, worker: json["worker"]?.string ?? "", reason: json["reason"]?.string ?? "")
    }

    /// Reads entries separated by newlines.
    public static func list(job: String, lines: [UInt8]) -> [HistoryEntry] {
        lines.split(separator: UInt8(ascii: "\n")).compactMap { HistoryEntry(job: job, line: $0) }
    }
}

/// A buried body with the reason: a member of the dead set.
public struct DeadRecord: Sendable, Equatable {
    /// The job's id; nil when the body is no job.
    public let job: String?
    public let kind: String?
    public let payment: String?
    public let reason: String
    public let buriedAtMs: Int64
    public let worker: String
    /// Exactly what was claimed.
    public let body: [UInt8]
    /// The bytes that stand in the set: what replaying and deleting go by.
    public let bytes: [UInt8]

    public init(job: String?, kind: String?, payment: String? = nil, reason: String, buriedAtMs: Int64, worker: String, body: [UInt8]) {
        self.job = job
        self.kind = kind
        self.payment = payment
        self.reason = String(reason.prefix(HistoryEntry.reasonLengthMax))
        self.buriedAtMs = buriedAtMs
        self.worker = worker
        self.body = body
        bytes =
            JSON.object([
                "job": .optional(job), "kind": .optional(kind), "payment": .optional(payment), "reason": .string(self.reason),
                "buried_at": .int(buriedAtMs), "worker": .string(worker), "body_base64": .string(Base64.encode(body)),
            ]).bytes
    }

    /// Buries a job.
    public init(burying job: JobEnvelope, body: [UInt8], reason: String, nowMs: Int64, worker: WorkerIdentity) {
        self.init(
            job: job.id, kind: job.kind, payment: job.payment, reason: reason, buriedAtMs: nowMs, worker: worker.description, body: body)
    }

    /// Buries a body that nobody could read, or that is no job.
    public init(buryingOpaque body: [UInt8], reason: String, nowMs: Int64, worker: WorkerIdentity) {
        self.init(job: nil, kind: nil, reason: reason, buriedAtMs: nowMs, worker: worker.description, body: body)
    }

    /// Reads a member of the dead set; nil when it is none of ours.
    public init?(bytes: [UInt8]) {
        guard let json = try? JSON(parsing: bytes, sizeLimit: 64 << 20), let buriedAtMs = json["buried_at"]?.int,
            let text = json["body_base64"]?.string, let body = Base64.decode(text)
        else { return nil }
        job = json["job"]?.string
        kind = json["kind"]?.string
        payment = json["payment"]?.string
        reason = json["reason"]?.string ?? ""
        self.buriedAtMs = buriedAtMs
        worker = json["worker"]?.string ?? ""
        self.body = body
        self.bytes = bytes
    }

    /// The body to replay: a job as new, under the same id, and marked with how often it was replayed; anything else unchanged.
    public var replayBody: [UInt8] {
        guard let envelope = try? JobEnvelope(decoding: body) else { return body }
        return envelope.replayed().encoded()
    }
}

/// A buried body with its history.
public struct DeadJob: Sendable, Equatable {
    public let record: DeadRecord
    public let history: [HistoryEntry]

    public init(record: DeadRecord, history: [HistoryEntry]) {
        self.record = record
        self.history = history
    }
}
