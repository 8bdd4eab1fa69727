// Small comforts on top of pages that read well without them: theme, sorting, copying, all code at once. The report puts this text
// into each page, without comments and indentation, and the page's policy allows it by its hash and nothing else.
(function () {
  "use strict";
  var root = document.documentElement;

  // localStorage may be blocked, on file:// above all: the choice then lasts as long as the page
  function recall() { try { return localStorage.getItem("xitt-theme"); } catch (e) { return null; } }
  function remember(theme) { try { localStorage.setItem("xitt-theme", theme); } catch (e) { return; } }

  var chosen = recall();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return !!(window.matchMedia && matchMedia("(prefers-color-scheme: dark)").matches);
  }

  function button(label, action) {
    var b = document.createElement("button");
    b.type = "button";
    b.textContent = label;
    b.addEventListener("click", action);
    return b;
  }

  function themeButton() {
    var b = button("", function () {
      root.dataset.theme = isDark() ? "light" : "dark";
      remember(root.dataset.theme);
      label();
    });
    function label() {
      b.textContent = isDark() ? "light" : "dark";
      b.setAttribute("aria-label", "switch to the " + b.textContent + " theme");
    }
    label();
    if (window.matchMedia) {
      var media = matchMedia("(prefers-color-scheme: dark)");
      if (media.addEventListener) media.addEventListener("change", label);
    }
    return b;
  }

  function codeButton() {
    var all = document.querySelectorAll("details.code");
    if (!all.length) return null;
    var open = false;
    var b = button("show code", function () {
      open = !open;
      all.forEach(function (d) { d.open = open; });
      b.textContent = open ? "hide code" : "show code";
      b.setAttribute("aria-pressed", String(open));
    });
    return b;
  }

  // --- what a cell says ---
  // Text of a cell on one line; a line break or a smaller note is a space. Marks that turn the direction of writing are left out.
  function text(cell) {
    var parts = [];
    (function walk(node) {
      if (node.nodeType === 3) parts.push(node.nodeValue);
      else {
        var apart = /^(br|small|p|div)$/i.test(node.nodeName);
        if (apart) parts.push(" ");
        node.childNodes.forEach(walk);
        if (apart) parts.push(" ");
      }
    })(cell);
    return parts.join("").replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "").replace(/[\s\u0000-\u001f]+/g, " ").trim();
  }

  // A number with its marks and its interval: "+2.1* [+1.0, +3.2]"; null for any other text.
  // Question answering has two, F1/EM: "16.3/11.0".
  var NUMBER = /^([+-]?(?:\d[\d,]*)?\.?\d+(?:e[+-]?\d+)?)(?:\/([+-]?\d[\d.]*))?\s*(%?)\s*([*°†‡]*)\s*(?:\[\s*([+-]?[\d.,]+|–)\s*(?:,|to)\s*([+-]?[\d.,]+|–)\s*\])?$/i;
  function parsed(t) {
    var m = t.replace(/−/g, "-").match(NUMBER);
    if (!m) return null;
    var plain = function (x) { return x === undefined || x === "–" ? "" : x.replace(/,/g, "").replace(/^\+/, ""); };
    return { value: plain(m[1]), second: plain(m[2]), unit: m[3], mark: m[4], low: plain(m[5]), high: plain(m[6]), wide: m[5] !== undefined };
  }
  function absent(t) { return /^(|–|-|—|nan|none|na|<na>)$/i.test(t); }

  // --- sorting ---
  function key(cell) {
    if (!cell) return null;
    var t = text(cell);
    if (cell.dataset.value !== undefined && !isNaN(parseFloat(cell.dataset.value))) return parseFloat(cell.dataset.value);
    if (absent(t)) return null;
    var number = parsed(t);
    if (number) return parseFloat(number.value);
    var first = t.replace(/−/g, "-").match(/^[+-]?[\d,]*\.?\d+(?=$|[\s%*†‡°\[])/);
    return first ? parseFloat(first[0].replace(/,/g, "")) : t.toLowerCase();
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sortable(table) {
    var head = table.tHead && table.tHead.rows[0], body = table.tBodies[0];
    if (!head || table.tHead.rows.length > 1 || !body || body.rows.length < 2 || table.tBodies.length !== 1) return;
    var spans = Array.prototype.some.call(table.querySelectorAll("tbody th, tbody td, thead th"), function (c) {
      return c.colSpan > 1 || c.rowSpan > 1;
    });
    if (spans) return; // rows that belong together stay together
    var original = Array.prototype.slice.call(body.rows);
    Array.prototype.forEach.call(head.cells, function (cell, column) {
      if (!text(cell)) return;
      function sort() {
        var before = cell.getAttribute("aria-sort");
        var numbers = original.some(function (r) { return typeof key(r.cells[column]) === "number"; });
        var first = numbers ? "descending" : "ascending", second = numbers ? "ascending" : "descending";
        var order = before === null ? first : before === first ? second : null;
        Array.prototype.forEach.call(head.cells, function (c) { c.removeAttribute("aria-sort"); });
        var rows = original.slice();
        if (order) {
          cell.setAttribute("aria-sort", order);
          rows.sort(function (r, s) {
            var a = key(r.cells[column]), b = key(s.cells[column]);
            if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
            return order === "ascending" ? compare(a, b) : compare(b, a);
          });
        }
        rows.forEach(function (r) { body.appendChild(r); });
      }
      // a button in the header cell: reached by the tab key, pressed by Enter and by the space bar
      var b = button("", sort);
      b.className = "sort";
      b.title = "sort by this column; a third time: as it was";
      while (cell.firstChild) b.appendChild(cell.firstChild);
      cell.appendChild(b);
    });
  }

  // --- copying ---
  // Rows of plain texts. A column with intervals becomes value, low, high; marks get a column of their own where there are any.
  function grid(table) {
    var rows = Array.prototype.map.call(table.rows, function (row) {
      return { head: row.parentNode.nodeName === "THEAD", cells: Array.prototype.map.call(row.cells, text) };
    });
    var extra = [];
    rows.forEach(function (row) {
      if (!row.head) row.cells.forEach(function (t, i) {
        var p = parsed(t);
        extra[i] = extra[i] || { low: false, mark: false, second: false };
        if (p && p.second) extra[i].second = true;
        if (p && p.wide) extra[i].low = true;
        if (p && p.mark) extra[i].mark = true;
      });
    });
    return rows.map(function (row) {
      var line = [];
      row.cells.forEach(function (t, i) {
        var more = extra[i] || {}, p = row.head ? null : parsed(t);
        if (row.head) line.push(t); else line.push(p ? p.value + p.unit : absent(t) ? "" : t);
        if (more.second) line.push(row.head ? t + " second" : p ? p.second : "");
        if (more.low) line.push(row.head ? t + " low" : p ? p.low : "", row.head ? t + " high" : p ? p.high : "");
        if (more.mark) line.push(row.head ? t + " mark" : p ? p.mark : "");
      });
      return line;
    });
  }

  // A spreadsheet takes a cell that begins with = + - @ for a formula: a quotation mark before it keeps it a text. Numbers stay numbers.
  function field(t) {
    if (/^[=+\-@\t\r＝＋－＠]/.test(t) && !/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?$/i.test(t)) t = "'" + t;
    return /[",\n\r;]/.test(t) ? '"' + t.replace(/"/g, '""') + '"' : t;
  }

  function caption(table) {
    var c = table.closest("figure") && table.closest("figure").querySelector("figcaption");
    return c ? text(c) : "";
  }

  function csv(table) {
    return grid(table).map(function (line) { return line.map(field).join(","); }).join("\r\n") + "\r\n";
  }

  var TEX = {
    "\\": "\\textbackslash{}", "_": "\\_", "&": "\\&", "%": "\\%", "#": "\\#", "$": "\\$", "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "−": "$-$", "°": "$^{\\circ}$", "±": "$\\pm$", "×": "$\\times$",
    "·": "$\\cdot$", "→": "$\\to$", "≥": "$\\geq$", "≤": "$\\leq$", "†": "\\dag{}", "‡": "\\ddag{}", "–": "--", "—": "---", "…": "\\ldots{}",
    "|": "\\textbar{}", "\"": "''", "[": "{[}", "]": "{]}"
  };
  function tex(t) {
    return t.replace(/[\\_&%#$\{\}~^<>−°±×·→≥≤†‡–—…|"\[\]]/g, function (c) { return TEX[c]; }).replace(/(^|\s)-(?=\d)/g, "$1$-$");
  }

  function latex(table) {
    var body = table.tBodies[0], sample = body && body.rows[0] ? body.rows[0].cells : table.rows[0].cells;
    var columns = Array.prototype.map.call(sample, function (c) { return c.classList.contains("n") ? "r" : "l"; }).join("");
    var line = function (row) {
      return "  " + Array.prototype.map.call(row.cells, function (c) {
        var many = c.colSpan > 1, t = tex(text(c));
        return many ? "\\multicolumn{" + c.colSpan + "}{c}{" + t + "}" : t;
      }).join(" & ") + " \\\\\n";
    };
    var lines = function (part) { return part ? Array.prototype.map.call(part.rows, line).join("") : ""; };
    return "% " + caption(table).replace(/[^\x20-\x7e]+/g, " ") + "\n\\begin{tabular}{" + columns + "}\n  \\hline\n" + lines(table.tHead) + "  \\hline\n" +
      Array.prototype.map.call(table.tBodies, lines).join("  \\hline\n") + "  \\hline\n" +
      (table.tFoot ? lines(table.tFoot) + "  \\hline\n" : "") + "\\end{tabular}\n";
  }

  // Where the clipboard is closed to pages (file:// in some browsers) the text is shown, selected, to be copied by hand.
  function copy(content, near, done) {
    function area(style) {
      var a = document.createElement("textarea");
      a.value = content;
      a.readOnly = true;
      a.className = style;
      a.setAttribute("aria-label", "table as text");
      near.appendChild(a);
      a.focus();
      a.select();
      return a;
    }
    function old() {
      var hidden = area("unseen"), ok = false;
      try { ok = document.execCommand("copy"); } catch (e) { ok = false; }
      hidden.remove();
      if (!ok && !near.querySelector("textarea")) {
        var shown = area("by-hand");
        shown.addEventListener("blur", function () { shown.remove(); });
      }
      done(ok);
    }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(content).then(function () { done(true); }, old);
    } else old();
  }

  function copyButton(table, bar, name, make) {
    var b = button("copy " + name, function () {
      copy(make(table), bar, function (ok) {
        b.textContent = ok ? "copied" : "copy by hand";
        setTimeout(function () { b.textContent = "copy " + name; }, 1500);
      });
    });
    return b;
  }

  // --- filtering: a ledger shows all of its rows, or those of one verdict ---
  function filter(table, figure) {
    var cells = table.querySelectorAll("tbody .verdict"), names = [], bar = document.createElement("div"), buttons = [];
    cells.forEach(function (c) { if (names.indexOf(text(c)) < 0) names.push(text(c)); });
    if (names.length < 2) return;
    [""].concat(names).forEach(function (name) {
      var count = Array.prototype.filter.call(cells, function (c) { return !name || text(c) === name; }).length;
      var b = button((name || "all") + " (" + count + ")", function () {
        cells.forEach(function (c) { c.parentNode.hidden = !!name && text(c) !== name; });
        buttons.forEach(function (other) { other.setAttribute("aria-pressed", String(other === b)); });
      });
      b.setAttribute("aria-pressed", String(!name));
      buttons.push(b);
      bar.appendChild(b);
    });
    bar.className = "copy filter";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "rows to show, by verdict");
    figure.insertBefore(bar, table.closest(".scroll") || table);
  }

  function tools(figure) {
    var table = figure.querySelector("table");
    if (!table) return;
    if (!table.classList.contains("plain")) sortable(table);
    if (table.classList.contains("ledger")) filter(table, figure);
    var bar = document.createElement("div");
    bar.className = "copy";
    bar.appendChild(copyButton(table, bar, "CSV", csv));
    bar.appendChild(copyButton(table, bar, "LaTeX", latex));
    figure.appendChild(bar);
  }

  document.addEventListener("DOMContentLoaded", function () {
    root.classList.add("js");
    var place = document.querySelector("[data-tools]");
    if (place) {
      var code = codeButton();
      if (code) place.appendChild(code);
      place.appendChild(themeButton());
    }
    document.querySelectorAll("figure.table").forEach(tools);
    if (window.matchMedia && matchMedia("(max-width: 40rem)").matches) {
      document.querySelectorAll("nav.toc details").forEach(function (d) { d.open = false; });
    }
  });
})();
