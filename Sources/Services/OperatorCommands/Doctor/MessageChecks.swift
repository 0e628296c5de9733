import Database
import Formats
import MessagePort
import Notifications
import PaymentsService
import Settings

/// The channels of messages: by whom, in which mode, where their receipts come in, what is stopped.
enum MessageChecks {
    static func findings(_ context: CommandContext) async -> [Finding] {
        let settings = context.settings.notifications
        var findings = [order(settings)]
        findings += settings.carriersOn.map { carrier in finding(carrier, settings, context.settings) }
        return findings + (await stops(context))
    }

    private static func order(_ settings: NotificationSettings) -> Finding {
        let channels = settings.channels.compactMap { channel -> String? in
            let carriers = carriers(of: channel, settings)
            return carriers.isEmpty ? nil : "\(channel) by \(carriers.joined(separator: ", "))"
        }
        guard !channels.isEmpty else {
            return .fail("messages", "no channel of NOTIFICATION_CHANNELS has a carrier that is on: nobody is written to")
        }
        return .ok("messages", channels.joined(separator: ", then "))
    }

    private static func carriers(of channel: String, _ settings: NotificationSettings) -> [String] {
        switch channel {
        case "email": ["smtp"]
        case "sms": settings.smsCarriers.filter { settings.carriers[$0]?.isOn == true }
        default: settings.carriers[channel]?.isOn == true ? [channel] : []
        }
    }

    private static func finding(_ carrier: NotificationSettings.Carrier, _ settings: NotificationSettings, _ all: Settings) -> Finding {
        let isUsed = settings.channels.contains { carriers(of: $0, settings).contains(carrier.name) }
        guard isUsed else { return .warn(carrier.name, "it is \(carrier.mode.rawValue), and its channel is not among NOTIFICATION_CHANNELS") }
        let address = "\(Product.ingestURL(all))/webhooks/\(carrier.name)"
        guard !carrier.receiptSecrets.isEmpty else {
            return .warn(carrier.name, "\(carrier.mode.rawValue): without its receipt secret nobody tells whether messages were delivered")
        }
        guard carrier.name == "whatsapp" else { return .ok(carrier.name, "\(carrier.mode.rawValue); enter \(address)/<receipt secret> there") }
        guard carrier.values["verify_token"] != nil else {
            return .warn(carrier.name, "\(carrier.mode.rawValue): WHATSAPP_VERIFY_TOKEN is not set, so that Meta takes no address for receipts")
        }
        return .ok(carrier.name, "\(carrier.mode.rawValue); enter \(address) and WHATSAPP_VERIFY_TOKEN there")
    }

    private static func stops(_ context: CommandContext) async -> [Finding] {
        do {
            let nowMs = context.nowMs()
            return try await context.withDatabase { database in
                try await database.read { try CarrierStop.list(nowMs: nowMs, in: $0) }
            }.map { stop in
                let what = stop.template.map { "its template \($0)" } ?? "everything"
                return .fail(
                    stop.carrier,
                    "\(what) is stopped since \(Timestamp.rfc3339(stop.sinceMs)): \(stop.detail) (\(stop.code)); put it right there, it is tried again at "
                        + Timestamp.rfc3339(stop.untilMs))
            }
        } catch {
            // The database has findings of its own.
            return []
        }
    }
}
