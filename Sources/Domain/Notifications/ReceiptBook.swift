import Database
import JobQueue
import MessagePort
import Outbox

/// Enters what carriers tell of messages. Receipts come in any order, twice, and before the answer that names their message: they are kept
/// apart, and a try takes from them what is furthest.
public struct ReceiptBook: Sendable {
    /// How long a receipt is kept whose message is not known (yet).
    static let keepMs: Int64 = 30 * 86_400_000
    private static let purgeMax: Int64 = 500

    public enum Effect: String, Sendable, CaseIterable {
        /// It moved its message.
        case applied
        /// It told nothing that was not known.
        case known
        /// Its message is not known.
        case unmatched
    }

    /// Whether somebody still waits for what a message links to.
    public typealias Waiting = @Sendable (SendNotification.Link, _ nowMs: Int64, Connection) throws -> Bool

    private let outbox: Outbox
    private let routes: [DeliveryRoute]
    private let isWaitedFor: Waiting

    /// - Parameters:
    ///   - carriers: in the order of preference: one that failed is followed by the next.
    ///   - isWaitedFor: asked before it is made a task that a link did not get there.
    public init(outbox: Outbox, carriers: [any MessageCarrier], isWaitedFor: @escaping Waiting = { _, _, _ in true }) {
        self.outbox = outbox
        routes = carriers.map(DeliveryRoute.init)
        self.isWaitedFor = isWaitedFor
    }

    /// Enters one receipt, in the caller's transaction.
    public func enter(_ receipt: DeliveryReceipt, of carrier: String, nowMs: Int64, in connection: Connection) throws -> Effect {
        let isNew = try connection.execute(
            """
            INSERT INTO notifications_receipts (carrier, carrier_id, state, code, detail, at, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (carrier, carrier_id, state) DO NOTHING
            """,
            [
                .text(carrier), .text(receipt.id), .text(receipt.state.rawValue), .optional(receipt.code), .optional(receipt.detail),
                .optional(receipt.atMs), .integer(nowMs),
            ])
        guard let found = try Self.tried(receipt, carrier, nowMs: nowMs, in: connection) else { return .unmatched }
        if receipt.isOptOut { try recordOptOut(found, receipt, nowMs: nowMs, in: connection) }
        guard isNew == 1, let state = receipt.state.tryState else { return .known }
        return try move(found, to: state, receipt, nowMs: nowMs, in: connection) ? .applied : .known
    }

    /// Removes what nobody asked for.
    public static func purge(nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            DELETE FROM notifications_receipts WHERE (carrier, carrier_id, state) IN
              (SELECT carrier, carrier_id, state FROM notifications_receipts WHERE received_at < $1 ORDER BY received_at LIMIT $2)
            """, [.integer(nowMs - keepMs), .integer(purgeMax)])
    }

    /// What was told of a message before its carrier's answer was entered.
    package static func early(_ carrierID: String, of carrier: String, in connection: Connection) throws -> Told? {
        try connection.query(
            "SELECT state, code, detail FROM notifications_receipts WHERE carrier = $1 AND carrier_id = $2", [.text(carrier), .text(carrierID)]
        ).compactMap { row in
            guard let state = DeliveryReceipt.State(rawValue: try row.text("state"))?.tryState else { return nil }
            return Told(state: state, code: try row.textOrNil("code"), detail: try row.textOrNil("detail"))
        }.max { $0.state.rank < $1.state.rank }
    }

    /// What the furthest of a message's receipts says.
    package struct Told: Sendable {
        package let state: NotificationTry.State
        package let code: String?
        package let detail: String?
    }

    // MARK: Parts

    private static func tried(_ receipt: DeliveryReceipt, _ carrier: String, nowMs: Int64, in connection: Connection) throws -> NotificationTry? {
        let known = try connection.first(
            "SELECT * FROM notifications_tries WHERE carrier = $1 AND carrier_id = $2 ORDER BY id DESC LIMIT 1", [.text(carrier), .text(receipt.id)])
        if let known { return try NotificationTry(known) }
        // A call whose answer never came: our own id comes back with what became of it.
        guard let message = receipt.message else { return nil }
        let unanswered = try connection.first(
            """
            SELECT * FROM notifications_tries WHERE message = $1 AND carrier = $2 AND carrier_id IS NULL AND state IN ('sending', 'unknown')
            ORDER BY id DESC LIMIT 1
            """, [.text(message), .text(carrier)])
        guard let unanswered else { return nil }
        let id = try unanswered.int("id")
        try connection.execute("UPDATE notifications_tries SET carrier_id = $2 WHERE id = $1", [.integer(id), .text(receipt.id)])
        let call = try NotificationTry(unanswered)
        // Whoever says that it is on its way has taken it: it is not sent again. A call that is under way finds that out by itself.
        if receipt.state == .sent, call.state == .unknown, let record = try NotificationRecord.find(messageID: message, in: connection) {
            try NotificationTry.end(id, as: .accepted, code: nil, detail: nil, nowMs: nowMs, in: connection)
            if [.pending, .unknown].contains(NotificationRecord.State(rawValue: record.state)) {
                try NotificationRecord.markSent(record.key, as: .sent, channel: call.channel, nowMs: receipt.atMs ?? nowMs, in: connection)
            }
        }
        return try connection.first("SELECT * FROM notifications_tries WHERE id = $1", [.integer(id)]).map(NotificationTry.init)
    }

    /// - Returns: whether it told anything new.
    private func move(
        _ tried: NotificationTry, to state: NotificationTry.State, _ receipt: DeliveryReceipt, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        guard state.rank > tried.state.rank else { return false }
        try NotificationTry.end(tried.id, as: state, code: receipt.code, detail: receipt.detail, nowMs: nowMs, in: connection)
        guard let record = try NotificationRecord.find(messageID: tried.message, in: connection) else { return true }
        if state == .failed {
            try followFailure(of: record, tried, receipt, nowMs: nowMs, in: connection)
        } else if record.state != NotificationRecord.State.read.rawValue {
            let reached: NotificationRecord.State = state == .read ? .read : .delivered
            try NotificationRecord.markSent(
                record.key, as: reached, channel: tried.channel, nowMs: receipt.atMs ?? nowMs, in: connection)
        }
        return true
    }

    /// The next carrier is tried, where there is one and the message is still of use.
    private func followFailure(
        of record: NotificationRecord, _ tried: NotificationTry, _ receipt: DeliveryReceipt, nowMs: Int64, in connection: Connection
    ) throws {
        guard [.sent, .unknown].contains(NotificationRecord.State(rawValue: record.state)) else { return }
        let tries = try NotificationTry.of(message: record.messageID, in: connection).filter { $0.round == record.round }
        guard !tries.contains(where: { [.accepted, .delivered, .read].contains($0.state) }) else { return }
        let error = "\(tried.carrier): \(receipt.detail ?? "not delivered")" + (receipt.code.map { " (\($0))" } ?? "")
        if let message = try record.sending(), nowMs <= record.usefulUntilMs ?? .max {
            let plan = DeliveryPlan(
                routes: try message.routes(among: routes, in: connection),
                stops: try CarrierStop.of(template: message.template, nowMs: nowMs, in: connection), tries: tries)
            switch plan.next(nowMs: nowMs) {
            case .send, .wait:
                try NotificationRecord.mark(record.messageID, as: .pending, error: error, in: connection)
                var request = try message.request(payment: record.payment)
                request.unique = "\(SendNotification.kind):\(record.key):after:\(tried.id)"
                try outbox.add(request, nowMs: nowMs, in: connection)
                return
            case .doubtful, .over: break
            }
        }
        try NotificationRecord.mark(record.messageID, as: .failed, error: error, in: connection)
        guard let message = try record.sending(), let link = message.link, try isWaitedFor(link, nowMs, connection) else { return }
        try message.openTask(payment: record.payment, why: error, nowMs: nowMs, in: connection)
    }

    private func recordOptOut(_ tried: NotificationTry, _ receipt: DeliveryReceipt, nowMs: Int64, in connection: Connection) throws {
        guard let message = try NotificationRecord.find(messageID: tried.message, in: connection)?.sending(),
            let address = message.address(on: tried.channel)
        else { return }
        let source = "\(tried.carrier) \(receipt.code ?? "")"
        try OptOut.record(address, on: tried.channel, source: source, nowMs: nowMs, in: connection)
    }
}

extension DeliveryReceipt.State {
    /// Nil for what tells nothing new.
    var tryState: NotificationTry.State? {
        switch self {
        case .sent: nil
        case .failed: .failed
        case .delivered: .delivered
        case .read: .read
        }
    }
}
