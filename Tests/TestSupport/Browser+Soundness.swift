extension Browser {
    /// A script that looks at the page that is shown and returns what is wrong with it: texts that stand out too little from what lies behind
    /// them (WCAG AA), fields without a label, headings that leave out a level, buttons and links without a name, a page wider than the window.
    public static let soundness = """
        function channel(v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }
        function light(c) { return 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]); }
        function colour(text) { var n = text.match(/[0-9.]+/g).map(Number); return n.length < 4 ? n.concat([1]) : n; }
        function ground(element) {
          for (var at = element; at; at = at.parentElement) { var c = colour(getComputedStyle(at).backgroundColor); if (c[3] > 0) return c; }
          return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
        }
        var problems = [];
        var walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          var element = walker.currentNode.parentElement;
          if (!walker.currentNode.textContent.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION', 'PROGRESS', 'title'].indexOf(element.tagName) >= 0) continue;
          var style = getComputedStyle(element);
          var own = colour(element.closest('svg') ? style.fill : style.color), behind = ground(element);
          var a = light(own), b = light(behind), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (ratio < 4.5) problems.push(ratio.toFixed(2) + ' ' + element.tagName + '.' + element.className + ' ' + element.textContent.slice(0, 30));
        }
        document.querySelectorAll('input:not([type=hidden]), select, textarea').forEach(function (field) {
          if (!field.labels.length && !field.getAttribute('aria-label')) problems.push('no label: ' + field.outerHTML.slice(0, 60));
        });
        var last = 0;
        document.querySelectorAll('h1, h2, h3, h4').forEach(function (heading) {
          var level = Number(heading.tagName[1]);
          if (level > last + 1) problems.push('h' + last + ' then h' + level);
          last = level;
        });
        document.querySelectorAll('button, a').forEach(function (one) {
          if (!(one.textContent.trim() || one.getAttribute('aria-label'))) problems.push('nameless: ' + one.outerHTML.slice(0, 60));
        });
        if (document.documentElement.scrollWidth > innerWidth + 1) problems.push('wider than the window: ' + document.documentElement.scrollWidth);
        return problems.join('; ');
        """
}
