"""The report: complete, self-contained, and safe against what notebooks print."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from nbformat import v4

import xitt
from xitt import graph, phases, report, results, show, store, tables
from xitt.errors import ParameterError
from xitt.report import pages, sanitise, summary

EVIL = (
    "<table class='dataframe'><thead><tr><th></th><th>n</th><th>text</th></tr></thead>"
    "<tbody><tr><th>0</th><td>1.5</td><td onclick='steal()'>&lt;script&gt;x&lt;/script&gt;</td></tr></tbody></table>"
    "<script>steal()</script><iframe src='https://evil.example/'></iframe><img src=x onerror=steal()>"
    "<style>@import url(https://evil.example/a.css)</style><p style='background:url(//evil.example/b.png);color:red'>kept</p>"
    "<a href='javascript:steal()'>link</a></div></main><b>open"
)
PLOT = (
    '<figure class="plot"><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    '<metadata><a href="http://example.org/">x</a></metadata><defs><style>*{color:red}</style><clipPath id="c1"><rect x="0"/></clipPath></defs>'
    '<g id="patch_1" clip-path="url(#c1)" onload="steal()"><path d="M 0 0" style="fill: #123456; stroke: url(http://evil.example)"/>'
    '<use xlink:href="#c1"/><use xlink:href="https://evil.example/x.svg#y"/></g>'
    "<foreignObject><p>steal</p></foreignObject></svg><figcaption>A plot</figcaption></figure>"
)


@pytest.fixture
def study(tmp_path, monkeypatch, root):
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path))
    # the sizes of the generated data sets take seconds and are not what is tested here
    monkeypatch.setattr(tables, "data_used", lambda study: pd.DataFrame({"task": ["MNLI"], "used": [3000]}))
    return xitt.load_study(root / "params" / "pocket.yaml")


def executed(study, name: str, *cells) -> Path:
    """Store an executed notebook for a job."""
    job = next(j for j in graph.jobs(study) if j.name == name)
    path = study.out / "notebooks" / job.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=list(cells), metadata={"papermill": {"duration": 12.0}}), path)
    return path


def code(source: str, *outputs, tags: tuple[str, ...] = ()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)}, execution_count=1)


def shown(**data):
    return v4.new_output("display_data", data={k.replace("_", "/", 1): v for k, v in data.items()})


def printed(text: str):
    return v4.new_output("stream", name="stdout", text=text)


class Seen(HTMLParser):
    """Tags, ids and links of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.links, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.links.append((tag, value))


def assert_only_our_script(text: str) -> None:
    """One script, inside, allowed by its hash; the policy allows no other, and nothing from elsewhere."""
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.S | re.I)
    assert len(scripts) == text.lower().count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert text.index("Content-Security-Policy") < text.index("<script")


def page(study, name: str) -> str:
    report.write(study)
    return (study.out / "report" / f"{name}.html").read_text()


def test_empty_study(study):
    index = report.write(study)
    text = index.read_text()
    assert index == study.out / "report" / "index.html"
    assert "No scores yet" in text
    assert text.count("not run yet") == len(graph.jobs(study))
    assert "could not be made" not in text
    assert sorted(p.name for p in index.parent.iterdir()) == ["assets", "index.html"]


def test_every_link_leads_somewhere_and_nothing_outside(study):
    executed(
        study,
        "00",
        v4.new_markdown_cell("# Start\n\n[next](02_target.ipynb) [gone](99_x.ipynb) ![x](http://evil.example/x.png)"),
    )
    executed(study, "01.mnli.s0", code("1", shown(text_html=EVIL), shown(text_html=PLOT)))
    executed(
        study,
        "02.none.s0",
        v4.new_markdown_cell("# Two\n\n## A\n\n## B\n\n## A"),
        code("2", shown(text_html=PLOT), shown(text_html=PLOT)),
    )
    (study.out / "results.csv").write_text("x\n")
    report.write(study)
    folder = study.out / "report"
    pages = sorted(folder.glob("*.html"))
    assert [p.name for p in pages] == ["00.html", "01.mnli.s0.html", "02.none.s0.html", "index.html"]
    for path in pages:
        seen = Seen(path.read_text())
        assert len(seen.ids) == len(set(seen.ids)), path
        assert not {"iframe", "object", "style", "foreignobject"} & set(seen.tags)
        assert_only_our_script(path.read_text())
        assert not [a for a, _ in seen.attributes if a.startswith("on")]
        assert "evil.example" not in path.read_text()
        assert "http://" not in path.read_text()
        for _, link in seen.links:
            file, _, part = unquote(link).partition("#")
            assert not re.match(r"\w+:|//", link), link
            assert not file or (folder / file).is_file(), link
            assert not part or part in (seen.ids if not file else Seen((folder / file).read_text()).ids), link
    assert 'href="02.none.s0.html">next' in (folder / "00.html").read_text()
    assert "http" not in (folder / "assets" / "style.css").read_text() + report.head()["script"]
    assert len(report.head()["script"]) < 12_000
    assert (folder / "assets" / "style.css").stat().st_size < 20_000


def test_outputs_are_taken_apart(study):
    executed(
        study,
        "00",
        code(
            "f()",
            shown(text_html=EVIL),
            shown(text_html=PLOT),
            shown(text_plain="<i>plain</i>"),
            printed("<u>\x1b[31mred"),
        ),
    )
    text = page(study, "00")
    assert "steal" not in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert "&lt;i&gt;plain&lt;/i&gt;" in text
    assert "&lt;u&gt;red" in text
    assert '<p style="color:red">kept</p>' in text
    assert re.search(r'<clippath id="(o0-1-c1)"', text)
    assert 'clip-path="url(#o0-1-c1)"' in text
    assert 'xlink:href="#o0-1-c1"' in text
    assert "patch_1" not in text  # ids that nothing refers to
    assert text.count("<main") == text.count("</main>") == 1
    assert text.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    "source",
    [
        "<scr<script>ipt>steal()</scr</script>ipt>",
        "<svg><style><img src=x onerror=steal()></style></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=steal()>",
        "<noscript><p title='</noscript><img src=x onerror=steal()>'>",
        "<a href='jAvAsCrIpT:steal()'>x</a>",
        "<svg><a xlink:href='javascript:steal()'><text>x</text></a></svg>",
        "<svg><use href='data:image/svg+xml,<svg onload=steal()>'/></svg>",
        "<p style='width:expression(steal())'>",
        "<p style='color:\\75rl(http://evil.example)'>",
        "<!--><img src=x onerror=steal()>-->",
        "<img src='https://evil.example/x.png'>",
        "<form action='https://evil.example/'><input formaction='https://evil.example/'>",
        "<meta http-equiv=refresh content='0;url=https://evil.example/'><base href='https://evil.example/'>",
    ],
)
def test_cleaning(source):
    seen = Seen(sanitise.clean(source))
    assert not {"script", "style", "img", "math", "form", "input", "meta", "base", "iframe", "noscript"} & set(
        seen.tags
    )
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("action", "formaction")]
    assert not [value for _, value in seen.attributes if value and re.search("script:|evil|expression|url", value)]


def test_tables_scroll_and_numbers_align():
    source = "<table class='xitt'><caption>Of `avg`</caption><thead><tr><th>who</th><th>much</th></tr></thead>"
    source += "<tbody><tr><th>a</th><td>+2.1* [1.0, 3.2]</td></tr><tr><th>b</th><td></td></tr></tbody></table>"
    text = sanitise.clean(source)
    assert text.startswith('<figure class="table"><figcaption>Of <code>avg</code></figcaption><div class="scroll"')
    assert text.endswith("</table></div></figure>")
    assert "<caption" not in text
    assert '<th class="n">much</th>' in text
    assert '<td class="n">+2.1* <small>[1.0, 3.2]</small></td>' in text
    assert "<th>who</th>" in text


def test_parameters_become_a_table(study):
    executed(
        study,
        "01.mnli.s0",
        code('study: str = "params/pocket.yaml"  # study file\nseed: int = 0  # seed of <head>\nrate: float = 1e-5', tags=("parameters",)),
        code(f'# Parameters\nstudy = "{study.path}"\nseed = 3\n', tags=("injected-parameters",)),
        code("x = 1  # hidden code"),
    )  # fmt: skip
    text = page(study, "01.mnli.s0")
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th><td.*?>(.*?)</td><td.*?>(.*?)</td></tr>", text)
    assert rows == [
        ("study", "params/pocket.yaml", "study file"),
        ("seed", "3", "seed of &lt;head&gt;"),
        ("rate", "1e-5", ""),
    ]
    assert "# Parameters" not in text
    assert str(study.root) not in text
    assert re.search(r'<details class="code"><summary>code</summary>.*hidden code', text, re.S)


def test_logs_fold_and_findings_read_as_text(study):
    executed(study, "00", code("a()", printed("step 1\rstep 2\n"), printed("\n".join(f"line {i}" for i in range(13)))),
             code("b()", printed("line\n" * 3)), code("c()", printed("Every target is 20 points or more above chance in English.\n")))  # fmt: skip
    text = page(study, "00")
    assert "step 1" not in text
    assert '<details class="log"><summary>log <small>14 lines</small></summary>' in text
    assert '<pre class="log">line\nline\nline</pre>' in text
    assert '<p class="finding">Every target' in text


def test_the_front_page_quotes_the_ledger(study):
    said = "Of 26 claims and questions: 3 agrees, 23 not <tested>. None can be supported here."
    executed(
        study,
        "07",
        v4.new_markdown_cell("# Claims"),
        code("x", printed("read 3 files\n")),
        code("y", printed(said + "\nMore of the same kind is said here.\n")),
    )
    text = report.write(study).read_text()
    assert (
        '<li>Of 26 claims and questions: 3 agrees, 23 not &lt;tested&gt;. None can be supported here. <a href="07.html">The claims</a></li>'
        in text
    )
    assert "More of the same" not in text


def test_failed_and_missing_notebooks_are_shown(study):
    broken = v4.new_output(
        "error", ename="DataError", evalue="<b>no</b> data", traceback=["\x1b[31mTrace<back>\x1b[0m"]
    )
    executed(study, "02.none.s0", v4.new_markdown_cell("# Two"), code("fail()", broken))
    dead = study.out / "jobs" / "01.mnli.s0.failed.json"
    dead.parent.mkdir(parents=True, exist_ok=True)
    dead.write_text(json.dumps({"error": "01_intermediate.ipynb: DeadKernelError: Kernel <died>", "attempts": 3}))
    text = page(study, "02.none.s0")
    assert "This notebook stopped with an error" in text
    assert "&lt;b&gt;no&lt;/b&gt; data" in text
    assert "Trace&lt;back&gt;" in text
    front = (study.out / "report" / "index.html").read_text()
    assert "failed: DataError" in front
    assert "failed: 01_intermediate.ipynb: DeadKernelError: Kernel &lt;died&gt;" in front
    assert "2 notebooks failed" in front


def test_navigation_in_reading_order(study):
    for name in ("04", "02.none.s0", "00"):
        executed(study, name, v4.new_markdown_cell(f"# Page {name}\n\n## One\n\n## Two"))
    text = page(study, "02.none.s0")
    assert re.search(r'rel="prev" href="00.html"', text)
    assert re.search(r'rel="next" href="04.html"', text)
    assert '<nav class="toc"' in text
    assert '<li class="l2"><a href="#one">One</a></li>' in text


def test_front_page_with_results(study, monkeypatch):
    monkeypatch.setattr(tables, "transfer", lambda *_: pd.DataFrame([
        {"intermediate": "none", "target": "xnli", "group": "none", "value": 61.0, "change": 0.0, "low": float("nan"), "high": float("nan"),
         "p": float("nan"), "q": float("nan"), "how": "", "at_chance": False},
        {"intermediate": "mnli", "target": "xnli", "group": "single task", "value": 63.1, "change": 2.1, "low": 1.0, "high": 3.2, "p": 0.01, "q": 0.02,
         "how": "examples only", "at_chance": True},
    ]))  # fmt: skip
    tidy = pd.DataFrame(
        [(i, "xnli", x, "test", 0, "accuracy", v, 300) for i, v in (("none", 61.0), ("mnli", 63.1), ("baseline:majority", 33.4))
         for x in ("en", "avg")],
        columns=list(results.COLUMNS),
    )  # fmt: skip
    monkeypatch.setattr(type(study), "results", lambda self: tidy)
    text = report.write(study).read_text()
    assert "could not be made" not in text
    assert ">61.0</td>" in text
    assert "+2.1*<span" in text
    assert "[+1.0, +3.2]" in text
    assert "Examples only" in text
    assert "reaches chance" in text
    assert text.count("33.4") >= 2  # chance in the matrix and per language
    assert "<svg" in text
    assert '<figure class="plot">' in text


def test_the_front_page_says_where_multi_task_training_is_capped(study, monkeypatch):
    """In pocket.yaml: 3 epochs of 32 examples a step are 375 + 255 + 189 = 819 steps, and it stops after 500."""
    parts = {"mnli": {"units": 4000}, "squad_v1": {"units": 2700}, "hellaswag": {"units": 2000}}
    training = {"steps": 500, "parts": parts}
    monkeypatch.setattr(phases, "record_of", lambda study, recipe, seed: {"training": training})
    assert not any("multi-task training" in x for x in summary.cannot(study, [], pd.DataFrame()))  # no run yet
    run = study.out / "runs" / "01.multitask.s0-0"
    run.mkdir(parents=True)
    (run / "record.json").touch()
    assert any("multitask after 500 of 819" in x for x in summary.cannot(study, [], pd.DataFrame()))
    training["steps"] = 819
    assert not any("multi-task training" in x for x in summary.cannot(study, [], pd.DataFrame()))
    monkeypatch.setattr(phases, "record_of", lambda study, recipe, seed: None)
    assert not any("multi-task training" in x for x in summary.cannot(study, [], pd.DataFrame()))


def test_a_part_that_fails_leaves_the_rest(study, monkeypatch):
    def fail(study):
        raise RuntimeError("no <table>")

    monkeypatch.setattr(tables, "data_used", fail)
    text = report.write(study).read_text()
    assert "RuntimeError: no &lt;table&gt;" in text
    assert "results.csv" in text


def test_written_again_in_place(study):
    path = executed(study, "00", v4.new_markdown_cell("# One"))
    report.write(study)
    path.unlink()
    report.write(study)
    assert not (study.out / "report" / "00.html").exists()
    assert [p.name for p in study.out.iterdir() if p.name.startswith(".")] == []


def test_publish(study, tmp_path, monkeypatch):
    vars(study)["root"] = tmp_path / "project"  # a study is frozen to everybody else
    with pytest.raises(ParameterError, match="is not there"):
        report.publish(study)
    report.write(study)
    (study.out / "results.csv").write_text("intermediate\n")
    monkeypatch.setattr(store, "commit", lambda root: "0123456789ab+changes")
    with pytest.raises(ParameterError, match="uncommitted"):
        report.publish(study)
    monkeypatch.setattr(store, "commit", lambda root: "0123456789ab")
    old = study.root / "docs" / "pocket" / "report" / "old.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    folder = report.publish(study)
    assert folder == study.root / "docs" / "pocket"
    assert sorted(p.name for p in folder.iterdir()) == ["report", "results.csv"]
    assert not old.exists()
    assert (folder / "report" / "assets" / "style.css").is_file()


def test_pages_of_hundreds_of_runs_are_not_published(study, tmp_path, monkeypatch):
    vars(study)["root"] = tmp_path / "project"
    monkeypatch.setattr(store, "commit", lambda root: "0123456789ab")
    for name in ("00", "02.none.s0", "04"):
        executed(study, name, v4.new_markdown_cell(f"# Notebook {name}"))
    (study.out / "results.csv").write_text("intermediate\n")
    report.write(study)
    runs = sum(p.of_runs for p in pages.collect(study))
    monkeypatch.setattr(report, "PUBLISHED_RUNS", runs)
    assert (report.publish(study) / "report" / "02.none.s0.html").is_file()
    monkeypatch.setattr(report, "PUBLISHED_RUNS", runs - 1)
    site = report.publish(study) / "report"
    assert sorted(p.name for p in site.glob("*.html")) == ["00.html", "04.html", "index.html"]
    front = (site / "index.html").read_text()
    assert "1 notebook of single runs. This copy is without their pages" in front
    assert f"xitt report {study.path.name}" in front
    for path in site.glob("*.html"):
        links = re.findall(r'href="([^"#:]+)["#]', path.read_text())
        assert links
        assert [x for x in links if not (site / x).exists()] == []
    assert (study.out / "report" / "02.none.s0.html").is_file()


def test_text_that_acts_on_its_surroundings_is_written_out(study):
    turned = "abc\u202edef\u2066x"
    path = executed(
        study,
        "00",
        v4.new_markdown_cell(f"# One {turned}"),
        code("a()", shown(text_html=f"<table><tr><td title='{turned}'>{turned}</td></tr></table>"), printed(f"{turned}\x00\x1b[2J")),
        code("b()", shown(text_plain=turned)),
    )  # fmt: skip
    text = path.read_text().replace("abc", "abc\\ud800")  # half a surrogate pair, as JSON may hold it
    path.write_bytes(text.encode().replace(b"def", b"de\xff\xfe"))  # bytes that are no UTF-8
    text = page(study, "00")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", text)
    assert text.count("⟨U+202E⟩") >= 4
    assert "\ufffd" in text
    assert "could not be made" not in (study.out / "report" / "index.html").read_text()


def test_a_notebook_that_cannot_be_read_leaves_the_rest(study):
    executed(study, "00", v4.new_markdown_cell("# One"))
    executed(study, "04", v4.new_markdown_cell("# Two")).write_text('{"cells": [')
    index = report.write(study).read_text()
    assert "04.ipynb cannot be read" in index
    assert (study.out / "report" / "00.html").is_file()


def test_intervals_stand_below_their_value():
    frame = pd.DataFrame(
        {"task": ["a<b", "c"], "gap": [1.25, 3.0], "gap low": [0.5, float("nan")], "gap high": [2.0, 4.0]}
    )
    text = sanitise.clean(show.show(frame, "x").html())
    assert list(show.with_intervals(frame)) == ["task", "gap"]
    assert 'data-value="1.25">1.2 <small>[0.5, 2.0]</small></td>' in text
    assert ">3.0</td>" in text
    assert "a&lt;b" in text
    text = sanitise.clean("<table><tr><td>-1.6* [-2.6, -0.5]</td><td>-3</td><td>-x</td></tr></table>")
    assert '<td class="n">−1.6* <small>[−2.6, −0.5]</small></td><td class="n">−3</td><td>-x</td>' in text


# --- the script, in a browser ------------------------------------------------------------------------------------------
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TABLE = """<table class="xitt"><caption>A <b>table</b> &amp; more</caption><thead><tr><th>who</th><th>score<br><small>f1, %</small></th><th>change</th><th>qa</th></tr></thead><tbody>
<tr><th>beta_1</th><td>9.5°</td><td>-0.5 [-1.0, +0.1]</td><td>16.3/11.0</td></tr><tr><th>=cmd()</th><td>10.0</td><td>+2.1* [+1.0, +3.2]</td><td>+1.5/-0.4*</td></tr>
<tr><th>@a, "b"</th><td>-3.0</td><td></td><td></td></tr></tbody></table>"""
DRIVER = """
document.addEventListener("DOMContentLoaded", function () {
  var rows = function () { return Array.from(document.querySelectorAll("tbody th"), function (x) { return x.textContent; }).join("|"); };
  var out = {}, heads = document.querySelectorAll("thead th"), copied = [];
  Object.defineProperty(navigator, "clipboard", { value: undefined });  // as where a browser closes it to pages
  document.execCommand = function () { copied.push(document.activeElement.value); return copied.length < 3; };
  var press = function (i) { heads[i].querySelector("button").click(); return rows() + " " + heads[i].getAttribute("aria-sort"); };
  out.sorted = [press(1), press(1), press(1), press(2), press(0)];
  out.focusable = heads[1].querySelector("button").tabIndex === 0;
  press(0); press(0);
  document.querySelectorAll(".copy button").forEach(function (b) { b.click(); });
  out.leftover = document.querySelectorAll("textarea").length;
  document.querySelector(".copy button").click();
  out.byHand = document.querySelector("textarea.by-hand").value;
  out.copied = copied;
  out.injected = window.injected === undefined;
  var pre = document.createElement("pre");
  pre.id = "found";
  pre.textContent = encodeURIComponent(JSON.stringify(out));
  document.body.appendChild(pre);
});
"""


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """What a browser makes of a page: our script under its policy, plus one that presses the buttons (allowed by its own hash)."""
    if BROWSER is None:
        pytest.skip("no Chromium here")
    digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    head = report.head()
    policy = head["policy"].replace("script-src ", f"script-src 'sha256-{digest}' ")
    page = tmp_path_factory.mktemp("browser") / "page.html"
    page.write_text(
        f'<!doctype html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<script>{head['script']}</script><script>{DRIVER}</script></head><body><script>window.injected = 1</script>"
        f"<p onclick='x'>p</p>{sanitise.clean(TABLE)}</body></html>",
        encoding="utf-8",
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={page.parent / 'profile'}", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(unquote(found[1]))


def test_a_browser_sorts_by_every_column(driven):
    a, b, at = "beta_1", "=cmd()", '@a, "b"'
    assert driven["sorted"] == [
        f"{b}|{a}|{at} descending", f"{at}|{a}|{b} ascending", f"{a}|{b}|{at} null", f"{b}|{a}|{at} descending",
        f"{at}|{b}|{a} ascending",
    ]  # fmt: skip
    assert driven["focusable"]  # a button: the keyboard reaches and presses it


def test_a_browser_copies_harmless_csv_with_units_and_intervals(driven):
    assert driven["leftover"] == 0
    assert driven["byHand"] == driven["copied"][0].replace("\r\n", "\n")  # shown where the clipboard refuses
    lines = driven["copied"][0].splitlines()
    assert (
        lines[0]
        == 'who,"score f1, %","score f1, % mark",change,change low,change high,change mark,qa,qa second,qa mark'
    )
    assert lines[1:] == [
        "beta_1,9.5,°,-0.5,-1.0,0.1,,16.3,11.0,",
        "'=cmd(),10.0,,2.1,1.0,3.2,*,1.5,-0.4,*",
        '"\'@a, ""b""",-3.0,,,,,,,,',
    ]


def test_a_browser_copies_latex(driven):
    text = driven["copied"][1]
    assert text.startswith(
        "% A table & more\n\\begin{tabular}{lrrr}\n  \\hline\n  who & score f1, \\% & change & qa \\\\\n"
    )
    assert "  beta\\_1 & 9.5$^{\\circ}$ & $-$0.5 {[}$-$1.0, +0.1{]} & 16.3/11.0 \\\\\n" in text
    assert text.endswith("  \\hline\n\\end{tabular}\n")


def test_a_browser_runs_no_other_script(driven):
    assert driven["injected"]
