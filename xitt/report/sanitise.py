"""The sanitiser: HTML from notebooks written anew from an allow-list; markdown and code as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser

import mistune
import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer


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
_NUMBER = re.compile(r"[+\-−]?[\d,.]*\d(/[+\-−]?[\d,.]*\d)?\s*%?(\s*[*†‡°])*(\s*\[[^\]]*\])?(\s*±.*)?")
_INTERVAL = re.compile(r"([+\-−]?[\d,.]*\d\s*%?[*†‡°\s]*?)\s*(\[[+\-−\d.,–\s]+\])")
DENSE = 9  # tables of more columns are set tighter
_BLANK = {"", "–", "-", "—", "nan", "NaN", "None", "NA", "<NA>"}


# What turns the direction of writing over its own end could make a page say what it does not; control characters and halves of
# surrogate pairs cannot be written at all.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def visible(text: str) -> str:
    """Text with the characters that act on what stands around them written out: ``U+202E`` in angle brackets."""
    return _UNWRITABLE.sub("\ufffd", _TURNING.sub(lambda m: f"\u27e8U+{ord(m[0]):04X}\u27e9", text))


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
            data = visible(data)
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
            value = self._value(tag, name, visible(given or "").strip())
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
            for cell in cells:
                self._number(out, cell)
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
        wide = " wide" if max(map(len, self.rows), default=0) > DENSE else ""
        label = html.escape(re.sub(r"<[^>]+>", "", caption)[:120]) or "table"
        out[self.start] = (
            f'<figure class="table{wide}">{caption}<div class="scroll" tabindex="0" role="region" aria-label="{label}">{out[self.start]}'
        )
        out.append("</div></figure>")

    def _number(self, out: list[str], cell: dict) -> None:
        """A number in a cell of its own gets a true minus, and its interval a line of its own in small type."""
        text, place = cell["text"], cell["place"] + 1
        if cell["head"] or cell["tag"] != "td" or place >= len(out) or out[place] != text:
            return
        if match := _INTERVAL.fullmatch(text.strip()):
            out[place] = f"{match[1]} <small>{match[2]}</small>".replace("-", "−")
        elif _NUMBER.fullmatch(text.strip()):
            out[place] = text.replace("-", "−")


def _with_class(tag: str, name: str) -> str:
    if ' class="' in tag:
        return tag.replace(' class="', f' class="{name} ', 1)
    return f'{tag[:-1]} class="{name}">'


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
    render = mistune.create_markdown(renderer=_Renderer(headings), plugins=["table", "strikethrough"])
    return clean(render(source), ids=headings is not None, links=sources or {})


class _Renderer(mistune.HTMLRenderer):
    def __init__(self, headings: list | None):
        super().__init__(escape=False)  # what it lets through is cleaned afterwards
        self.headings = headings

    def heading(self, text: str, level: int, **attributes) -> str:
        if self.headings is None:
            return f"<h{level}>{text}</h{level}>\n"
        plain = visible(html.unescape(re.sub(r"<[^>]+>", "", text)))
        slug = re.sub(r"\W+", "-", plain.lower()).strip("-") or "section"
        taken = [h[1] for h in self.headings]
        slug = next(s for s in (slug, *(f"{slug}-{i}" for i in range(2, 999))) if s not in taken)
        self.headings.append((level, slug, plain))
        return f'<h{level} id="{html.escape(slug)}">{text}</h{level}>\n'

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre>{highlight(code) if info == 'python' else html.escape(code)}</pre>\n"


@cache
def highlight(source: str) -> str:
    """Python with a span of a short class name per token, coloured by the style sheet."""
    return pygments.highlight(source, PythonLexer(stripnl=True), HtmlFormatter(nowrap=True)).rstrip()
