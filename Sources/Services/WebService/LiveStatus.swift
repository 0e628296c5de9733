import Formats
import Payments

/// How a page follows the payment that it shows: our scripts listen for its next state, and put the page as it is then in its place.
struct LiveStatus: Sendable {
    /// Where the payment is watched, with the token that allows it.
    let path: String
    let status: PaymentState

    /// Nil where no token can be made: the page is then loaded again and again.
    init?(path: String?, status: PaymentState) {
        guard let path else { return nil }
        self.path = path
        self.status = status
    }

    static let scriptPath = "/assets/live.js"
    static let tags: Markup = """
        <script src="\(QuittanceScript.path)"></script>
        <script src="\(LiveStatus.scriptPath)"></script>

        """
    static let policy = "; script-src 'self'; connect-src 'self'"

    var attributes: Markup { " aria-live=\"polite\" data-live=\"\(path)\" data-status=\"\(status.rawValue)\"" }

    static let route = Route.asset(scriptPath, "text/javascript", script)

    /// A form that somebody may be filling in is left alone; only what ends the page takes its place.
    private static let script = #"""
        (function () {
          "use strict";
          var main = document.querySelector("main[data-live]");
          if (!main || !window.Quittance || !window.fetch) return;
          var shown = main.dataset.status;
          function show(html) {
            var page = new DOMParser().parseFromString(html, "text/html");
            var next = page.querySelector("main");
            if (!next) return;
            if (main.querySelector("form[method=post]") && next.querySelector("form[method=post]")) return;
            document.title = page.title;
            main.replaceChildren.apply(main, Array.prototype.slice.call(next.childNodes));
          }
          Quittance.watch(main.dataset.live, function (now) {
            if (now.status === shown) return;
            shown = now.status;
            fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } })
              .then(function (answer) { return answer.text(); }).then(show)
              .catch(function () { location.reload(); });
          });
        })();

        """#
}
