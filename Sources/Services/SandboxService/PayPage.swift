import Formats
import HTTPServer

/// The hosted page where a customer pays, refuses or cancels, and the way back to the shop.
enum PayPage {
    static func choice(_ payment: SandboxPayment) -> HTTPResponse {
        let title = "\(HTML.escape(payment.amount)) \(HTML.escape(payment.currency))"
        guard !payment.state.isFinal else { return .html(200, page(title, "<p>This payment is \(payment.state.rawValue).</p>")) }
        let buttons = [("pay", "Pay"), ("refuse", "Refuse"), ("cancel", "Cancel")]
            .map { "<button name=\"action\" value=\"\($0.0)\">\($0.1)</button>" }.joined(separator: " ")
        let text = "<p>\(HTML.escape(payment.description))</p><form method=\"post\">\(buttons)</form>"
        return .html(200, page(title, text))
    }

    /// CinetPay sends the browser back by a POST from its own site; the back end by a plain redirection.
    static func leave(_ payment: SandboxPayment) -> HTTPResponse {
        guard let url = payment.returnURL, url.hasPrefix("http") else {
            return .html(200, page("Done", "<p>This payment is \(payment.state.rawValue).</p>"))
        }
        guard payment.house == .cinetPay else { return .redirect(303, url) }
        let form = """
            <form id="back" method="post" action="\(HTML.escape(url))">
            <input type="hidden" name="transaction_id" value="\(HTML.escape(payment.reference))">
            <input type="hidden" name="token" value="\(HTML.escape(payment.token))">
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
