import Formats
import HTTPServer

/// The widget as the sandbox plays it: a script that opens a page of the sandbox in a frame, and the page. Opened without the script, the page
/// works alone and leads back by itself.
enum KKiaPayWidget {
    /// What the script hands to the page, as it stands in the widget's options.
    static let options = ["amount", "key", "data", "partnerId", "callback", "phone", "name", "email", "reason", "paymentmethod", "paymentmethods"]

    static func page(_ fields: [String: String], notice: String = "") -> HTTPResponse {
        let hidden = (options + ["frame"]).filter { $0 != "phone" }.compactMap { name in
            fields[name].map { "<input type=\"hidden\" name=\"\(name)\" value=\"\(HTML.escape($0))\">" }
        }
        let buttons = [("pay", "Pay"), ("refuse", "Refuse"), ("poor", "Not enough money"), ("cancel", "Close")]
            .map { "<button name=\"action\" value=\"\($0.0)\">\($0.1)</button>" }.joined(separator: " ")
        let phone = fields["phone"] ?? ""
        // The number of somebody who always decides alike presses for itself, once.
        let itself = TestPhone(phone) != nil && notice.isEmpty ? "<script>document.getElementById(\"pay\").submit()</script>" : ""
        let form = """
            \(notice)<p>\(HTML.escape(fields["reason"] ?? ""))</p><form id="pay" method="post" action="widget">
            \(hidden.joined(separator: "\n"))
            <p><label>Phone <input name="phone" inputmode="tel" value="\(HTML.escape(phone))"></label></p>\(buttons)</form>\(itself)
            """
        return .html(200, PayPage.page("KKiaPay, \(HTML.escape(fields["amount"] ?? "?")) XOF", form))
    }

    /// After the customer has decided: tells the page that opened it, or leads there.
    static func ended(_ transaction: SandboxPayment, status: String, _ fields: [String: String]) -> HTTPResponse {
        let event = status == "SUCCESS" ? "success" : status == "PENDING" ? "pending" : "failed"
        guard fields["frame"] == nil else {
            let tell = "<script>\(message(event, transaction.reference))</script>"
            // Who failed may try again in the same widget, as a new transaction.
            if event == "failed" { return page(fields, notice: tell + "<p><strong>\(HTML.escape(status))</strong>: try again.</p>") }
            return .html(200, PayPage.page("KKiaPay", tell + "<p>\(HTML.escape(status))</p>"))
        }
        guard let callback = fields["callback"], callback.hasPrefix("http") else {
            return .html(200, PayPage.page("KKiaPay", "<p>\(HTML.escape(status)): <code>\(HTML.escape(transaction.reference))</code></p>"))
        }
        return .redirect(303, address(callback, transaction: transaction.reference))
    }

    static func closed(_ fields: [String: String]) -> HTTPResponse {
        guard fields["frame"] == nil else { return .html(200, PayPage.page("KKiaPay", "<script>\(message("end", ""))</script>")) }
        guard let callback = fields["callback"], callback.hasPrefix("http") else { return .html(200, PayPage.page("KKiaPay", "<p>Closed.</p>")) }
        return .redirect(303, callback)
    }

    /// The callback's address with the transaction's number, as the widget makes it.
    static func address(_ callback: String, transaction: String) -> String {
        "\(callback)\(callback.contains("?") ? "&" : "?")transaction_id=\(PercentEncoding.encodePathSegment(transaction))"
    }

    private static func message(_ event: String, _ transaction: String) -> String {
        let told: JSON = ["kkiapay": .string(event), "transactionId": .string(transaction)]
        return "parent.postMessage(\(told.text.replacing("<", with: "\\u003c")), \"*\")"
    }

    static let script = HTTPResponse(status: 200, headers: ["Content-Type": "text/javascript; charset=utf-8"], body: Array(text.utf8))

    private static let text = """
        // KKiaPay's widget as the sandbox plays it: no money moves.
        (function () {
          "use strict";
          var here = document.currentScript.src.replace(/\\/k\\.js.*$/, "");
          var names = \(JSON.array(options.map { .string($0) }).text);
          var listeners = {}, frame = null, opened = {};
          function add(event, listener) { (listeners[event] = listeners[event] || []).push(listener); }
          function tell(event, detail) { (listeners[event] || []).slice().forEach(function (listener) { listener(detail); }); }
          function close() { if (frame) { frame.remove(); frame = null; } }
          function text(value) { return typeof value === "object" ? JSON.stringify(value) : String(value); }
          window.openKkiapayWidget = function (options) {
            close();
            opened = options || {};
            var query = new URLSearchParams({ frame: "1" });
            names.forEach(function (name) {
              var value = name === "key" ? opened.key || opened.api_key || opened.apikey : opened[name];
              if (value !== undefined && value !== null) { query.set(name, text(value)); }
            });
            frame = document.createElement("iframe");
            frame.title = "KKiaPay";
            frame.style.cssText = "position:fixed;inset:0;width:100%;height:100%;border:0;background:#fff;z-index:2147483647";
            frame.src = here + "/widget?" + query;
            document.body.appendChild(frame);
            tell("init", {});
          };
          window.closeKkiapayWidget = close;
          window.addKkiapayListener = add;
          window.removeKkiapayListener = function (event, listener) {
            listeners[event] = (listeners[event] || []).filter(function (each) { return each !== listener; });
          };
          window.addSuccessListener = add.bind(null, "success");
          window.addFailedListener = add.bind(null, "failed");
          window.addPendingListener = add.bind(null, "pending");
          window.addKkiapayCloseListener = add.bind(null, "end");
          window.addEventListener("message", function (event) {
            if (!frame || event.source !== frame.contentWindow || !event.data || !event.data.kkiapay) { return; }
            var name = event.data.kkiapay, detail = { transactionId: event.data.transactionId };
            if (name !== "failed") { close(); }
            tell(name, detail);
            if (name === "success" && typeof opened.callback === "string" && opened.callback) {
              var glue = opened.callback.indexOf("?") < 0 ? "?" : "&";
              window.location.assign(opened.callback + glue + "transaction_id=" + encodeURIComponent(detail.transactionId));
            }
          });
        })();

        """
}
