import Database
import Formats
import JobQueue
import MessagePort
import Notifications
import Outbox
import Payments

/// What is read and written of one message around a call to a carrier, each in one transaction.
struct SendingDesk: Sendable {
    let message: SendNotification
    let job: JobEnvelope
    let subject: String
    let host: String
    let carriers: [any MessageCarrier]
    let linking: MessageLinking
    let isLastAttempt: Bool

    /// One call to one carrier.
    struct Call: Sendable {
        let id: Int64
        let carrier: any MessageCarrier
        let messageID: String
        let round: Int64
        let address: String
        /// With what is made at sending.
        let values: [String: String]

        /// A message that is given another round is sent anew, whatever came of the one before.
        var effectKey: String { round == 1 ? messageID : "\(messageID) \(round)" }
    }

    enum Beginning: Sendable {
        case send(Call)
        case wait(untilMs: Int64, reason: String)
        case skip(String)
        case sentBefore
        case over(String)
    }

    enum Next: Sendable {
        case done
        case another
        case again(after: Duration?, reason: String)
    }

    private typealias State = NotificationRecord.State

    // MARK: Before a call

    /// Re-reads the payment, if the message names one, and writes the intent.
    func begin(isFirst: Bool, nowMs: Int64, in connection: Connection) throws -> Beginning {
        if try Outbox.isFinished(job.id, in: connection) { return .sentBefore }
        if let reason = try obstacle(in: connection) { return try skip(reason, nowMs: nowMs, in: connection) }
        let enqueuedAtMs = job.enqueuedAtMs > 0 ? min(job.enqueuedAtMs, nowMs) : nowMs
        let routes = try message.routes(among: carriers.map(DeliveryRoute.init), in: connection)
        var record: NotificationRecord
        if !isFirst, let known = try NotificationRecord.find(message.key, in: connection) {
            record = known
        } else {
            record = try NotificationRecord.intend(
                message, subject: subject, host: host, payment: job.payment, job: job.id, channel: routes.first?.channel ?? .email,
                madeAtMs: enqueuedAtMs, nowMs: nowMs, in: connection)
        }
        guard record.state == State.pending.rawValue else {
            _ = try Outbox.finish(job, as: .done, detail: record.messageID, nowMs: nowMs, in: connection)
            return .sentBefore
        }
        if let usefulUntilMs = record.usefulUntilMs, usefulUntilMs < nowMs {
            return try giveUp("too late: it was of use until \(Timestamp.rfc3339(usefulUntilMs))", as: .late, nowMs: nowMs, in: connection)
        }
        // Nobody's fault, and nothing that a replay would change.
        guard !routes.isEmpty else {
            return try giveUp("there is no channel on which the person can be reached", as: .refused, nowMs: nowMs, in: connection)
        }
        var values = message.values
        if let link = message.link {
            switch try linking.sign(link, nowMs: nowMs, in: connection) {
            case .over(let reason): return try giveUp("too late: \(reason)", as: .failed, nowMs: nowMs, in: connection)
            case .settled(let reason):
                try NotificationRecord.markError(message.key, "too late: \(reason)", state: .late, in: connection)
                return try skip("too late: \(reason)", nowMs: nowMs, in: connection)
            case .good(let url, let expiresAtMs):
                values[MessageVariable.link.rawValue] = url
                values[MessageVariable.expires.rawValue] = MessageMoment.text(expiresAtMs, language: message.language)
            }
        }
        let plan = try plan(record, routes, nowMs: nowMs, in: connection)
        switch plan.next(nowMs: nowMs) {
        case .send(let route):
            guard let carrier = carriers.first(where: { $0.name == route.carrier }), let address = message.address(on: route.channel) else {
                return .over("\(route.carrier) is no carrier here")
            }
            let id = try NotificationTry.begin(record, by: carrier, tries: plan.tries, nowMs: nowMs, in: connection)
            return .send(Call(id: id, carrier: carrier, messageID: record.messageID, round: record.round, address: address, values: values))
        case .wait(let untilMs, let reason): return .wait(untilMs: untilMs, reason: reason)
        case .doubtful:
            try NotificationRecord.markError(message.key, "nobody knows whether it was taken", state: .unknown, in: connection)
            _ = try Outbox.finish(job, as: .done, detail: "unknown", nowMs: nowMs, in: connection)
            return .sentBefore
        case .over(let reason):
            try NotificationRecord.markError(message.key, reason, state: .refused, in: connection)
            try message.openTask(payment: job.payment, why: reason, nowMs: nowMs, in: connection)
            return .over(reason)
        }
    }

    /// Why it is not to be sent any more.
    private func obstacle(in connection: Connection) throws -> String? {
        if let id = job.payment {
            let state = try PaymentStore.find(id, in: connection)?.state
            // By exactly these words skipped jobs are taken up again once the payment is paid anew.
            guard let state, state.allowsPaidWork else { return state?.skipReason ?? "payment is unknown" }
        }
        if let standing = message.standing {
            let state = try PaymentStore.find(standing.payment, in: connection)?.state.rawValue ?? "unknown"
            guard standing.states.contains(state) else { return "payment is \(state)" }
        }
        return nil
    }

    private func skip(_ reason: String, nowMs: Int64, in connection: Connection) throws -> Beginning {
        _ = try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection)
        return .skip(reason)
    }

    private func giveUp(_ reason: String, as state: NotificationRecord.State, nowMs: Int64, in connection: Connection) throws -> Beginning {
        try NotificationRecord.markError(message.key, reason, state: state, in: connection)
        try message.openTask(payment: job.payment, why: reason, nowMs: nowMs, in: connection)
        return try skip(reason, nowMs: nowMs, in: connection)
    }

    private func plan(_ record: NotificationRecord, _ routes: [DeliveryRoute], nowMs: Int64, in connection: Connection) throws -> DeliveryPlan {
        DeliveryPlan(
            routes: routes, stops: try CarrierStop.of(template: message.template, nowMs: nowMs, in: connection),
            tries: try NotificationTry.of(message: record.messageID, in: connection).filter { $0.round == record.round })
    }

    // MARK: After a call

    /// Nothing was sent.
    /// - Returns: whether another carrier's turn has come.
    func putOff(_ call: Call, _ reason: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        try NotificationTry.end(call.id, as: .held, detail: reason, nowMs: nowMs, in: connection)
        try NotificationRecord.markError(message.key, reason, in: connection)
        return try another(than: call, nowMs: nowMs, in: connection)
    }

    /// Enters what came of the call.
    func settle(_ call: Call, _ outcome: CarrierOutcome, nowMs: Int64, in connection: Connection) throws -> Next {
        switch outcome {
        case .accepted(let id): return try accept(call, id, nowMs: nowMs, in: connection)
        case .permanent(let fault):
            try enter(fault, .refused, of: call, nowMs: nowMs, in: connection)
            return .another
        case .channelDown(let fault):
            try enter(fault, .down, of: call, nowMs: nowMs, in: connection)
            return .another
        case .unknown(let fault):
            try enter(fault, .unknown, of: call, nowMs: nowMs, in: connection)
            return try followUp(call, fault, after: nil, nowMs: nowMs, in: connection)
        case .retryable(let fault, let after):
            let before = try NotificationTry.of(message: call.messageID, in: connection).count {
                $0.round == call.round && $0.carrier == call.carrier.name && $0.state == .retry && $0.code == fault.code
            }
            guard before < fault.retriesMax ?? .max else {
                try enter(fault, .refused, of: call, nowMs: nowMs, in: connection)
                return .another
            }
            try enter(fault, .retry, of: call, nowMs: nowMs, in: connection)
            return try followUp(call, fault, after: after, nowMs: nowMs, in: connection)
        }
    }

    private func accept(_ call: Call, _ id: String?, nowMs: Int64, in connection: Connection) throws -> Next {
        let told = try id.flatMap { try ReceiptBook.early($0, of: call.carrier.name, in: connection) }
        try NotificationTry.end(
            call.id, as: told?.state ?? .accepted, carrierID: id, code: told?.code, detail: told?.detail, nowMs: nowMs, in: connection)
        try CarrierStop.lift(call.carrier.name, template: message.template, in: connection)
        if told?.state == .failed {
            let reason = "\(call.carrier.name): \(told?.detail ?? "not delivered")" + (told?.code.map { " (\($0))" } ?? "")
            try NotificationRecord.markError(message.key, reason, in: connection)
            return .another
        }
        let state: State = told?.state == .read ? .read : told?.state == .delivered ? .delivered : .sent
        try NotificationRecord.markSent(message.key, as: state, channel: call.carrier.channel, nowMs: nowMs, in: connection)
        _ = try Outbox.finish(job, as: .done, detail: call.messageID, nowMs: nowMs, in: connection)
        return .done
    }

    private func enter(
        _ fault: CarrierFault, _ state: NotificationTry.State, of call: Call, nowMs: Int64, in connection: Connection
    ) throws {
        try NotificationTry.end(
            call.id, as: state, code: fault.code, detail: fault.text, isAddressFault: state == .refused && !fault.anotherMayHelp, nowMs: nowMs,
            in: connection)
        try NotificationRecord.markError(message.key, "\(fault)", in: connection)
        if fault.isOptOut {
            try OptOut.record(
                call.address, on: call.carrier.channel, source: "\(call.carrier.name) \(fault.code)", nowMs: nowMs, in: connection)
        }
        try CarrierStop.record(fault, by: call.carrier.name, template: message.template, nowMs: nowMs, in: connection)
    }

    private func followUp(
        _ call: Call, _ fault: CarrierFault, after: Duration?, nowMs: Int64, in connection: Connection
    ) throws -> Next {
        if try another(than: call, nowMs: nowMs, in: connection) { return .another }
        if isLastAttempt {
            try NotificationRecord.markError(message.key, "\(fault)", state: .refused, in: connection)
            try message.openTask(payment: job.payment, why: "\(fault)", nowMs: nowMs, in: connection)
        }
        return .again(after: after, reason: "\(fault)")
    }

    /// Whether anything but the same carrier is next.
    private func another(than call: Call, nowMs: Int64, in connection: Connection) throws -> Bool {
        guard let record = try NotificationRecord.find(message.key, in: connection) else { return false }
        let routes = try message.routes(among: carriers.map(DeliveryRoute.init), in: connection)
        switch try plan(record, routes, nowMs: nowMs, in: connection).next(nowMs: nowMs) {
        case .send(let route): return route.carrier != call.carrier.name
        case .doubtful, .over: return true
        case .wait: return false
        }
    }
}
