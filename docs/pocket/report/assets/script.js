// Small comforts on top of pages that read well without them: theme, sorting, copying, all code at once.
(function () {
  "use strict";
  var root = document.documentElement;

  // localStorage may be blocked, on file:// above all: the choice then lasts as long as the page
  function recall() { try { return localStorage.getItem("xitt-theme"); } catch (e) { return null; } }
  function remember(theme) { try { localStorage.setItem("xitt-theme", theme); } catch (e) { /* as above */ } }

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

  // --- tables ---
  function text(cell) { return cell.textContent.replace(/\s+/g, " ").trim(); }

  function value(cell) {
    if (!cell) return null;
    if (cell.dataset.value !== undefined) return parseFloat(cell.dataset.value);
    var t = text(cell);
    if (t === "" || t === "–" || t === "-" || t === "nan" || t === "NaN" || t === "None") return null;
    var match = t.replace(/−/g, "-").match(/^[+-]?[\d,]*\.?\d+(e[+-]?\d+)?(?=$|[\s%*†‡°\[])/i);
    return match ? parseFloat(match[0].replace(/,/g, "")) : t.toLowerCase();
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sortable(table) {
    var head = table.tHead && table.tHead.rows[0], body = table.tBodies[0];
    if (!head || !body || body.rows.length < 2 || table.tBodies.length !== 1) return;
    var spans = Array.prototype.some.call(table.querySelectorAll("tbody th, tbody td, thead th"), function (c) {
      return c.colSpan > 1 || c.rowSpan > 1;
    });
    if (spans) return; // rows that belong together stay together
    var original = Array.prototype.slice.call(body.rows);
    Array.prototype.forEach.call(head.cells, function (cell, column) {
      cell.tabIndex = 0;
      cell.classList.add("sort");
      cell.title = cell.title || "sort";
      function sort() {
        var before = cell.getAttribute("aria-sort");
        var numbers = original.some(function (r) { return typeof value(r.cells[column]) === "number"; });
        var first = numbers ? "descending" : "ascending", second = numbers ? "ascending" : "descending";
        var order = before === null ? first : before === first ? second : null;
        Array.prototype.forEach.call(head.cells, function (c) { c.removeAttribute("aria-sort"); });
        var rows = original.slice();
        if (order) {
          cell.setAttribute("aria-sort", order);
          rows.sort(function (r, s) {
            var a = value(r.cells[column]), b = value(s.cells[column]);
            if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
            return order === "ascending" ? compare(a, b) : compare(b, a);
          });
        }
        rows.forEach(function (r) { body.appendChild(r); });
      }
      cell.addEventListener("click", sort);
      cell.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
      });
    });
  }

  function csv(table) {
    return Array.prototype.map.call(table.rows, function (row) {
      return Array.prototype.map.call(row.cells, function (cell) {
        var t = text(cell).replace(/−/g, "-");
        return /[",\n]/.test(t) ? '"' + t.replace(/"/g, '""') + '"' : t;
      }).join(",");
    }).join("\n") + "\n";
  }

  function copy(content, done) {
    function old() {
      var area = document.createElement("textarea");
      area.value = content;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.appendChild(area);
      area.select();
      var ok = false;
      try { ok = document.execCommand("copy"); } catch (e) { ok = false; }
      area.remove();
      done(ok);
    }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(content).then(function () { done(true); }, old);
    } else old();
  }

  function copyButton(table) {
    var b = button("copy CSV", function () {
      copy(csv(table), function (ok) {
        b.textContent = ok ? "copied" : "not allowed here";
        setTimeout(function () { b.textContent = "copy CSV"; }, 1500);
      });
    });
    b.className = "copy";
    return b;
  }

  document.addEventListener("DOMContentLoaded", function () {
    root.classList.add("js");
    var tools = document.querySelector("[data-tools]");
    if (tools) {
      var code = codeButton();
      if (code) tools.appendChild(code);
      tools.appendChild(themeButton());
    }
    document.querySelectorAll("figure.table").forEach(function (figure) {
      var table = figure.querySelector("table");
      if (!table || table.classList.contains("plain")) return;
      sortable(table);
      figure.appendChild(copyButton(table));
    });
    if (window.matchMedia && matchMedia("(max-width: 40rem)").matches) {
      document.querySelectorAll("nav.toc details").forEach(function (d) { d.open = false; });
    }
  });
})();
