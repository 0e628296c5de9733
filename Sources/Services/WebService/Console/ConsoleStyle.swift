/// The console's stylesheet: two themes by what the browser prefers, colours that stand out from their ground by 4.5 to 1 and more.
enum ConsoleStyle {
    static let path = "/assets/console.css"

    static let route = Route.asset(path, "text/css", css)

    static let css = """
        :root { color-scheme: light dark; --ground: #ffffff; --text: #1b211e; --quiet: #56615c; --card: #f6f8f7; --line: #c9d1cd;
          --edge: #7a857f; --accent: #0b6e4f; --on-accent: #ffffff; --ok: #0b6e4f; --warn: #8a4b00; --bad: #b3261e; --info: #1f5fa8;
          --mark: #e3f3ec; }
        @media (prefers-color-scheme: dark) { :root { --ground: #141816; --text: #e7ecea; --quiet: #a9b5b0; --card: #1d2321; --line: #3a4441;
          --edge: #84908a; --accent: #5fd0a5; --on-accent: #0b1511; --ok: #5fd0a5; --warn: #ffb74d; --bad: #ff9a91; --info: #8ab8ff;
          --mark: #20342c; } }
        * { box-sizing: border-box; }
        body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; background: var(--ground); color: var(--text); }
        a { color: var(--accent); }
        a:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible, textarea:focus-visible, summary:focus-visible {
          outline: 3px solid var(--info); outline-offset: 2px; }
        .skip { position: absolute; left: -999rem; padding: .5rem 1rem; background: var(--ground); }
        .skip:focus { left: 0; top: 0; z-index: 2; }
        .top { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; padding: .5rem 1.25rem;
          background: var(--card); border-bottom: 1px solid var(--line); }
        .brand { margin: 0; font-weight: 700; }
        .brand a { color: inherit; text-decoration: none; }
        nav ul { display: flex; flex-wrap: wrap; gap: .1rem .25rem; margin: 0; padding: 0; list-style: none; }
        nav a { display: block; padding: .35rem .6rem; border-radius: .35rem; color: inherit; text-decoration: none; }
        nav a:hover { text-decoration: underline; }
        nav a[aria-current] { background: var(--mark); font-weight: 600; }
        .who { margin: 0 0 0 auto; display: flex; gap: .6rem; align-items: center; color: var(--quiet); }
        main { max-width: 80rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
        main.wide { max-width: 96rem; }
        main.narrow { max-width: 28rem; padding-top: 3rem; }
        h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
        h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
        .quiet, .detail { color: var(--quiet); }
        .done { border-left: .3rem solid var(--ok); background: var(--mark); padding: .5rem .9rem; }
        .alarm { border-left: .3rem solid var(--bad); background: var(--card); padding: .5rem .9rem; }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; padding: 0; margin: 0 0 1rem;
          list-style: none; }
        .cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
        .cards strong { display: block; font-size: 1.6rem; line-height: 1.2; }
        .tasks { padding: 0; list-style: none; }
        .tasks > li { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center; justify-content: space-between;
          border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: .5rem 0; background: var(--card); }
        .tasks p { margin: 0; flex: 1 1 24rem; overflow-wrap: anywhere; }
        .tasks form { margin: 0; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: .94rem; }
        th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
        thead th { color: var(--quiet); font-weight: 600; }
        td:not(.number) { min-width: 5.5rem; }
        td a { overflow-wrap: anywhere; }
        td code { display: inline-block; min-width: 13rem; }
        td.number, th.number { text-align: right; white-space: nowrap; }
        td.word { overflow-wrap: anywhere; min-width: 10rem; }
        td form { margin: 0 .25rem .25rem 0; display: inline-block; }
        .card h2, .card h3, .done h2 { margin-top: .25rem; }
        caption { text-align: left; color: var(--quiet); padding-bottom: .35rem; }
        dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; margin: .5rem 0 1rem; }
        dt { color: var(--quiet); }
        dd { margin: 0; overflow-wrap: anywhere; }
        .badge { display: inline-block; padding: 0 .5rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .85rem;
          font-weight: 600; white-space: nowrap; color: var(--quiet); }
        .badge.ok { color: var(--ok); }
        .badge.warn { color: var(--warn); }
        .badge.bad { color: var(--bad); }
        .badge.info { color: var(--info); }
        form.filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; background: var(--card); border: 1px solid var(--line);
          border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1rem; }
        form.card, fieldset { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem 1rem; margin: 1rem 0; max-width: 40rem; }
        legend { font-weight: 600; padding: 0 .4rem; }
        label { display: block; margin: .5rem 0 .15rem; }
        .filter label { margin: 0; }
        input, select, textarea { font: inherit; padding: .4rem .5rem; border: 1px solid var(--edge); border-radius: .35rem;
          background: var(--ground); color: var(--text); max-width: 100%; }
        .card input:not([type=checkbox]), .card textarea, .card select, .narrow input { width: 100%; }
        textarea { min-height: 5rem; }
        .check { display: flex; gap: .5rem; align-items: baseline; }
        button, .button { font: inherit; font-weight: 600; padding: .35rem .9rem; border: 1px solid var(--accent); border-radius: .35rem;
          background: var(--ground); color: var(--accent); cursor: pointer; text-decoration: none; display: inline-block; }
        button:hover, .button:hover { text-decoration: underline; }
        button.main, .button.main { background: var(--accent); color: var(--on-accent); }
        button.danger { border-color: var(--bad); color: var(--bad); }
        .card button, .narrow form > button { margin-top: .9rem; }
        .pager { display: flex; gap: 1rem; margin: 1rem 0; }
        .line { list-style: none; padding: 0 0 0 1rem; border-left: 2px solid var(--line); }
        .line li { margin: .45rem 0; overflow-wrap: anywhere; }
        .line time { color: var(--quiet); font-variant-numeric: tabular-nums; }
        .line b { display: inline-block; min-width: 5.5rem; }
        pre { background: var(--card); border: 1px solid var(--line); border-radius: .35rem; padding: .6rem .8rem; white-space: pre-wrap;
          overflow-wrap: anywhere; max-height: 30rem; overflow-y: auto; }
        code { font-size: .94em; overflow-wrap: anywhere; }
        svg.chart { width: 100%; height: auto; display: block; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
        svg .begun { fill: var(--edge); }
        svg .paid { fill: var(--accent); }
        svg text { fill: var(--quiet); font-size: 11px; }
        .key span::before { content: ""; display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1em; border-radius: .2em; }
        .key .k-begun::before { background: var(--edge); }
        .key .k-paid::before { background: var(--accent); }
        .codes { columns: 2; font-family: ui-monospace, monospace; padding-left: 1.2rem; }
        .qr { background: #ffffff; padding: .5rem; border-radius: .35rem; width: 220px; height: 220px; }

        """
}

/// The console's script. Everything works without it: with it numbers follow by themselves, and deeds that cannot be undone ask once more.
enum ConsoleScript {
    static let path = "/assets/console.js"

    static let route = Route.asset(path, "text/javascript", script)

    private static let script = #"""
        (function () {
          "use strict";
          document.addEventListener("submit", function (event) {
            var question = event.target.dataset ? event.target.dataset.confirm : null;
            if (question && !window.confirm(question)) event.preventDefault();
          });
          var back = document.querySelector("a[data-back]");
          if (back && history.length > 1) back.addEventListener("click", function (event) { event.preventDefault(); history.back(); });
          var live = document.querySelector("[data-live]");
          if (!live || !window.EventSource) return;
          var source = new EventSource(live.dataset.live);
          source.addEventListener("figures", function (event) {
            var figures = JSON.parse(event.data);
            Object.keys(figures).forEach(function (name) {
              document.querySelectorAll("[data-figure='" + name + "']").forEach(function (place) {
                if (place.textContent !== figures[name]) place.textContent = figures[name];
              });
            });
          });
          window.addEventListener("pagehide", function () { source.close(); });
        })();

        """#
}
