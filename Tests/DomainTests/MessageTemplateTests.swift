import MessagePort
import Notifications
import Testing

@Suite("The messages to customers and staff")
struct MessageTemplateTests {
    private static func values(_ template: MessageTemplate, _ text: String = "·value·") -> [String: String] {
        Dictionary(uniqueKeysWithValues: template.variables.map { ($0.rawValue, text + $0.rawValue) })
    }

    @Test("every message in both languages says all it is given, in words of its own", arguments: MessageTemplate.allCases)
    func complete(template: MessageTemplate) throws {
        let values = Self.values(template)
        let french = try RenderedMessage(template, language: "fr", values: values)
        let english = try RenderedMessage(template, language: "en", values: values)
        for message in [french, english] {
            for value in values.values {
                #expect(message.subject.contains(value) || message.text.contains(value), "\(value) is missing")
                #expect(message.html.contains(value) || message.subject.contains(value), "\(value) is missing in HTML")
            }
            #expect(!message.text.contains("{") && !message.html.contains("{") && !message.subject.contains("{"))
            #expect(!message.subject.isEmpty && message.text.hasSuffix("\n"))
        }
        #expect(french.subject != english.subject && french.text != english.text)
        #expect(french.html.contains("lang=\"fr\"") && english.html.contains("lang=\"en\""))
        // What customers have set to another language reads French, the house's own.
        #expect(try RenderedMessage(template, language: "de", values: values).text == french.text)
    }

    @Test("what a customer wrote changes neither the message nor its headers", arguments: MessageTemplate.allCases)
    func hostileValues(template: MessageTemplate) throws {
        let message = try RenderedMessage(template, language: "fr", values: Self.values(template, "<b>{payment}\r\nBcc: x@example.org\n&"))
        #expect(!message.subject.contains { $0.isNewline })
        #expect(!message.html.contains("<b>") && message.html.contains("&lt;b&gt;") && message.html.contains("&amp;"))
        #expect(message.text.contains("{payment}"), "a value is never read as a template")
    }

    @Test("a missing variable and an unknown one are errors", arguments: MessageTemplate.allCases)
    func exactVariables(template: MessageTemplate) {
        var fewer = Self.values(template)
        let missing = template.variables[0].rawValue
        fewer[missing] = nil
        #expect(throws: MessageError.missing(variable: missing, template: template.rawValue)) {
            try RenderedMessage(template, language: "fr", values: fewer)
        }
        #expect(throws: MessageError.unknown(variable: "extra", template: template.rawValue)) {
            try RenderedMessage(template, language: "fr", values: Self.values(template).merging(["extra": "x"]) { $1 })
        }
    }

    @Test(
        "every message is worded for every channel in both languages, and previewed with samples",
        arguments: MessageTemplate.allCases, MessageChannel.allCases)
    func previews(template: MessageTemplate, channel: MessageChannel) throws {
        var texts: [String] = []
        for language in MessagePreview.languages {
            let preview = try MessagePreview(template, language: language, channel: channel)
            #expect(!preview.text.isEmpty && !preview.text.contains("{") && !preview.text.contains("}"))
            #expect((preview.subject != nil) == (channel == .email) && (preview.html != nil) == (channel == .email))
            #expect(preview.html?.contains("{") != true)
            texts.append(preview.text)
            switch channel {
            case .email: #expect(preview.subject?.isEmpty == false)
            case .sms:
                let parts = try #require(preview.parts)
                #expect((1...2).contains(parts), "\(parts) parts: \(preview.text)")
            case .whatsapp:
                let registered = try #require(preview.registered)
                #expect(registered.contains("{{1}}") && !registered.hasPrefix("{{") && !registered.hasSuffix("}}"), "\(registered)")
            }
        }
        #expect(texts[0] != texts[1])
    }

    /// What is approved at Meta: a name here never gets another number. Whoever changes the variables of a short message adds a name.
    private static let approved = [
        "payment_link": 4, "payment_confirmed": 3, "payment_failed": 3, "payment_refunded": 3, "draft_ready": 3, "published": 3, "published_2": 4,
        "invoice": 4, "credit_note": 4, "usage_warning": 3, "usage_critical": 3, "usage_exceeded": 2, "storage_stale": 2,
        "plan_confirmed": 5, "plan_renewal": 6, "plan_grace": 6, "plan_ended": 4,
    ]

    @Test("a name that is registered at Meta keeps its number of variables", arguments: MessageTemplate.allCases)
    func registeredName(template: MessageTemplate) throws {
        for language in MessagePreview.languages {
            let preview = try MessagePreview(template, language: language, channel: .whatsapp)
            let (name, text) = (try #require(preview.registeredName), try #require(preview.registered))
            #expect(text.count { $0 == "{" } == Self.approved[name].map { 2 * $0 }, "\(name): \(text)")
        }
        #expect(MessageTemplate.published.registeredName == "published_2")
    }

    @Test("a short message is written in letters that GSM has, whatever typography its values bring", arguments: MessageTemplate.allCases)
    func short(template: MessageTemplate) throws {
        for language in MessagePreview.languages {
            let plain = Dictionary(uniqueKeysWithValues: template.variables.map { ($0.rawValue, "l’œil…\u{202F}1\u{A0}000".filter { $0 != "œ" }) })
            let message = try RenderedMessage(template, language: language, values: plain)
            #expect(ShortText.isGSM(message.short), "\(message.short)")
            #expect(!message.parameters.isEmpty && message.parameters.allSatisfy { $0 == "l'il... 1 000" })
        }
    }

    @Test(
        "an SMS is counted in parts as networks do",
        arguments: [
            (String(repeating: "a", count: 160), 1), (String(repeating: "a", count: 161), 2), (String(repeating: "é", count: 160), 1),
            (String(repeating: "€", count: 80), 1), (String(repeating: "€", count: 81), 2), (String(repeating: "ê", count: 70), 1),
            (String(repeating: "ê", count: 71), 2), (String(repeating: "ç", count: 1), 1), ("", 1), (String(repeating: "😀", count: 36), 2),
        ])
    func parts(text: String, parts: Int) {
        #expect(ShortText.parts(text) == parts)
    }

    @Test("a preview takes values of its own, and none that the template does not name")
    func ownValues() throws {
        let preview = try MessagePreview(.published, language: "en", channel: .email, values: ["name": "Zoé <b>"])
        #expect(preview.text.contains("Hello Zoé <b>,") && preview.html?.contains("Zoé &lt;b&gt;") == true)
        #expect(preview.html?.contains("<a href=\"https://pay.example.com/l/4f1c2a9e7b\">") == true)
        #expect(throws: MessageError.unknown(variable: "amount", template: "published")) {
            try MessagePreview(.published, language: "en", channel: .email, values: ["amount": "1"])
        }
    }

    @Test(
        "how often a link works is said in words that fit",
        arguments: [(Int64(1), "en", "once"), (2, "en", "2 times"), (1, "fr", "une seule fois"), (5, "fr", "5 fois"), (1, "de", "une seule fois")])
    func times(count: Int64, language: String, words: String) {
        #expect(MessageVariable.times(count, in: language) == words)
    }

    @Test("a link is never among the values that travel with a job")
    func linksStayAtHome() {
        for template in MessageTemplate.allCases {
            let values = Dictionary(uniqueKeysWithValues: template.variables.filter { !$0.isMadeAtSending }.map { ($0.rawValue, "x") })
            #expect(throws: Never.self) { try template.check(values) }
            guard template.variables.contains(.link) else { continue }
            #expect(throws: MessageError.unknown(variable: "link", template: template.rawValue)) {
                try template.check(values.merging(["link": "https://x"]) { $1 })
            }
        }
    }
}
