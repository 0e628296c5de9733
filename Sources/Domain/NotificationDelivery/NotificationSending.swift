import Database
import Formats
import JobQueue
import MessagePort
import Notifications
import Outbox
import PrivateFiles
import Telemetry

/// Carries out ``SendNotification``: by the first channel of the order that reaches the person, then the next, until a carrier takes it.
///
/// Every call is an effect. In the crash window, and after a call that nobody answered, a mail is sent again under the same Message-ID; by SMS
/// and WhatsApp, which know no keys, once more at most: then the message is `unknown`, and a receipt may still tell. While a carrier is ill
/// or stopped, messages wait without an attempt being spent, or go by another one.
public struct NotificationSending: Sendable {
    private let database: Database
    private let carriers: [any MessageCarrier]
    private let files: PrivateFiles
    private let gate: CarrierGate
    private let linking: MessageLinking
    private let host: String

    /// Largest attachment that is mailed, in bytes.
    static let attachmentLimit = 10 << 20

    /// - Parameters:
    ///   - carriers: in the order of preference.
    ///   - host: what Message-IDs end in.
    public init(
        database: Database, carriers: [any MessageCarrier], files: PrivateFiles, host: String, gate: CarrierGate = CarrierGate(),
        linking: MessageLinking = MessageLinking()
    ) {
        self.database = database
        self.carriers = carriers
        self.files = files
        self.host = host
        self.gate = gate
        self.linking = linking
    }

    /// The name of the effect of a call; its key is the Message-ID.
    public static func effect(_ carrier: any MessageCarrier) -> String { carrier.channel == .email ? "mail" : "message.\(carrier.name)" }

    public func run(_ message: SendNotification, context: JobContext, nowMs: @escaping @Sendable () -> Int64) async throws -> JobOutcome {
        let subject: String
        do {
            subject = try RenderedMessage.subject(message.template, language: message.language, values: message.values)
        } catch { throw JobFailure.bury("\(error)") }
        let desk = SendingDesk(
            message: message, job: context.job, subject: subject, host: host, carriers: carriers, linking: linking,
            isLastAttempt: context.isLastAttempt)
        // Each turn either ends or takes a carrier out of the running.
        for turn in 0...(2 * carriers.count) {
            let now = nowMs()
            switch try await database.write({ try desk.begin(isFirst: turn == 0, nowMs: now, in: $0) }) {
            case .sentBefore: return .done
            case .skip(let reason): return .skipped(reason: reason)
            case .wait(let untilMs, let reason): throw JobFailure.snooze(.milliseconds(max(1000, untilMs - now)), reason)
            case .over(let reason): throw JobFailure.bury(reason)
            case .send(let call):
                if let outcome = try await carry(out: call, desk, context, nowMs) { return outcome }
            }
        }
        throw JobFailure.retry("no carrier was found")
    }

    /// - Returns: nil where another carrier's turn has come.
    private func carry(
        out call: SendingDesk.Call, _ desk: SendingDesk, _ context: JobContext, _ nowMs: @escaping @Sendable () -> Int64
    ) async throws -> JobOutcome? {
        let outcome: CarrierOutcome
        do {
            outcome = try await taken(call, desk, context, atMs: nowMs())
        } catch {
            // Nothing was sent: somebody else is at it, the carrier is ill, a file is missing, the database is away.
            let now = nowMs()
            guard try await database.write({ try desk.putOff(call, "\(error)", nowMs: now, in: $0) }) else { throw error }
            return nil
        }
        let now = nowMs()
        let next = try await database.write { try desk.settle(call, outcome, nowMs: now, in: $0) }
        Self.count(call.carrier, outcome)
        report(call, desk, outcome, context.log)
        switch next {
        case .done: return .done
        case .another: return nil
        case .again(let after, let reason): throw JobFailure.retry(after: after, reason)
        }
    }

    /// Hands the message over, as an effect: what was taken before is not handed over again.
    private func taken(_ call: SendingDesk.Call, _ desk: SendingDesk, _ context: JobContext, atMs: Int64) async throws -> CarrierOutcome {
        let message = try await compose(call, desk, atMs: atMs)
        let (carrier, gate) = (call.carrier, call.carrier.name)
        do {
            let taken = try await context.effect(Self.effect(carrier), key: call.effectKey, policy: .againVisibly) { [self] _ in
                try await self.gate.pass(gate) {
                    let outcome = await carrier.send(message)
                    guard case .accepted(let id) = outcome else { throw CarrierRefusal(outcome: outcome) }
                    return TakenMessage(id: id)
                }
            }
            return .accepted(id: taken.id)
        } catch let refusal as CarrierRefusal { return refusal.outcome }
    }

    private func compose(_ call: SendingDesk.Call, _ desk: SendingDesk, atMs: Int64) async throws -> OutgoingMessage {
        let rendered: RenderedMessage
        do {
            rendered = try RenderedMessage(desk.message.template, language: desk.message.language, values: call.values)
        } catch { throw JobFailure.bury("\(error)") }
        var attached: [OutgoingMessage.File] = []
        if call.carrier.channel == .email {
            for file in desk.message.attachments {
                let bytes = try await files.read(file.path, limit: Self.attachmentLimit)
                attached.append(OutgoingMessage.File(name: file.name, contentType: file.contentType, bytes: bytes))
            }
        }
        return OutgoingMessage(
            id: call.messageID, to: call.address, language: desk.message.language == "en" ? "en" : "fr",
            template: desk.message.template.registeredName,
            mail: OutgoingMessage.Mail(subject: rendered.subject, text: rendered.text, html: rendered.html, files: attached),
            short: rendered.short, parameters: rendered.parameters, atMs: atMs)
    }

    private func report(_ call: SendingDesk.Call, _ desk: SendingDesk, _ outcome: CarrierOutcome, _ log: Log) {
        let fields: [String: Log.Value] = [
            "template": .string(desk.message.template.rawValue), "message_id": .string(call.messageID), "carrier": .string(call.carrier.name),
        ]
        let code = outcome.fault.map { ["code": Log.Value.string($0.code), "reason": .string($0.text)] } ?? [:]
        let all = fields.merging(code) { mine, _ in mine }
        switch outcome {
        case .accepted: log.info(call.carrier.channel == .email ? "mail sent" : "message sent", all)
        case .channelDown: log.error("a carrier of messages is stopped: a person must look", all)
        case .permanent where outcome.fault?.stop != nil: log.error("a template is stopped at its carrier: a person must look", all)
        case .permanent, .retryable, .unknown: log.warning("message not taken", all)
        }
    }

    private static func count(_ carrier: any MessageCarrier, _ outcome: CarrierOutcome) {
        let word =
            switch outcome {
            case .accepted: "accepted"
            case .permanent: "refused"
            case .retryable: "retry"
            case .channelDown: "down"
            case .unknown: "unknown"
            }
        MetricRegistry.shared.counter(
            "notifications_sends_total", help: "Messages handed to carriers, by what came back.",
            labels: [("channel", carrier.channel.rawValue), ("carrier", carrier.name), ("outcome", word)]
        ).add()
    }
}

/// The result of the effect.
private struct TakenMessage: Codable, Sendable {
    let id: String?
}
