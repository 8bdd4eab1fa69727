"""The report: executed notebooks and tidy results as a static site that opens from disk, with no network.

``outputs/<study>/report/`` holds a front page, one page per executed notebook and one folder ``assets/``. What notebooks print
may hold text from data sets, so their HTML is taken apart and only what is on an allow-list is written again.
"""

from __future__ import annotations

import ast
import base64
import html
import io
import json
import math
import re
import shutil
import time
import tokenize
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import store
from .errors import ParameterError
from .graph import Job, jobs
from .progress import clock

if TYPE_CHECKING:
    import pandas as pd

    from .study import Study

LOG_LINES = 12  # longer logs are folded
PHASES = {
    "00": "The encoder and the data", "01": "Phase 1: intermediate training", "02": "Phase 2: target tasks",
    "03": "Phase 3: retrieval without target training", "04": "The transfer matrix", "05": "The benchmark",
    "06": "Variants", "07": "The claims", "10": "Code", "11": "Number of intermediate tasks", "12": "Code-mixed text",
    "13": "Task similarity", "14": "Image captions", "90": "Performance",
}  # fmt: skip


# --- what is asked for ---------------------------------------------------------------------------------------------
def write(study: Study) -> Path:
    """Build the site of a study from whatever is there; an earlier one is replaced at once, when the new one is whole.

    Returns
    -------
    pathlib.Path
        ``outputs/<study>/report/index.html``.
    """
    folder = study.out / "report"
    pages = _pages(study)
    ready = [p for p in pages if p.cells is not None]
    sources = {p.notebook: p.href for p in reversed(ready)}
    with store.fresh_folder(folder) as fresh:
        (fresh / "assets").mkdir()
        for name in ("style.css", "script.js"):
            shutil.copyfile(_template_folder() / name, fresh / "assets" / name)
        for i, page in enumerate(ready):
            before = ready[i - 1] if i else None
            after = ready[i + 1] if i + 1 < len(ready) else None
            _render_page(page, sources)
            text = _template("page.html.j2").render(study=study.params, page=page, before=before, after=after)
            (fresh / page.file).write_text(text, encoding="utf-8")
        text = _template("index.html.j2").render(**_front(study, pages))
        (fresh / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


def publish(study: Study) -> Path:
    """Copy report and results to ``docs/<study>/``, in place of what was published before.

    Returns
    -------
    pathlib.Path
        ``docs/<study>``, with ``report/`` and ``results.csv`` side by side as in ``outputs/<study>``.

    Raises
    ------
    ParameterError
        If there is no report, or the code it would stand for is not committed.
    """
    report, results = study.out / "report", study.out / "results.csv"
    for path in (report / "index.html", results):
        if not path.is_file():
            raise ParameterError(f"{path} is not there; `xitt report {study.path.name}` writes it")
    if store.commit(str(study.root)).endswith("+changes"):
        raise ParameterError(
            "xitt/, params/ or notebooks/ have uncommitted changes; commit them, run the study, then publish"
        )
    folder = study.root / "docs" / study.name
    with store.fresh_folder(folder) as fresh:
        shutil.copytree(report, fresh / "report")
        shutil.copyfile(results, fresh / "results.csv")
    return folder


# --- pages ---------------------------------------------------------------------------------------------------------
@dataclass
class Cell:
    """A cell as the template shows it; ``kind`` is ``text``, ``parameters`` or ``code``."""

    kind: str
    body: str = ""
    outputs: list[str] = field(default_factory=list)


@dataclass
class Page:
    """One notebook of the study; ``cells`` is ``None`` where no executed notebook is there."""

    name: str
    notebook: str
    about: str = ""
    title: str = ""
    seconds: float | None = None
    error: str = ""
    raw: dict[str, Any] | None = None
    cells: list[Cell] | None = None
    headings: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"{self.name}.html"

    @property
    def href(self) -> str:
        return quote(self.file)

    @property
    def phase(self) -> str:
        return PHASES.get(self.name.split(".")[0], "Other notebooks")

    @property
    def time(self) -> str:
        return "" if self.seconds is None else clock(self.seconds)


def _pages(study: Study) -> list[Page]:
    """Every job's page in reading order, then executed notebooks that belong to no job."""
    known = sorted(jobs(study), key=lambda j: j.name.split(".")[0])  # stable: designs' order within a phase
    pages = [_page(study, j.file_name, j) for j in known]
    names = {j.file_name for j in known}
    others = sorted(p.name for p in (study.out / "notebooks").glob("*.ipynb") if p.name not in names)
    return pages + [_page(study, name) for name in others]


def _page(study: Study, file_name: str, job: Job | None = None) -> Page:
    page = Page(file_name.removesuffix(".ipynb"), job.notebook if job else file_name)
    if job and job.parameters:
        given = dict(job.parameters)
        page.about = f"{given.pop('intermediate', '')}, " + ", ".join(f"{k} {v}" for k, v in given.items())
        page.about = page.about.strip(", ")
    path = study.out / "notebooks" / file_name
    if not path.is_file():
        state = store.read_json(study.out / "jobs" / ".running" / page.name / "error.json")
        page.error = f"{state['name']}: {state['message']}" if state else ""
        page.title = page.name
        return page
    page.raw, page.cells = _read_notebook(study, path), []
    page.title = _first_heading(page.raw) or page.name
    page.seconds = page.raw.metadata.get("papermill", {}).get("duration")
    page.error = next(
        (f"{o.ename}: {o.evalue}" for c in page.raw.cells for o in c.get("outputs", []) if o.output_type == "error"),
        "",
    )  # fmt: skip
    return page


def _read_notebook(study: Study, path: Path):
    """A notebook with the machine's own folders taken out of its text."""
    import nbformat

    text = path.read_text(encoding="utf-8")
    for folder, short in ((study.out.parent, "outputs"), (study.root, "")):
        written = re.escape(json.dumps(str(folder), ensure_ascii=False)[1:-1])
        text = re.sub(written + "/", f"{short}/" if short else "", text)
        text = re.sub(written + r"(?![\w.-])", short or ".", text)
    return nbformat.reads(text, as_version=4)


def _first_heading(notebook) -> str:
    for cell in notebook.cells:
        match = re.search(r"^#\s+(.+?)\s*#*$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if match:
            return re.sub(r"[*_`]", "", match[1])
    return ""


def _render_page(page: Page, sources: dict[str, str]) -> None:
    """Fill in a page's cells and headings."""
    tagged = {t: c.source for c in page.raw.cells for t in c.metadata.get("tags", []) if c.cell_type == "code"}
    for number, cell in enumerate(page.raw.cells):
        tags = cell.metadata.get("tags", [])
        if "papermill-error-cell-tag" in tags:
            continue  # the page shows the error itself
        if cell.cell_type == "markdown":
            page.cells.append(Cell("text", markdown(cell.source, page.headings, sources)))
        elif cell.cell_type == "code":
            prefix = f"o{number}-"
            outputs = [o for o in (_output(o, f"{prefix}{i}-") for i, o in enumerate(_merged(cell.outputs))) if o]
            if "parameters" in tags or ("injected-parameters" in tags and "parameters" not in tagged):
                body = _parameters_table(tagged.get("parameters", ""), tagged.get("injected-parameters", ""))
                page.cells.append(Cell("parameters", body, outputs))
            elif "injected-parameters" not in tags and (cell.source.strip() or outputs):
                page.cells.append(Cell("code", highlight(cell.source), outputs))


def _merged(outputs: list) -> list:
    """Outputs with neighbouring pieces of one stream joined."""
    merged: list = []
    for output in outputs:
        same = merged and output.output_type == "stream" == merged[-1]["output_type"]
        if same and merged[-1]["name"] == output["name"]:
            merged[-1] = {**merged[-1], "text": merged[-1]["text"] + output["text"]}
        else:
            merged.append(output)
    return merged


def _output(output, prefix: str) -> str:
    """HTML of one output; empty if there is nothing to show."""
    if output["output_type"] == "stream":
        return _log(output["text"], "log" if output["name"] == "stdout" else "messages")
    if output["output_type"] == "error":
        trace = _plain("\n".join(output["traceback"]))
        return (
            f'<div class="error" id="error"><p><strong>{html.escape(output["ename"])}</strong> '
            f"{html.escape(_plain(output['evalue']))}</p>"
            f"<details><summary>traceback</summary><pre>{html.escape(trace)}</pre></details></div>"
        )
    return _shown({k: "".join(v) if isinstance(v, list) else v for k, v in output["data"].items()}, prefix)


def _shown(data: dict[str, Any], prefix: str) -> str:
    """The richest form of a result that the page can hold."""
    if "text/html" in data:
        return clean(data["text/html"], prefix)
    if "image/svg+xml" in data:
        return clean(f'<figure class="plot">{data["image/svg+xml"]}</figure>', prefix)
    if "text/markdown" in data:
        return f'<div class="prose">{markdown(data["text/markdown"])}</div>'
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            code = base64.b64encode(base64.b64decode(data[kind])).decode()
            alt = html.escape(data.get("text/plain", "figure"))
            return f'<figure class="plot"><img src="data:{kind};base64,{code}" alt="{alt}"></figure>'
    if data.get("text/plain", "").strip():
        return f"<pre>{html.escape(_plain(data['text/plain']))}</pre>"
    return ""


def _log(text: str, label: str) -> str:
    text = _plain(text).rstrip()
    lines = text.count("\n") + 1
    if not text:
        return ""
    pre = f'<pre class="log">{html.escape(text)}</pre>'
    if _is_prose(text):  # a finding that a notebook wrote from its numbers
        return "".join(f'<p class="finding">{html.escape(x)}</p>' for x in text.split("\n") if x.strip())
    if lines <= LOG_LINES:
        return pre
    return f'<details class="log"><summary>{label} <small>{lines} lines</small></summary>{pre}</details>'


def _is_prose(text: str) -> bool:
    """Whether a log is a few full sentences, one paragraph per line."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) <= 6 and all(re.fullmatch(r"[A-Z]\S* .{30,}[.!?]", line) for line in lines)


def _plain(text: str) -> str:
    """Text as a terminal would leave it: no colour codes, the last state of lines that were drawn over."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _parameters_table(defaults: str, injected: str) -> str:
    """A notebook's parameters as a table: name, value used, what it means."""
    meaning = {name: help_ for name, (_, help_) in _assignments(defaults).items()}
    values = {name: value for name, (value, _) in {**_assignments(defaults), **_assignments(injected)}.items()}
    if not values:
        return ""
    rows = [(name, value, meaning.get(name, "")) for name, value in values.items()]
    return table(("parameter", "value", "meaning"), rows, css="plain")


def _assignments(source: str) -> dict[str, tuple[str, str]]:
    """Names assigned in a parameter cell: value as written, and the comment on its line."""
    try:
        body = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return {}
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and getattr(node, "value", None):
            value = ast.get_source_segment(source, node.value) or ""
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                value = node.value.value
            found[targets[0].id] = (value, comments.get(node.end_lineno, ""))
    return found


# --- text and code -------------------------------------------------------------------------------------------------
def markdown(source: str, headings: list | None = None, sources: dict[str, str] | None = None) -> str:
    """Markdown as safe HTML.

    Parameters
    ----------
    source : str
    headings : list, optional
        Takes (level, id, text) of each heading; without it headings get no ids.
    sources : dict, optional
        Where links to notebooks lead: file name in ``notebooks/`` to page.
    """
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **attributes) -> str:
            if headings is None:
                return f"<h{level}>{text}</h{level}>\n"
            plain = html.unescape(re.sub(r"<[^>]+>", "", text))
            slug = re.sub(r"\W+", "-", plain.lower()).strip("-") or "section"
            taken = [h[1] for h in headings]
            slug = next(s for s in (slug, *(f"{slug}-{i}" for i in range(2, 999))) if s not in taken)
            headings.append((level, slug, plain))
            return f'<h{level} id="{html.escape(slug)}">{text}</h{level}>\n'

        def block_code(self, code: str, info: str | None = None) -> str:
            return f"<pre>{highlight(code) if info == 'python' else html.escape(code)}</pre>\n"

    render = mistune.create_markdown(renderer=Renderer(escape=False), plugins=["table", "strikethrough"])
    return clean(render(source), ids=headings is not None, links=sources or {})


@cache
def highlight(source: str) -> str:
    """Python with a span of a short class name per token, coloured by the style sheet."""
    from pygments import highlight as colour
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return colour(source, PythonLexer(stripnl=True), HtmlFormatter(nowrap=True)).rstrip()


# --- the sanitiser -------------------------------------------------------------------------------------------------
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HTML = _words(
    "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 "
    "hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var wbr"
)
_SVG = _words(
    "svg g defs path rect circle ellipse line polyline polygon text tspan use clippath lineargradient radialgradient stop "
    "image marker pattern symbol desc"
)
_VOID = _words("br col hr img wbr")
_WITH_CONTENT = _words(  # gone with all that is in them
    "script style iframe frameset object applet noscript noembed noframes template textarea select title head math "
    "metadata foreignobject audio video canvas animate animatemotion animatetransform set xmp plaintext dialog"
)
_ATTRIBUTES = _words(
    "class title dir lang role colspan rowspan scope align open start alt width height data-value viewbox d x y x1 x2 y1 y2 dx dy "
    "cx cy r rx ry fx fy points transform fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray "
    "stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit opacity offset stop-color stop-opacity clip-path clip-rule "
    "clippathunits gradientunits gradienttransform patternunits markerwidth markerheight refx refy orient "
    "preserveaspectratio text-anchor dominant-baseline alignment-baseline font-size font-family font-weight font-style"
)
_STYLES = re.compile(
    r"(fill|stroke|opacity|font|text|stop|clip|dominant-baseline|color|background-color|background|width|min-width|max-width|"
    r"height|vertical-align|white-space|border|padding|margin)(-[a-z-]+)?"
)
_BAD_VALUE = re.compile(r"url\((?!\s*['\"]?#)|expression|javascript:|image-set|@|\\|//|/\*", re.I)
_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_NUMBER = re.compile(r"[+\-−]?[\d,.]*\d\s*%?(\s*[*†‡°])*(\s*\[[^\]]*\])?(\s*±.*)?")
_BLANK = {"", "–", "-", "—", "nan", "NaN", "None", "NA", "<NA>"}


def clean(source: str, prefix: str = "", ids: bool = False, links: dict[str, str] | None = None) -> str:
    """HTML written anew from an allow-list: tables, figures, SVG and plain markup stay; scripts, handlers, frames, styles
    and everything from elsewhere go. Tables get a frame that scrolls, with the caption outside it.

    Parameters
    ----------
    source : str
    prefix : str
        Put before ids that something in ``source`` refers to, so that two figures on a page do not share them.
    ids : bool
        Keep other ids as they are (headings).
    links : dict, optional
        Allow hyperlinks, which load nothing until followed; maps links to notebooks to their pages. Without it only the
        text of a link stays.
    """
    cleaner = _Cleaner(source, prefix, ids, links)
    cleaner.feed(source)
    cleaner.close()
    return cleaner.text()


class _Cleaner(HTMLParser):
    def __init__(self, source: str, prefix: str, ids: bool, links: dict[str, str] | None):
        super().__init__(convert_charrefs=True)
        self.prefix, self.ids, self.links = prefix, ids, links
        self.used = set(re.findall(r"url\(['\"]?#([^'\")]+)|href=['\"]#([^'\"]+)", source))
        self.used = {name for pair in self.used for name in pair if name}
        self.out: list[str] = []
        self.stack: list[str] = []
        self.skipped: list[str] = []
        self.tables: list[_Table] = []

    # events of the parser
    def handle_starttag(self, tag, attrs):
        self._open(tag, attrs, closed=False)

    def handle_startendtag(self, tag, attrs):
        self._open(tag, attrs, closed=True)

    def handle_data(self, data):
        if not self.skipped:
            self.out.append(html.escape(data, quote=False))
            if self.tables:
                self.tables[-1].text(data)

    def handle_endtag(self, tag):
        if self.skipped:
            if tag == self.skipped[-1]:
                self.skipped.pop()
        elif tag in self.stack:
            while True:
                last = self.stack.pop()
                self._close(last)
                if last == tag:
                    break

    def _open(self, tag, attrs, closed):
        if self.skipped or tag in _WITH_CONTENT:
            if not closed and (not self.skipped or tag == self.skipped[-1]) and tag in _WITH_CONTENT:
                self.skipped.append(tag)
            return
        if tag not in (_SVG if "svg" in self.stack or tag == "svg" else _HTML):
            return
        attributes = self._attributes(tag, attrs)
        if tag == "img" and " src=" not in attributes:
            return
        if tag == "table":
            self.tables.append(_Table(len(self.out)))
        elif self.tables and tag in ("thead", "tbody", "tfoot", "tr", "td", "th", "caption"):
            self.tables[-1].part(tag, len(self.out), dict(attrs))
        if closed and tag in _SVG:
            self.out.append(f"<{tag}{attributes}/>")
            return
        self.out.append(f"<{tag}{attributes}>")
        if tag not in _VOID:
            self.stack.append(tag)
            if closed:
                self._close(self.stack.pop())

    def _close(self, tag):
        self.out.append(f"</{tag}>")
        if tag == "caption" and self.tables:
            self.tables[-1].caption_end = len(self.out)
        elif tag == "table" and self.tables:
            self.tables.pop().frame(self.out, outermost=not self.tables)

    def text(self) -> str:
        """What is left, every element closed."""
        while self.stack:
            self._close(self.stack.pop())
        return "".join(self.out)

    def _attributes(self, tag: str, attrs) -> str:
        kept = []
        for name, given in attrs:
            value = self._value(tag, name, (given or "").strip())
            if value is not None:
                kept.append(f' {name}="{html.escape(value)}"')
        if tag == "a" and any(k.startswith(' href="http') for k in kept):
            kept.append(' rel="noopener noreferrer"')
        return "".join(kept)

    def _value(self, tag: str, name: str, value: str) -> str | None:
        """An attribute's value as it may stand, or ``None`` for an attribute that goes."""
        if name == "id":
            return self.prefix + value if value in self.used else (value if self.ids else None)
        if name in ("href", "xlink:href", "src"):
            return self._link(tag, name, value)
        if name == "style":
            return _style(value, self._own) or None
        if name in _ATTRIBUTES or name.startswith("aria-"):
            return None if _BAD_VALUE.search(value) and name not in ("title", "alt", "aria-label") else self._own(value)
        return None

    def _own(self, value: str) -> str:
        return re.sub(r"url\(\s*['\"]?#([^'\")]+)['\"]?\s*\)", rf"url(#{self.prefix}\1)", value)

    def _link(self, tag: str, name: str, value: str) -> str | None:
        if name == "src" or tag == "image":
            return value if tag in ("img", "image") and _DATA_IMAGE.fullmatch(value) else None
        if value.startswith("#"):
            return f"#{self.prefix}{value[1:]}"
        if tag != "a" or self.links is None:
            return None
        notebook = re.fullmatch(r"(?:\./)?([\w.+=-]+\.ipynb)(#.*)?", value)
        if notebook:
            return self.links.get(notebook[1])
        return value if re.match(r"https?://", value) else None


def _style(value: str, own: Callable[[str], str]) -> str:
    """The declarations of a style attribute that draw something and refer to nothing outside."""
    kept = []
    for declaration in value.split(";"):
        name, _, what = declaration.partition(":")
        if _STYLES.fullmatch(name.strip().lower()) and not _BAD_VALUE.search(what):
            kept.append(f"{name.strip().lower()}:{own(what.strip())}")
    return ";".join(kept)


class _Table:
    """What the sanitiser keeps in mind of a table under way: its caption and which columns hold numbers."""

    def __init__(self, start: int):
        self.start, self.section = start, "tbody"
        self.caption_start = self.caption_end = 0
        self.rows: list[list[dict]] = []
        self.cell: dict | None = None

    def part(self, tag: str, place: int, attributes: dict) -> None:
        if tag == "caption":
            self.caption_start, self.cell = place, None
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            span = attributes.get("colspan") or "1"
            self.cell = {
                "place": place, "tag": tag, "head": self.section == "thead", "text": "",
                "span": int(span) if span.isdigit() else 1,
            }  # fmt: skip
            if self.rows:
                self.rows[-1].append(self.cell)
        else:
            self.section = tag

    def text(self, data: str) -> None:
        if self.cell is not None:
            self.cell["text"] += data

    def frame(self, out: list[str], outermost: bool) -> None:
        """Mark columns of numbers; move the caption out of the frame that scrolls."""
        columns: dict[int, list[dict]] = {}
        for row in self.rows:
            place = sum(c["span"] for c in row)  # counted from the right: row headers may span rows
            for cell in row:
                place -= cell["span"]
                if cell["span"] == 1:
                    columns.setdefault(place, []).append(cell)
        for cells in columns.values():
            body = [c["text"].strip() for c in cells if not c["head"] and c["tag"] == "td"]
            body = [text for text in body if text not in _BLANK]
            if body and sum(bool(_NUMBER.fullmatch(t)) for t in body) > len(body) / 2:
                for cell in cells:
                    out[cell["place"]] = _with_class(out[cell["place"]], "n")
        if not outermost:
            return
        caption = ""
        if self.caption_end > self.caption_start > self.start:
            caption = "".join(out[self.caption_start + 1 : self.caption_end - 1])
            caption = re.sub(r"`([^`<>]+)`", r"<code>\1</code>", caption)  # captions written in markdown's way
            caption = f"<figcaption>{caption}</figcaption>"
            out[self.caption_start : self.caption_end] = [""] * (self.caption_end - self.caption_start)
        out[self.start] = f'<figure class="table">{caption}<div class="scroll" tabindex="0">{out[self.start]}'
        out.append("</div></figure>")


def _with_class(tag: str, name: str) -> str:
    if ' class="' in tag:
        return tag.replace(' class="', f' class="{name} ', 1)
    return f'{tag[:-1]} class="{name}">'


def table(
    head: tuple[str, ...], rows: list[tuple], caption: str = "", css: str = "xitt", foot: list[tuple] = ()
) -> str:
    """A table of plain values; a :class:`Raw` value is taken as HTML, everything else is escaped."""

    def line(cells: tuple, tag: str = "td") -> str:
        first = '<th scope="row"' if tag == "td" else f"<{tag}"
        tags = [first, *[f"<{tag}"] * (len(cells) - 1)]
        return f"<tr>{''.join(_cell(t, c) for t, c in zip(tags, cells, strict=True))}</tr>"

    parts = [f'<table class="{css}">', f"<caption>{caption}</caption>" if caption else ""]
    parts += ["<thead>", line(head, "th"), "</thead><tbody>", *map(line, rows), "</tbody>"]
    parts += ["<tfoot>", *map(line, foot), "</tfoot>"] if foot else []
    return clean("".join([*parts, "</table>"]))


class Raw(str):
    """A table cell that is HTML already; ``css`` is its class, ``value`` what it sorts by."""

    def __new__(cls, text: str, css: str = "", value: float | None = None):
        self = super().__new__(cls, text)
        self.css, self.value = css, value
        return self


def _cell(opening: str, value: Any) -> str:
    tag = opening[1:3]
    if not isinstance(value, Raw):
        return f"{opening}>{html.escape(_show(value))}</{tag}>"
    more = f' class="{value.css}"' if value.css else ""
    more += f' data-value="{value.value:.6g}"' if value.value is not None else ""
    return f"{opening}{more}>{value}</{tag}>"


def _show(value: Any, digits: int = 1) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.{digits}f}"
    return f"{int(value):,}" if isinstance(value, Real) and not isinstance(value, bool) else str(value)


# --- the front page ------------------------------------------------------------------------------------------------
def _front(study: Study, pages: list[Page]) -> dict[str, Any]:
    """Everything the front page shows; a part that cannot be made says why in its place."""
    from . import tables

    runs, made = tables.runs(study), _provenance(study)
    return {
        "study": study.params,
        "question": " ".join(d.question for d in study.designs if getattr(d, "question", "")),
        "facts": _facts(pages, runs, made),
        "matrix": _part(_matrix, study),
        "figure": _part(_figure, study),
        "languages": _part(_languages, study),
        "groups": _groups(pages),
        "parameters": _part(lambda s: _frame(tables.parameters(s), css="plain"), study),
        "data": _part(lambda s: _frame(tables.data_used(s)), study),
        "runs": _frame(runs, digits={"best dev": 1}) if len(runs) else "",
        "made": table(("what", "value"), list(made.items()), css="plain") if made else "",
        "written": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": store.commit(str(study.root)),
        "failed": [p for p in pages if p.error],
        "missing": [p for p in pages if p.cells is None],
    }


def _part(make: Callable[[Study], str], study: Study) -> str:
    # The report is what someone opens when something went wrong: one table that cannot be made, whatever the reason, must
    # not take the rest with it.
    try:
        return make(study)
    except Exception as error:
        text = html.escape(f"{type(error).__name__}: {error}".replace(f"{study.root}/", ""))
        return f'<div class="error"><p>This part could not be made. {text}</p></div>'


def _facts(pages: list[Page], runs: pd.DataFrame, made: dict[str, str]) -> list[tuple[str, str]]:
    there = sum(p.cells is not None and not p.error for p in pages)
    facts = [("notebooks", f"{there} of {len(pages)}")]
    if len(runs):
        facts += [("runs", f"{len(runs)}"), ("compute time", clock(float(runs["seconds"].sum())))]
        if "tokens" in runs and runs["tokens"].notna().any():
            facts.append(("tokens trained on", f"{runs['tokens'].sum() / 1e6:,.1f} M"))
    if made.get("device"):
        facts.append(("device", made["device"]))
    return facts


def _provenance(study: Study) -> dict[str, str]:
    """Where the numbers come from: every value found in the runs' records, the most frequent first."""
    seen: dict[str, Counter] = {}
    finished = []
    for path in sorted((study.out / "runs").glob("0*/record.json")):
        origin = (store.read_json(path) or {}).get("provenance") or {}
        flat = {**origin, "versions": ", ".join(f"{k} {v}" for k, v in origin.get("versions", {}).items())}
        finished += [flat.pop("finished")] if flat.get("finished") else []
        for key, value in flat.items():
            if value not in ("", None):
                seen.setdefault(key, Counter())[str(value)] += 1
    made = {key: "; ".join(value for value, _ in counter.most_common()) for key, counter in seen.items()}
    if finished:
        made["runs finished"] = f"{min(finished)} to {max(finished)}"
    return made


def _frame(frame: pd.DataFrame, caption: str = "", css: str = "xitt", digits: dict[str, int] | None = None) -> str:
    digits = {"tokens/s": 0, "steps": 0, "tokens": 0, **(digits or {})}
    rows = [
        tuple(_show(v, digits.get(c, 1)) for c, v in zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False)
    ]
    return table(tuple(map(str, frame.columns)), rows, caption, css)


def _matrix(study: Study) -> str:
    """The main table: scores of ``none``, changes of every other row with interval, star and mark of chance."""
    from . import results, tables, tasks

    cells = tables.transfer(study)
    if not len(cells):
        return ""
    by_place = {(r["intermediate"], r["target"]): r for r in cells.to_dict("records")}
    targets = [t for t in study.targets if any((i, t) in by_place for i in study.intermediates)]
    rows = [
        (Raw(f"<code>{html.escape(i)}</code>"), *(_matrix_cell(by_place.get((i, t))) for t in targets))
        for i in study.intermediates
        if any((i, t) in by_place for t in targets)
    ]
    head = ("intermediate", *(Raw(f"{_title(t)}<br><small>{tasks.TASKS[t].metrics[0]}</small>") for t in targets))
    floor = results.chance_levels(study.results())
    chance = [float(floor.get((t, "avg"), math.nan)) for t in targets]
    foot = [("chance", *map(_one_digit, chance))] if not all(map(math.isnan, chance)) else []
    how = sorted({r["how"] for r in by_place.values() if r["how"]})
    caption = (
        "<b>Table 1.</b> Transfer from intermediate tasks (rows) to target tasks (columns), mean over languages. "
        "Row <code>none</code>: score in percent under the metric named below the target. Other rows: change against "
        "<code>none</code> in points"
    )
    if how:
        caption += f", with its 95 % interval ({html.escape('; '.join(how))})"
    caption += ". * marks a change with <i>q</i> &lt; 0.05 (Benjamini–Hochberg over the table)."
    if "examples only" in how:
        caption += (
            " <em>Examples only</em>: the interval resamples test examples; it compares these trained models and says "
            "nothing about training again with another seed."
        )
    if cells["at_chance"].any():
        caption += " ° The 95 % interval of the score reaches chance: nothing can be read from such a cell."
    return table(head, rows, caption, "xitt matrix", foot)


def _matrix_cell(cell: dict | None) -> Raw | str:
    if cell is None:
        return "–"
    mark = '<span class="mark" title="at chance">°</span>' if cell["at_chance"] else ""
    if cell["intermediate"] == "none":
        return Raw(f"{cell['value']:.1f}{mark}", value=cell["value"])
    if cell["how"] == "":
        return Raw(f"{cell['value']:.1f}{mark} <small>score</small>", "n", cell["value"])
    sure = cell.get("q", math.nan) < 0.05
    text = f"{_signed(cell['change'])}{'*' if sure else ''}{mark}"
    text += f" <small>[{_signed(cell['low'])}, {_signed(cell['high'])}]</small>"
    css = f"n {('up' if cell['change'] > 0 else 'down') if sure else ''}".strip()
    return Raw(text, css, cell["change"])


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.1f}".replace("-", "−")


def _title(target: str) -> str:
    from . import tasks

    return html.escape(tasks.TASKS[target].title)


def _figure(study: Study) -> str:
    from . import figures, tables

    cells = tables.transfer(study)
    if not len(cells) or not (cells["intermediate"] != "none").any():
        return ""
    return clean(figures.transfer_map(study)._repr_mimebundle_()["text/html"], "f1-")


def _languages(study: Study) -> str:
    """One table per target: rows intermediates, columns its languages, chance at the foot."""
    from . import results, tables, tasks

    tidy = study.results()
    if not len(tidy):
        return ""
    wide, floor = tables.by_language(study), results.chance_levels(tidy)
    parts = []
    for target in [t for t in study.targets if t in wide.index.get_level_values(0)]:
        part = wide.loc[target].dropna(axis=1, how="all")
        rows = [(Raw(f"<code>{html.escape(i)}</code>"), *map(_one_digit, row)) for i, *row in part.itertuples()]
        chance = [float(floor.get((target, x), math.nan)) for x in part.columns]
        foot = [("chance", *map(_one_digit, chance))] if not all(map(math.isnan, chance)) else []
        caption = f"<b>{_title(target)}</b>, {tasks.TASKS[target].metrics[0]} in percent"
        parts.append(table(("intermediate", *part.columns), rows, caption, foot=foot))
    return "".join(parts)


def _one_digit(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"


def _groups(pages: list[Page]) -> list[dict[str, Any]]:
    """Pages by phase in reading order, with the question that a phase's notebook asks."""
    groups: dict[str, dict[str, Any]] = {}
    for page in pages:
        group = groups.setdefault(page.phase, {"name": page.phase, "title": "", "pages": []})
        group["pages"].append(page)
        if page.cells is not None and not group["title"]:
            group["title"] = page.title
    return list(groups.values())


# --- templates -----------------------------------------------------------------------------------------------------
def _template_folder() -> Path:
    return Path(__file__).parent / "template"


@cache
def _template(name: str):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_template_folder()), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)
