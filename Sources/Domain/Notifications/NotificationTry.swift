import Database
import MessagePort

/// One call to one carrier, and what came of it: the history of a message.
public struct NotificationTry: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        /// Begun; if nothing follows, interrupted.
        case sending
        case accepted, refused, retry
        /// Not sent: the carrier is ill, or gets enough.
        case held
        /// Not sent: the carrier's keys or account.
        case down
        /// Sent, and not answered.
        case unknown
        case failed, delivered, read

        /// What a receipt can only move up: a telephone that has shown a message has it, whatever else is told of it.
        var rank: Int {
            switch self {
            case .failed: 1
            case .delivered: 2
            case .read: 3
            default: 0
            }
        }
    }

    public let id: Int64
    /// The message by its Message-ID.
    public let message: String
    public let round: Int64
    public let carrier: String
    public let channel: MessageChannel
    public let mode: String?
    public let state: State
    public let code: String?
    public let detail: String?
    /// The address is at fault: no other carrier of the channel helps.
    public let isAddressFault: Bool
    public let carrierID: String?
    public let beganAtMs: Int64
    public let endedAtMs: Int64?

    /// As a test has it.
    package init(
        id: Int64 = 0, message: String = "", round: Int64 = 1, carrier: String, channel: MessageChannel, mode: String? = nil, state: State,
        code: String? = nil, detail: String? = nil, isAddressFault: Bool = false, carrierID: String? = nil, beganAtMs: Int64,
        endedAtMs: Int64? = nil
    ) {
        self.id = id
        self.message = message
        self.round = round
        self.carrier = carrier
        self.channel = channel
        self.mode = mode
        self.state = state
        self.code = code
        self.detail = detail
        self.isAddressFault = isAddressFault
        self.carrierID = carrierID
        self.beganAtMs = beganAtMs
        self.endedAtMs = endedAtMs
    }

    init(_ row: Row) throws {
        guard let channel = MessageChannel(rawValue: try row.text("channel")), let state = State(rawValue: try row.text("state")) else {
            throw DatabaseError(kind: .column, message: "a try of a message is of a newer program")
        }
        self.init(
            id: try row.int("id"), message: try row.text("message"), round: try row.int("round"), carrier: try row.text("carrier"),
            channel: channel, mode: try row.textOrNil("mode"), state: state, code: try row.textOrNil("code"), detail: try row.textOrNil("detail"),
            isAddressFault: try row.int("address_fault") == 1, carrierID: try row.textOrNil("carrier_id"), beganAtMs: try row.int("began_at"),
            endedAtMs: try row.intOrNil("ended_at"))
    }

    /// The history of a message, oldest first.
    public static func of(message: String, in connection: Connection) throws -> [NotificationTry] {
        try connection.query("SELECT * FROM notifications_tries WHERE message = $1 ORDER BY id", [.text(message)]).map(NotificationTry.init)
    }

    // MARK: Writing

    /// Notes that a carrier is about to be called. A call that was held back and comes now is the same try.
    package static func begin(
        _ record: NotificationRecord, by carrier: any MessageCarrier, tries: [NotificationTry], nowMs: Int64, in connection: Connection
    ) throws -> Int64 {
        if let last = tries.last(where: { $0.carrier == carrier.name }), last.state == .held {
            try connection.execute("UPDATE notifications_tries SET state = 'sending', ended_at = NULL WHERE id = $1", [.integer(last.id)])
            return last.id
        }
        let row = try connection.first(
            """
            INSERT INTO notifications_tries (message, round, carrier, channel, mode, state, began_at) VALUES ($1, $2, $3, $4, $5, 'sending', $6)
            RETURNING id
            """,
            [
                .text(record.messageID), .integer(record.round), .text(carrier.name), .text(carrier.channel.rawValue), .optional(carrier.mode),
                .integer(nowMs),
            ])
        return try row?.int("id") ?? 0
    }

    package static func end(
        _ id: Int64, as state: State, carrierID: String? = nil, code: String? = nil, detail: String? = nil, isAddressFault: Bool = false,
        nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            """
            UPDATE notifications_tries SET state = $2, carrier_id = COALESCE($3, carrier_id), code = $4, detail = $5, address_fault = $6,
              ended_at = $7 WHERE id = $1
            """,
            [
                .integer(id), .text(state.rawValue), .optional(carrierID), .optional(code.map { String($0.prefix(100)) }),
                .optional(detail.map { String($0.prefix(500)) }), .integer(isAddressFault ? 1 : 0), .integer(nowMs),
            ])
    }
}
