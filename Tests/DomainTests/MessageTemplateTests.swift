import Notifications
import Testing

@Suite("The messages to customers and staff")
struct MessageTemplateTests {
    private static func values(_ template: MessageTemplate, _ text: String = "·value·") -> [String: String] {
        Dictionary(uniqueKeysWithValues: template.variables.map { ($0, text + $0) })
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
        let missing = template.variables[0]
        fewer[missing] = nil
        #expect(throws: MessageError.missing(variable: missing, template: template.rawValue)) {
            try RenderedMessage(template, language: "fr", values: fewer)
        }
        #expect(throws: MessageError.unknown(variable: "extra", template: template.rawValue)) {
            try RenderedMessage(template, language: "fr", values: Self.values(template).merging(["extra": "x"]) { $1 })
        }
    }
}
