import Testing

@testable import Settings

@Suite("Settings of messages")
struct NotificationSettingsTests {
    private static func problems(_ environment: [String: String]) -> String {
        do {
            _ = try Settings(environment: environment)
            return ""
        } catch { return error.description }
    }

    @Test("by themselves: e-mail first, no other carrier")
    func standard() throws {
        let messages = try Settings(environment: [:]).notifications
        #expect(messages.channels == ["email", "sms", "whatsapp"] && messages.smsCarriers == ["africas-talking", "orange-sms"])
        #expect(messages.carriersOn.isEmpty && messages.carriers.count == 3)
        #expect(messages.carriers["whatsapp"]?.values["api_url"] == "https://graph.facebook.com/v23.0")
        #expect(messages.carriers["orange-sms"]?.messagesPerSecond == 5)
    }

    @Test("orders are read with commas and blanks, and each word once")
    func orders() throws {
        let messages = try Settings(environment: ["NOTIFICATION_CHANNELS": "WhatsApp, sms", "SMS_CARRIERS": "orange-sms"]).notifications
        #expect(messages.channels == ["whatsapp", "sms"] && messages.smsCarriers == ["orange-sms"])
    }

    @Test("in sandbox mode the played carrier is called; its keys may be missing")
    func sandbox() throws {
        let environment = [
            "SANDBOX_ADDRESS": "127.0.0.1:9", "PROVIDER_MODE_WHATSAPP": "sandbox", "PROVIDER_MODE_ORANGE_SMS": "sandbox",
            "PROVIDER_RATE_WHATSAPP": "0", "AFRICAS_TALKING_RECEIPT_SECRET": "one-0123456789abc two-0123456789abc",
        ]
        let messages = try Settings(environment: environment).notifications
        #expect(messages.carriersOn.map(\.name) == ["orange-sms", "whatsapp"])
        #expect(messages.carriers["whatsapp"]?.values["api_url"] == "http://127.0.0.1:9/whatsapp/v23.0")
        #expect(messages.carriers["orange-sms"]?.values["api_url"] == "http://127.0.0.1:9/orange-sms")
        #expect(messages.carriers["whatsapp"]?.messagesPerSecond == nil)
        #expect(messages.carriers["africas-talking"]?.receiptSecrets.count == 2)
        #expect(!"\(messages)".contains("one-0123"))
    }

    @Test(
        "what is wrong is said, never the secret",
        arguments: [
            (["NOTIFICATION_CHANNELS": "email,fax"], "NOTIFICATION_CHANNELS"), (["NOTIFICATION_CHANNELS": "sms,sms"], "NOTIFICATION_CHANNELS"),
            (["SMS_CARRIERS": "twilio"], "SMS_CARRIERS"), (["PROVIDER_MODE_WHATSAPP": "live"], "WHATSAPP_TOKEN"),
            (["PROVIDER_MODE_AFRICAS_TALKING": "live"], "AFRICAS_TALKING_API_KEY"),
            (["PROVIDER_MODE_AFRICAS_TALK": "live"], "PROVIDER_MODE_AFRICAS_TALK"),
            (["PROVIDER_RATE_WHATSAPP": "many"], "PROVIDER_RATE_WHATSAPP"), (["ORANGE_SMS_SENDER": "Quittance"], "ORANGE_SMS_SENDER"),
            (["ORANGE_SMS_RECEIPT_SECRET": "short-secret"], "ORANGE_SMS_RECEIPT_SECRET"),
            (["AFRICAS_TALKING_RECEIPT_SECRET": "a/secret/with/slashes"], "AFRICAS_TALKING_RECEIPT_SECRET"),
            (["PROVIDER_MODE_ORANGE_SMS": "live", "ORANGE_SMS_API_URL": "http://api.orange.com"], "ORANGE_SMS_API_URL"),
        ])
    func faults(environment: [String: String], variable: String) {
        let problems = Self.problems(environment)
        #expect(problems.contains(variable), "\(problems)")
        for secret in ["short-secret", "a/secret"] { #expect(!problems.contains(secret)) }
    }
}
