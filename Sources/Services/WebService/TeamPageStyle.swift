/// What the stylesheet holds for a team's page: colours for levels and states that are told in words too.
enum TeamPageStyle {
    static let css = """
        :root { --card: #f6f8f7; --track: #d5dcd9; --ok: #0b6e4f; --warning: #8f5500; --critical: #c43c00; --exceeded: #b3261e; --quiet: #56615c; }
        @media (prefers-color-scheme: dark) { :root { --card: #1d2321; --track: #3a4441; --ok: #5fd0a5; --warning: #ffb74d; --critical: #ff8a50;
          --exceeded: #ff8a80; --quiet: #a9b5b0; } }
        h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
        h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; justify-content: space-between; }
        .lead { margin-top: -.5rem; color: var(--quiet); }
        .tabs { display: flex; gap: .25rem; border-bottom: 1px solid var(--line); margin: 1.25rem 0; overflow-x: auto; }
        .tabs a { padding: .6rem 1rem; color: inherit; text-decoration: none; border-bottom: 3px solid transparent; margin-bottom: -1px;
          white-space: nowrap; }
        .tabs a:hover { border-color: var(--line); }
        .tabs a[aria-current] { border-color: var(--accent); font-weight: 600; }
        .card { background: var(--card); border: 1px solid var(--track); border-radius: .6rem; padding: 1.1rem 1.1rem 1rem; margin: 1rem 0; }
        .offer { border-color: var(--accent); }
        .figure { font-size: 1.5rem; font-weight: 650; margin: 0 0 .5rem; }
        .figure small { font-size: .95rem; font-weight: 400; color: var(--quiet); }
        .hint { color: var(--quiet); font-size: .9rem; margin: .25rem 0; }
        .metric { margin-bottom: 1.5rem; }
        .metric p { margin: .4rem 0; }
        .bar { position: relative; height: .9rem; }
        .bar progress { height: .9rem; }
        .bar::before, .bar::after { content: ""; position: absolute; top: -.2rem; bottom: -.2rem; width: 2px; background: var(--quiet);
          opacity: .55; z-index: 1; }
        .bar::before { left: 80%; }
        .bar::after { left: 95%; }
        progress { appearance: none; -webkit-appearance: none; display: block; width: 100%; height: .6rem; border: 0; border-radius: .5rem;
          background: var(--track); overflow: hidden; color: var(--ok); }
        progress::-webkit-progress-bar { background: var(--track); }
        progress::-webkit-progress-value { background: currentColor; }
        progress::-moz-progress-bar { background: currentColor; }
        progress.warning { color: var(--warning); }
        progress.critical { color: var(--critical); }
        progress.exceeded { color: var(--exceeded); }
        .badge { display: inline-block; font-size: .8rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; border: 1px solid currentColor;
          color: var(--quiet); white-space: nowrap; }
        .badge.ok, .badge.completed { color: var(--ok); }
        .badge.warning, .badge.pending, .badge.checked { color: var(--warning); }
        .badge.critical { color: var(--critical); }
        .badge.exceeded, .badge.failed { color: var(--exceeded); }
        .chip { border: 1px solid var(--accent); color: var(--accent); border-radius: 1rem; padding: .05rem .6rem; font-weight: 600; }
        .alert { border-left: .3rem solid var(--warning); padding: .5rem .9rem; margin: .75rem 0; background: var(--card); border-radius: .25rem; }
        .alert.critical { border-color: var(--critical); }
        .alert.exceeded { border-color: var(--exceeded); }
        table { width: 100%; border-collapse: collapse; font-size: .95rem; }
        th, td { text-align: right; padding: .45rem .35rem; border-bottom: 1px solid var(--track); font-weight: 400; vertical-align: top; }
        th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; padding-left: 0; }
        td { white-space: nowrap; }
        .history td:nth-child(2) { white-space: normal; }
        tr > :last-child { padding-right: 0; }
        tbody tr:last-child > * { border-bottom: 0; }
        thead th { color: var(--quiet); font-size: .85rem; }
        tr.over td { color: var(--exceeded); font-weight: 600; }
        .trend progress { color: var(--accent); margin: .35rem 0 .2rem; }
        .days { display: block; width: 100%; height: auto; border-bottom: 1px solid var(--line); }
        .days rect.within { fill: var(--ok); }
        .days rect.over { fill: var(--warning); }
        .days line { stroke: var(--quiet); stroke-width: 2; stroke-dasharray: 6 4; }
        .axis { display: flex; justify-content: space-between; }
        details { margin: .5rem 0; }
        summary { cursor: pointer; }
        .code { text-align: center; }
        .code img { background: #fff; padding: .5rem; border-radius: .35rem; max-width: 100%; height: auto; }
        fieldset { border: 0; padding: 0; margin: 1rem 0; }
        legend { padding: 0; margin-bottom: .35rem; color: var(--quiet); }
        .choice { display: flex; gap: .6rem; align-items: center; border: 1px solid var(--line); border-radius: .35rem; padding: .6rem .75rem;
          margin: .4rem 0; cursor: pointer; }
        .choice input { width: auto; margin: 0; accent-color: var(--accent); }
        .button { display: block; text-align: center; font-weight: 600; text-decoration: none; padding: .8rem 1rem; border: 2px solid var(--accent);
          border-radius: .35rem; color: inherit; }
        .button:hover, .button:focus-visible { background: var(--accent); color: Canvas; }
        .card form.quiet { margin: .75rem 0 0; }
        .card form.quiet button { border-width: 1px; font-weight: 500; }
        .card form.pay button { background: var(--accent); color: Canvas; }
        .offer ul { padding-left: 1.2rem; margin: .5rem 0; }
        @media (max-width: 32rem) {
          .history thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
          .history tr { display: grid; grid-template-columns: 1fr auto; padding: .6rem 0; border-bottom: 1px solid var(--track); }
          .history tr:last-child { border-bottom: 0; }
          .history td { border: 0; padding: .1rem 0; }
          .history td:nth-child(2) { order: 3; text-align: left; color: var(--quiet); }
          .history td:nth-child(3) { order: 2; }
          .history td:nth-child(4) { order: 4; }
        }
        @media (min-width: 40rem) { .choice { display: inline-flex; margin-right: .5rem; } }

        """
}
