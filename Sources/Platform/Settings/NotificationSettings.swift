import Formats

/// What messages to people go by.
public struct NotificationSettings: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// A carrier that is no mail server.
    public struct Carrier: Sendable, Equatable {
        /// `africas-talking`, `orange-sms`, `whatsapp`.
        public let name: String
        public let mode: ProviderMode
        /// The most messages a second; nil for any number.
        public let messagesPerSecond: Double?
        /// What proves its receipts: all verify.
        public let receiptSecrets: [String]
        /// `api_url` and what else it is made with; only what is set or has a standard value.
        public let values: [String: String]

        public var isOn: Bool { mode != .off }
    }

    /// `email`, `sms`, `whatsapp` in the order in which they are tried.
    public var channels = ["email", "sms", "whatsapp"]
    /// The carriers of SMS in the order in which they are tried.
    public var smsCarriers = ["africas-talking", "orange-sms"]
    /// By name, those that are off too.
    public var carriers: [String: Carrier] = [:]

    public init() {}

    /// Without any value: keys are among them.
    public var description: String { "messages by \(channels.joined(separator: ", "))" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Those that are on, in no order.
    public var carriersOn: [Carrier] { carriers.values.filter(\.isOn).sorted { $0.name < $1.name } }
}

/// Which variables belong to a carrier.
struct CarrierDescription: Sendable {
    struct Value: Sendable {
        let key: String
        let variable: SettingVariable
        /// Whether nothing goes live without it.
        var isNeeded = false
    }

    let name: String
    /// Known, or careful where nothing is.
    let messagesPerSecond: String
    /// Stands for what is behind the sandbox's address and the carrier's name.
    let sandboxPath: String
    let receiptSecret: SettingVariable
    let values: [Value]

    var suffix: String { name.uppercased().replacing("-", with: "_") }
    var modeVariable: String { "PROVIDER_MODE_\(suffix)" }
    var rateVariable: String { "PROVIDER_RATE_\(suffix)" }

    var variables: [SettingVariable] {
        [
            SettingVariable(modeVariable, in: name, standard: "off", "off, sandbox or live. Chosen together with the address and the keys."),
            SettingVariable(
                rateVariable, in: name, standard: messagesPerSecond, "The most messages a second, of all programs together; 0 for any number."),
        ] + values.map(\.variable) + [receiptSecret]
    }

    static let all: [CarrierDescription] = [africasTalking, orangeSMS, whatsApp]

    private static func url(_ name: String, in section: String, _ standard: String, _ explanation: String) -> Value {
        Value(
            key: "api_url",
            variable: SettingVariable(name, in: section, standard: standard, "\(explanation) In sandbox mode the played one, unless set."),
            isNeeded: true)
    }

    private static func key(_ key: String, _ name: String, in section: String, _ explanation: String) -> Value {
        Value(key: key, variable: SettingVariable(name, in: section, sample: "...", .secret, explanation), isNeeded: true)
    }

    private static func word(
        _ key: String, _ name: String, in section: String, sample: String, needed: Bool = false, _ explanation: String
    ) -> Value {
        Value(key: key, variable: SettingVariable(name, in: section, sample: sample, explanation), isNeeded: needed)
    }

    private static let africasTalking = CarrierDescription(
        name: "africas-talking", messagesPerSecond: "10", sandboxPath: "",
        receiptSecret: SettingVariable(
            "AFRICAS_TALKING_RECEIPT_SECRET", in: "africas-talking", sample: "$(openssl rand -hex 24)", .secret,
            "Ends the address of delivery reports, which nobody signs: BASE_URL/webhooks/africas-talking/<secret>. Without one none are taken."),
        values: [
            url(
                "AFRICAS_TALKING_API_URL", in: "africas-talking", "https://api.africastalking.com",
                "The messaging API; their own sandbox is https://api.sandbox.africastalking.com."),
            word(
                "username", "AFRICAS_TALKING_USERNAME", in: "africas-talking", sample: "sandbox", needed: true, "The user name of the application."),
            key("api_key", "AFRICAS_TALKING_API_KEY", in: "africas-talking", "The API key of the application."),
            word(
                "sender", "AFRICAS_TALKING_SENDER", in: "africas-talking", sample: "QUITTANCE",
                "A sender id or short code that is registered there; the network's own unless set."),
        ])

    private static let orangeSMS = CarrierDescription(
        name: "orange-sms", messagesPerSecond: "5", sandboxPath: "",
        receiptSecret: SettingVariable(
            "ORANGE_SMS_RECEIPT_SECRET", in: "orange-sms", sample: "$(openssl rand -hex 24)", .secret,
            "Ends the address of delivery receipts, which Orange registers when asked: BASE_URL/webhooks/orange-sms/<secret>. Without one none "
                + "are taken."),
        values: [
            url("ORANGE_SMS_API_URL", in: "orange-sms", "https://api.orange.com", "Orange's gateway."),
            key("client_id", "ORANGE_SMS_CLIENT_ID", in: "orange-sms", "The client id of the developer portal."),
            key("client_secret", "ORANGE_SMS_CLIENT_SECRET", in: "orange-sms", "The client secret of the developer portal."),
            word(
                "sender", "ORANGE_SMS_SENDER", in: "orange-sms", sample: "+2250000", needed: true,
                "The sender's number of the country, as the portal gives it."),
            word(
                "sender_name", "ORANGE_SMS_SENDER_NAME", in: "orange-sms", sample: "Quittance",
                "The sender's name, once Orange has approved it; people see a number unless set."),
        ])

    private static let whatsApp = CarrierDescription(
        name: "whatsapp", messagesPerSecond: "40", sandboxPath: "/v23.0",
        receiptSecret: SettingVariable(
            "WHATSAPP_APP_SECRET", in: "whatsapp", sample: "...", .secret,
            "The application's secret, which signs what Meta posts to BASE_URL/webhooks/whatsapp. Without one nothing is taken."),
        values: [
            url(
                "WHATSAPP_API_URL", in: "whatsapp", "https://graph.facebook.com/v23.0",
                "The Cloud API with its version, each of which lives about two years."),
            word(
                "phone_number_id", "WHATSAPP_PHONE_NUMBER_ID", in: "whatsapp", sample: "106540352242922", needed: true,
                "The id of the sending number, not the number itself."),
            key("token", "WHATSAPP_TOKEN", in: "whatsapp", "The token of a system user that may send."),
            word(
                "template_prefix", "WHATSAPP_TEMPLATE_PREFIX", in: "whatsapp", sample: "quittance_",
                "Stands before the names of our templates as they are registered at Meta."),
            Value(
                key: "verify_token",
                variable: SettingVariable(
                    "WHATSAPP_VERIFY_TOKEN", in: "whatsapp", sample: "$(openssl rand -hex 24)", .secret,
                    "Chosen by us and entered at Meta beside the address: its question whether the address is ours carries it.")),
        ])
}

extension NotificationSettings {
    static let variables: [SettingVariable] =
        [
            SettingVariable(
                "NOTIFICATION_CHANNELS", in: "messages", standard: "email,sms,whatsapp",
                "The channels of messages to customers in the order in which they are tried: email, sms, whatsapp. One that is left out is not used, "
                    + "nor is one without a carrier or an address of the person."),
            SettingVariable(
                "SMS_CARRIERS", in: "messages", standard: "africas-talking,orange-sms",
                "The carriers of SMS in the order in which they are tried, of those that are on."),
        ] + CarrierDescription.all.flatMap(\.variables)

    static let modeVariables = CarrierDescription.all.map(\.modeVariable)
    static let rateVariables = CarrierDescription.all.map(\.rateVariable)
}

extension SettingsReader {
    mutating func notifications(sandbox: String) -> NotificationSettings {
        var settings = NotificationSettings()
        settings.channels = order("NOTIFICATION_CHANNELS", of: ["email", "sms", "whatsapp"])
        settings.smsCarriers = order("SMS_CARRIERS", of: ["africas-talking", "orange-sms"])
        for description in CarrierDescription.all { settings.carriers[description.name] = carrier(description, sandbox) }
        return settings
    }

    /// A list in an order, each word once.
    private mutating func order(_ name: String, of known: [String]) -> [String] {
        let words = (value(name) ?? "").split { $0 == "," || $0.isWhitespace }.map { $0.lowercased() }
        if !words.isEmpty, Set(words).count == words.count, words.allSatisfy({ known.contains($0) }) { return words }
        problem(
            name, "it is no order of these words", "some of \(known.joined(separator: ", ")), each once, separated by commas",
            "\(name)=\(known.joined(separator: ","))")
        return known
    }

    private mutating func carrier(_ description: CarrierDescription, _ sandbox: String) -> NotificationSettings.Carrier {
        let mode = choice(description.modeVariable, ProviderMode.self)
        var values: [String: String] = [:]
        for value in description.values {
            let name = value.variable.name
            guard value.key == "api_url" else {
                values[value.key] = raw(name)
                if value.isNeeded, mode == .live, raw(name) == nil {
                    problem(name, "it is not set, and \(description.modeVariable) is live", "a live carrier has it", value.variable.example)
                }
                continue
            }
            if raw(name) == nil, mode == .sandbox {
                values[value.key] = "http://\(sandbox)/\(description.name)\(description.sandboxPath)"
            } else if let text = url(name, schemes: ["http", "https"]) {
                values[value.key] = text
                if mode == .live, !text.hasPrefix("https://") {
                    problem(name, "it is not https, and the carrier is live", "a live carrier is only spoken to over https", value.variable.example)
                }
            }
        }
        checkSender(values["sender"], of: description.name)
        return NotificationSettings.Carrier(
            name: description.name, mode: mode, messagesPerSecond: messageRate(description.rateVariable),
            receiptSecrets: receiptSecrets(description.receiptSecret), values: values)
    }

    private mutating func checkSender(_ sender: String?, of carrier: String) {
        guard carrier == "orange-sms", let sender else { return }
        if sender.hasPrefix("+"), (4...16).contains(sender.utf8.count), sender.dropFirst().utf8.allSatisfy(ASCII.isDigit) { return }
        problem("ORANGE_SMS_SENDER", "it is no number", "a number in international form", "ORANGE_SMS_SENDER=+2250000")
    }

    private static let receiptSecretBytesMin = 16

    private mutating func receiptSecrets(_ variable: SettingVariable) -> [String] {
        let secrets = words(variable.name)
        for (number, secret) in secrets.enumerated() {
            let isPlain = secret.utf8.allSatisfy { ASCII.isDigit($0) || (0x61...0x7A).contains(ASCII.lowercase($0)) || $0 == 0x2D || $0 == 0x5F }
            guard secret.utf8.count < Self.receiptSecretBytesMin || !isPlain else { continue }
            problem(
                variable.name, secrets.count == 1 ? "the value is not such a secret" : "value \(number + 1) of \(secrets.count) is not such a secret",
                "at least \(Self.receiptSecretBytesMin) letters, digits, - or _ that nobody can guess, several separated by blanks",
                "\(variable.name)=$(openssl rand -hex 24)")
        }
        return secrets
    }

    private mutating func messageRate(_ name: String) -> Double? {
        let text = value(name) ?? "0"
        if let rate = Double(text), (0...10_000).contains(rate) { return rate > 0 ? rate : nil }
        problem(name, "it is no such number", "messages a second from 0 (any number) to 10000, such as 5 or 0.5", "\(name)=5")
        return nil
    }
}
