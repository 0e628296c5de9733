import Cryptography
import Database
import MessagePort
import Telemetry

/// Who does not want to be written to on a channel. A state that is kept, and no error.
public struct OptOut: Sendable, Equatable {
    /// What it can be named by without telling anything of the address.
    public let id: Int64
    public let channel: MessageChannel
    /// Masked: whole it is kept nowhere.
    public let address: String
    /// What the carrier said, or who entered it.
    public let source: String
    public let sinceMs: Int64

    /// Whether a text can be an address of a channel: an e-mail address, or a telephone number.
    public static func isAddress(_ text: String, on channel: MessageChannel) -> Bool {
        guard channel == .email else { return Telephone.parse(text) != nil }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 254 && !text.contains(where: \.isWhitespace)
    }

    /// How an address is shown.
    public static func masked(_ address: String, on channel: MessageChannel) -> String {
        channel == .email ? Redaction.text(address) : Redaction.telephone(Telephone.parse(address) ?? address)
    }

    /// Enters a refusal; one that is there already stays as it is.
    /// - Returns: whether it is new.
    @discardableResult
    public static func record(
        _ address: String, on channel: MessageChannel, source: String, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO notifications_optouts (channel, address_hash, address, source, since) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (channel, address_hash) DO NOTHING
            """,
            [
                .text(channel.rawValue), .text(hash(address, channel)), .text(masked(address, on: channel)), .text(String(source.prefix(200))),
                .integer(nowMs),
            ]) == 1
    }

    /// The person wants to be written to again.
    /// - Returns: whether there was a refusal.
    @discardableResult
    public static func lift(_ address: String, on channel: MessageChannel, in connection: Connection) throws -> Bool {
        try connection.execute(
            "DELETE FROM notifications_optouts WHERE channel = $1 AND address_hash = $2", [.text(channel.rawValue), .text(hash(address, channel))])
            == 1
    }

    public static func isRecorded(_ address: String, on channel: MessageChannel, in connection: Connection) throws -> Bool {
        try connection.first(
            "SELECT 1 AS found FROM notifications_optouts WHERE channel = $1 AND address_hash = $2",
            [.text(channel.rawValue), .text(hash(address, channel))]) != nil
    }

    /// The same of one that is known by its id.
    /// - Returns: what it was; nil where there is none.
    public static func lift(id: Int64, in connection: Connection) throws -> OptOut? {
        try connection.first("DELETE FROM notifications_optouts WHERE id = $1 RETURNING *", [.integer(id)]).map(OptOut.init)
    }

    /// Newest first.
    /// - Parameter before: the place of the one behind which the list goes on, in the list or not any more.
    public static func list(limit: Int = 100, before: Place? = nil, in connection: Connection) throws -> [OptOut] {
        let order = "ORDER BY since DESC, id DESC LIMIT $1"
        guard let before else {
            return try connection.query("SELECT * FROM notifications_optouts \(order)", [.int(limit)]).map(OptOut.init)
        }
        return try connection.query(
            "SELECT * FROM notifications_optouts WHERE (since, id) < ($2, $3) \(order)",
            [.int(limit), .integer(before.sinceMs), .integer(before.id)]
        ).map(OptOut.init)
    }

    /// Where one stands in the list: says nothing of whose it is.
    public struct Place: Sendable, Equatable {
        let sinceMs: Int64
        let id: Int64

        init(sinceMs: Int64, id: Int64) {
            self.sinceMs = sinceMs
            self.id = id
        }

        /// Nil for what is no place.
        public init?(_ text: String) {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
            guard parts.count == 2, let since = parts[0], let id = parts[1] else { return nil }
            self.init(sinceMs: since, id: id)
        }

        public var text: String { "\(String(sinceMs))-\(String(id))" }
    }

    public var place: Place { Place(sinceMs: sinceMs, id: id) }

    private init(_ row: Row) throws {
        let name = try row.text("channel")
        guard let channel = MessageChannel(rawValue: name) else {
            throw DatabaseError(kind: .column, message: "an opt-out of the channel '\(name)' is of a newer program")
        }
        self.channel = channel
        id = try row.int("id")
        address = try row.text("address")
        source = try row.text("source")
        sinceMs = try row.int("since")
    }

    private static func hash(_ address: String, _ channel: MessageChannel) -> String {
        let plain = channel == .email ? address.lowercased() : Telephone.parse(address) ?? address
        return Digest.sha256Hex(Array("quittance opt-out \(plain)".utf8))
    }
}

/// A carrier, or one template of it, by which nothing is sent for a while.
public struct CarrierStop: Sendable, Equatable {
    public let carrier: String
    /// Nil for everything.
    public let template: String?
    public let code: String
    public let detail: String
    public let sinceMs: Int64
    public let untilMs: Int64

    /// Those in force.
    public static func list(nowMs: Int64, in connection: Connection) throws -> [CarrierStop] {
        try connection.query("SELECT * FROM notifications_stops WHERE until > $1 ORDER BY carrier, template", [.integer(nowMs)]).map {
            let template = try $0.text("template")
            return CarrierStop(
                carrier: try $0.text("carrier"), template: template.isEmpty ? nil : template, code: try $0.text("code"),
                detail: try $0.text("detail"), sinceMs: try $0.int("since"), untilMs: try $0.int("until"))
        }
    }

    /// By carrier, until when nothing of this template goes by it.
    package static func of(template: MessageTemplate, nowMs: Int64, in connection: Connection) throws -> [String: Int64] {
        let rows = try connection.query(
            "SELECT carrier, MAX(until) AS until FROM notifications_stops WHERE until > $1 AND template IN ('', $2) GROUP BY carrier",
            [.integer(nowMs), .text(template.rawValue)])
        return Dictionary(try rows.map { (try $0.text("carrier"), try $0.int("until")) }) { max($0, $1) }
    }

    package static func record(
        _ fault: CarrierFault, by carrier: String, template: MessageTemplate, nowMs: Int64, in connection: Connection
    ) throws {
        guard let stop = fault.stop else { return }
        let (name, rest): (String, Duration) =
            switch stop {
            case .carrier(let rest): ("", rest)
            case .template(let rest): (template.rawValue, rest)
            }
        try connection.execute(
            """
            INSERT INTO notifications_stops (carrier, template, code, detail, since, until) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (carrier, template) DO UPDATE SET code = $3, detail = $4, until = $6,
              since = CASE WHEN until < $5 - 3600000 THEN $5 ELSE since END
            """,
            [
                .text(carrier), .text(name), .text(fault.code), .text(fault.text), .integer(nowMs),
                .integer(nowMs + rest.components.seconds * 1000),
            ])
    }

    /// It took a message: it is well again.
    package static func lift(_ carrier: String, template: MessageTemplate, in connection: Connection) throws {
        try connection.execute(
            "DELETE FROM notifications_stops WHERE carrier = $1 AND template IN ('', $2)", [.text(carrier), .text(template.rawValue)])
    }
}
