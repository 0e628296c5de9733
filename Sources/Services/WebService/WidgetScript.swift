import Formats

/// A provider's widget on one of our pages: its script, ours that opens it, and what the browser then allows them.
struct WidgetScript: Sendable {
    static let path = "/assets/widget.js"

    /// Where the provider's script is.
    let url: String

    /// The script's site and those below its domain: its frames and calls go there.
    private var sites: String {
        let origin = CallerCheck.origin(of: url)
        let host = origin.split(separator: "/").last.map(String.init) ?? ""
        let labels = host.split(separator: ".")
        let isName = labels.count > 2 && labels.last?.contains(":") == false && labels.last.map { Int($0) == nil } == true
        return isName ? "\(origin) https://*.\(labels.suffix(2).joined(separator: "."))" : origin
    }

    var tags: Markup { "<script src=\"\(url)\"></script>\n<script src=\"\(Self.path)\"></script>" }
    /// Widgets style their frame from their script.
    var styles: String { " 'unsafe-inline'" }
    var images: String { " data: \(sites)" }
    var policy: String { "; script-src 'self' \(CallerCheck.origin(of: url)); frame-src \(sites); connect-src 'self' \(sites)" }

    /// Opens KKiaPay's widget with what the page says, and hands the transaction's number to the return page.
    static let route = Route.asset(path, "text/javascript", script)

    private static let script = """
        (function () {
          "use strict";
          var button = document.getElementById("widget");
          if (!button || typeof window.openKkiapayWidget !== "function") return;
          var options = JSON.parse(button.dataset.options);
          options.amount = Number(options.amount);
          options.sandbox = options.sandbox === "true";
          ["countries", "paymentmethods"].forEach(function (name) {
            if (options[name]) options[name] = options[name].split(",");
          });
          function open() { window.openKkiapayWidget(options); }
          // Whatever became of it: without its number the transaction could not be asked about.
          ["addSuccessListener", "addPendingListener", "addFailedListener"].forEach(function (listen) {
            if (typeof window[listen] !== "function") return;
            window[listen](function (answer) {
              var mark = options.callback.indexOf("?") < 0 ? "?" : "&";
              var number = answer && (answer.transactionId || answer.transaction_id);
              if (number) window.location.href = options.callback + mark + "transaction_id=" + encodeURIComponent(number);
            });
          });
          button.hidden = false;
          button.addEventListener("click", open);
          open();
        })();

        """
}
