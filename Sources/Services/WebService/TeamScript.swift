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

    /// A part that somebody presses or types in is left alone until they are done; any other is replaced, and what had the focus or was
    /// chosen there has it in the new one. A hidden page is looked at when it is shown. What could not be had is asked for again, less and
    /// less often; when the link has run out, what is shown stays as it is. Where streams are cut off on the way, the page is looked at every
    /// ten seconds.
    private static let script = #"""
        (function () {
          "use strict";
          var main = document.querySelector("main[data-follow]");
          if (!main || !window.fetch || !window.EventSource) return;
          var mark = main.dataset.mark, failures = 0, wait = 2000, again, pressed = null;
          var isLate, isAsking, isLeft, isOver;
          function twin(part, other, one) {
            return other.querySelectorAll(one.tagName)[Array.from(part.querySelectorAll(one.tagName)).indexOf(one)];
          }
          function put(part, next) {
            var other = next.querySelector('[data-part="' + part.dataset.part + '"]'), held = document.activeElement;
            if (!other) return;
            part.querySelectorAll("details[open], input:checked").forEach(function (one) {
              var same = twin(part, other, one);
              if (same) same.open = same.checked = true;
            });
            if (other.outerHTML === part.outerHTML) return;
            var isIn = part.contains(held), same = isIn && twin(part, other, held);
            if (part.contains(pressed) || isIn && document.hasFocus() && held.matches(":read-write, select")) { isLeft = true; return; }
            part.replaceWith(document.adoptNode(other));
            if (same && same.name === held.name && same.href === held.href) same.focus({ preventScroll: true });
          }
          function show(html) {
            var next = new DOMParser().parseFromString(html, "text/html").querySelector("main[data-follow]");
            if (!next) return;
            mark = next.dataset.mark;
            isLeft = false;
            main.querySelectorAll("[data-part]").forEach(function (part) { put(part, next); });
          }
          function look() {
            if (isOver) return;
            if (isAsking || document.hidden) { isLate = true; return; }
            isAsking = true;
            isLate = false;
            clearTimeout(again);
            fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } })
              .then(function (answer) {
                if (answer.status === 404) isOver = true;
                if (!answer.ok) throw answer;
                return answer.text();
              })
              .then(function (html) { wait = 2000; show(html); })
              .catch(function () { again = setTimeout(look, wait); wait = Math.min(2 * wait, 60000); })
              .then(function () { isAsking = false; if (isLate) look(); });
          }
          function listen() {
            var source = new EventSource(main.dataset.follow + "&mark=" + encodeURIComponent(mark));
            source.onopen = function () { failures = 0; };
            source.addEventListener("changed", look);
            source.onerror = function () {
              if (++failures < 2 && source.readyState !== 2) return;
              source.close();
              setTimeout(function () { if (!isOver) { look(); listen(); } }, 10000);
            };
          }
          function leave() { if (isLeft) setTimeout(look, 0); }
          function release() { pressed = null; leave(); }
          main.addEventListener("pointerdown", function (event) { pressed = event.target; });
          main.addEventListener("focusout", leave);
          ["pointerup", "pointercancel", "blur"].forEach(function (name) { window.addEventListener(name, release); });
          document.addEventListener("visibilitychange", function () { if (isLate) look(); });
          listen();
        })();

        """#
}
