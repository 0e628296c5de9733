import Formats
import HTTPServer

/// How a team's page follows its team: our script listens for changes, and puts each part of the page as it is then in its place.
struct TeamFollow: Sendable {
    /// Where the team is watched, with the token that allows it.
    let path: String
    /// Of what the page shows.
    let mark: TeamMark

    static let scriptPath = "/assets/team.js"
    static let tags: Markup = """
        <script src="\(TeamFollow.scriptPath)"></script>

        """

    var attributes: Markup { " data-follow=\"\(path)\" data-mark=\"\(mark.text)\"" }

    static let route = Route.asset(scriptPath, "text/javascript", script)

    /// A part in which somebody is about to do something is left alone until they are done. Where streams are cut off on the way, the page is
    /// looked at every ten seconds.
    private static let script = #"""
        (function () {
          "use strict";
          var main = document.querySelector("main[data-follow]");
          if (!main || !window.fetch || !window.EventSource || !window.DOMParser) return;
          var mark = main.dataset.mark, failures = 0, isLate = false, isAsking = false, isLeft = false, isOver = false;
          function put(part, next) {
            var other = next.querySelector('[data-part="' + part.dataset.part + '"]');
            if (!other) return;
            var open = part.querySelectorAll("details");
            other.querySelectorAll("details").forEach(function (one, place) { one.open = !!(open[place] && open[place].open); });
            if (other.outerHTML === part.outerHTML) return;
            if (part.contains(document.activeElement)) isLeft = true;
            else part.replaceWith(document.adoptNode(other));
          }
          function show(html) {
            var page = new DOMParser().parseFromString(html, "text/html");
            var next = page.querySelector("main[data-follow]");
            if (!next) return;
            mark = next.dataset.mark;
            isLeft = false;
            main.querySelectorAll("[data-part]").forEach(function (part) { put(part, next); });
          }
          function look() {
            if (isAsking) { isLate = true; return; }
            isAsking = true;
            fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } })
              .then(function (answer) {
                // The link has run out: what is shown stays as it is.
                if (answer.status === 404) isOver = true;
                return answer.ok ? answer.text() : "";
              }).then(show).catch(function () {})
              .then(function () {
                isAsking = false;
                if (isLate && !isOver) { isLate = false; look(); }
              });
          }
          function listen() {
            var source = new EventSource(main.dataset.follow + "&mark=" + encodeURIComponent(mark));
            source.onopen = function () { failures = 0; };
            source.addEventListener("changed", look);
            source.onerror = function () {
              if (++failures < 2 && source.readyState !== 2) return;
              source.close();
              setTimeout(function () {
                if (isOver) return;
                look();
                listen();
              }, 10000);
            };
          }
          main.addEventListener("focusout", function () { if (isLeft) setTimeout(look, 0); });
          listen();
        })();

        """#
}
