import Formats
import HTTPServer

/// The hosted page where a customer pays, refuses or cancels, and the way back to the shop.
enum PayPage {
    /// What a customer may do about a payment.
    static let actions: [(name: String, label: String, state: SandboxPayment.State, fault: SandboxPayment.Fault?)] = [
        ("pay", "Pay", .paid, nil), ("refuse", "Refuse", .refused, nil), ("poor", "Not enough money", .refused, .insufficientFunds),
        ("expire", "Let it expire", .refused, .expired), ("cancel", "Cancel", .cancelled, nil),
    ]

    static func choice(_ payment: SandboxPayment) -> HTTPResponse {
        let title = "\(HTML.escape(payment.amount)) \(HTML.escape(payment.currency))"
        guard !payment.state.isFinal else { return .html(200, page(title, "<p>This payment is \(payment.state.rawValue).</p>")) }
        let buttons = actions.map { "<button name=\"action\" value=\"\($0.name)\">\($0.label)</button>" }.joined(separator: " ")
        // What is of a start to come cannot be chosen any more.
        let boxes = Scenario.names.filter { $0 != "initiate_error" }
            .map { "<label><input type=\"checkbox\" name=\"step\" value=\"\($0)\"> \($0)</label><br>" }.joined(separator: "\n")
        let scene = "<details><summary>And then</summary>\(boxes)</details>"
        let text = "<p>\(HTML.escape(payment.description))</p><form method=\"post\"><p>\(buttons)</p>\(scene)</form>"
        return .html(200, page(title, text))
    }

    /// Back to the shop by a plain redirection, unless the house has a way of its own.
    static func leave(_ payment: SandboxPayment, _ stage: (any HouseStage)?) -> HTTPResponse {
        guard let url = payment.returnURL, url.hasPrefix("http") else {
            return .html(200, page("Done", "<p>This payment is \(payment.state.rawValue).</p>"))
        }
        return stage?.leave(payment) ?? .redirect(303, url)
    }

    /// Back to the shop by a form that sends itself.
    static func post(_ fields: KeyValuePairs<String, String>, to url: String) -> HTTPResponse {
        let inputs = fields.map { "<input type=\"hidden\" name=\"\(HTML.escape($0.key))\" value=\"\(HTML.escape($0.value))\">" }
        let form = """
            <form id="back" method="post" action="\(HTML.escape(url))">
            \(inputs.joined(separator: "\n"))
            <button>Back to the shop</button></form><script>document.getElementById("back").submit()</script>
            """
        return .html(200, page("Done", form))
    }

    static func page(_ title: String, _ content: String) -> String {
        """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>\(title) – sandbox</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <style>body{font:1rem/1.5 sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}button{font:inherit;padding:.5rem 1rem}</style>
        </head><body><p>Sandbox: no money moves.</p><h1>\(title)</h1>\(content)</body></html>
        """
    }
}
