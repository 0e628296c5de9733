import Formats
import HTTPServer

/// What is played, with buttons that have calls go wrong.
enum FrontPage {
    private static let buttons = [
        ("initiate_error", "Next start: 500"), ("error_500", "Next two calls: 500"), ("timeout", "Next call: no answer"), ("slow", "Slow"),
        ("", "As ever"),
    ]

    static func response(_ stages: [any HouseStage], _ book: SandboxBook) async -> HTTPResponse {
        var played = ""
        for stage in stages {
            let steps = await book.troubles(of: stage.house).steps
            let now = steps.isEmpty ? "" : " <strong>\(steps.joined(separator: ", "))</strong>"
            played += """
                <li>\(HTML.escape(stage.label)) (<code>/\(stage.house.rawValue)</code>)\(now)
                <form method="post" action="/sandbox/scenario"><input type="hidden" name="provider" value="\(stage.house.rawValue)">
                \(buttons.map { "<button name=\"steps\" value=\"\($0.0)\">\($0.1)</button>" }.joined(separator: " "))</form></li>

                """
        }
        return .html(
            200,
            PayPage.page(
                "Sandbox",
                """
                <p>Plays:</p><ul>\(played)<li>an OpenAI-compatible endpoint (<code>/openai/v1</code>)</li>
                <li>SMS by Africa's Talking (<code>/africas-talking</code>) and Orange (<code>/orange-sms</code>), WhatsApp (<code>/whatsapp</code>)</li></ul>
                <p><a href="/sandbox/payments">Payments</a> · <a href="/sandbox/messages">Messages</a> · <a href="/sandbox/calls">Calls</a> · <a href="/sandbox/deliveries">Deliveries</a></p>
                """))
    }
}
