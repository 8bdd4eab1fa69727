"""Text that means harm, as data and as the title and labels of a task: shown as text in HTML, CSV, LaTeX and Markdown, and nothing more."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from nbformat import v4

from tests import tiny
from xitt import chance, export, graph, report, results, show, tables
from xitt.errors import DataError
from xitt.parameters import merge
from xitt.study import load_study

ROOT = Path(__file__).resolve().parent.parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARK = "document.title='taken';document.documentElement.dataset.taken=1"
SCRIPTS = (
    f"<script>{MARK}</script>", f"<img src=x onerror=\"{MARK}\">", f"<svg onload=\"{MARK}\"><script>{MARK}</script></svg>",
    f"<iframe srcdoc=\"<script>parent.{MARK}</script>\"></iframe>", f"</td></table></main><script>{MARK}</script>",
    f"<details open ontoggle=\"{MARK}\">x</details>", "<style>*{display:none}</style>", "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>", "<plaintext>",
)  # fmt: skip
TURNED = "abc\u202egnp.exe\u2066x\u200f"
FORMULAS = (
    "=cmd()",
    "+1+1",
    "-1+2",
    "@SUM(A1)",
    "\t=1",
    '=HYPERLINK("http://evil.example")',
    " =1+1",
    "＝1+1",
    "-2-3",
    "\r=1",
)
LONG = "word " * 200_000  # 1 MB


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study with a task of one's own, everything about it hostile."""
    file = tiny.make(tmp_path)
    texts = [*SCRIPTS, TURNED, *FORMULAS, LONG, "nul \0 and \x1b[2J"]
    rows = [
        {"first": t, "second": "&lt;b&gt;", "label": ("=yes()", "<script>no</script>")[i % 2]}
        for i, t in enumerate(texts)
    ]
    (file.parent / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with (file.parent / "b.csv").open("w", newline="", encoding="utf-8") as out:
        plain = [{k: re.sub("[\0\r]", "", v) for k, v in r.items()} for r in rows]
        writer = csv.DictWriter(out, ["first", "second", "label"])
        writer.writeheader()
        writer.writerows(plain)
    own = {
        "kind": "classify", "title": f"<script>{MARK}</script> & {TURNED} \\input{{x}} =cmd() | a\nb", "files": {"train": "a.jsonl", "test": "b.csv"},
        "columns": {"first": "first", "second": "second", "label": "label"}, "labels": ["=yes()", "<script>no</script>"],
        "roles": ["intermediate", "target"], "licence": f"<img src=x onerror=\"{MARK}\">",
    }  # fmt: skip
    changes = {
        "tasks": {"hostile": own}, "targets": ["udpos", "hostile"], "intermediates": ["none", "hostile"],
        "title": f"study <script>{MARK}</script>", "note": f"{TURNED}<img src=x onerror=\"{MARK}\">",
    }  # fmt: skip
    file.write_text(yaml.safe_dump(merge(yaml.safe_load(tiny.TINY), changes), allow_unicode=True))
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    return load_study(file)


def executed(study, name: str, *cells) -> None:
    job = next(j for j in graph.jobs(study) if j.name == name)
    path = study.out / "notebooks" / job.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nbformat.writes(v4.new_notebook(cells=list(cells))).encode("utf-8", "backslashreplace"))


def shown(html: str, text: str = ""):
    return v4.new_output("display_data", data={"text/html": html, "text/plain": text or html})


def site(study) -> list[Path]:
    """The report of notebooks that show all of it, as tables and as raw HTML that a library might have made."""
    tidy = study.evaluate("none", "hostile")
    examples = tables.examples(study)
    frame = pd.DataFrame({"text": [*SCRIPTS, TURNED, *FORMULAS, LONG], "n": 1.5})
    executed(
        study, "00", v4.new_markdown_cell(f"# One {SCRIPTS[0]} {TURNED}\n\n[x](javascript:alert(1)) {SCRIPTS[1]}\n\n" + SCRIPTS[4]),
        v4.new_code_cell(f"x = '{SCRIPTS[0]}'", outputs=[
            shown(show.show(examples, f"Caption {SCRIPTS[0]}").html()), shown(show.show(frame, TURNED).html()),
            *(shown(s) for s in SCRIPTS), v4.new_output("stream", text=f"{SCRIPTS[0]}{TURNED}\n{LONG}\n"),
            shown(chance.LanguageMap(study, "none", pd.concat([tidy, results.chance(study, "hostile")])).html()),
        ]),
        v4.new_code_cell("y", outputs=[v4.new_output("error", ename="Error", evalue=SCRIPTS[0], traceback=[SCRIPTS[1], TURNED])]),
    )  # fmt: skip
    index = report.write(study)
    return sorted(index.parent.glob("*.html"))


def browse(page: Path, profile: Path) -> str:
    """A page as a browser has it once its scripts had their time."""
    if BROWSER is None:
        pytest.skip("no Chromium here")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom", f"--user-data-dir={profile}", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, errors="replace")
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout


# --- HTML ----------------------------------------------------------------------------------------------------------
def test_the_report_is_harmless_and_readable(study, tmp_path):
    """In a browser, beside a page that proves that the marks would be seen."""
    notebook, front = site(study)
    for page in (notebook, front):
        text = page.read_text()
        assert text.lower().count("<script") == 1, "ours, allowed by its hash"
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
        assert not re.search(r"<[^>]* on\w+=", text)
        assert page.stat().st_size < 3_000_000
        assert "&lt;script&gt;" in text, "shown, as text"
    bare = tmp_path / "bare.html"
    bare.write_text(f"<title>free</title>{SCRIPTS[1]}")
    assert "<title>taken</title>" in browse(bare, tmp_path / "profile"), (
        "this browser runs no script: the test shows nothing"
    )
    for page, title in ((notebook, "One "), (front, "Cross-lingual ")):
        found = browse(page, tmp_path / "profile")
        assert re.search(r"<html[^>]*>", found)[0].count("data-taken") == 0
        assert re.search(r"<title>(.*?)</title>", found, re.S)[1].startswith(title)
        assert not re.search(r"<(base|iframe|style|plaintext)\b", found)
        assert found.rstrip().endswith("</html>")
        assert "</main>" in found


def test_tables_shorten_what_would_fill_pages(study):
    text = show.show(tables.examples(study), "x").html()
    assert len(text) < 20_000
    assert "&lt;script&gt;" in text


# --- spreadsheets --------------------------------------------------------------------------------------------------
NUMBERS = ("-0.5", "12", "-3", "1e-5", "-.5", "71.25%", "0")


def test_csv_holds_no_formula_and_every_number():
    values = [-0.5, 12.0, float("nan"), 1e-5, *([1.0] * (len(FORMULAS) + len(NUMBERS) - 4))]
    frame = pd.DataFrame({"intermediate": [*FORMULAS, *NUMBERS], "value": values, "n": 3})
    rows = list(csv.DictReader(io.StringIO(results.as_csv(frame), newline="")))
    assert len(rows) == len(FORMULAS) + len(NUMBERS)
    for row, text in zip(rows, FORMULAS, strict=False):
        assert row["intermediate"] == "'" + text.replace("\r", " ")
    assert [r["intermediate"] for r in rows[len(FORMULAS) :]] == list(NUMBERS)
    assert [r["value"] for r in rows[:4]] == ["-0.500000", "12.000000", "", "0.000010"]
    pd.testing.assert_series_equal(pd.read_csv(io.StringIO(results.as_csv(frame)))["n"], frame["n"])


def test_results_of_plain_names_are_as_pandas_writes_them(study):
    tidy = study.evaluate("none", "udpos")
    assert results.as_csv(tidy) == tidy.to_csv(index=False, float_format="%.6f")


# --- LaTeX, Markdown -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [*SCRIPTS, TURNED, *FORMULAS, "\\input{/etc/passwd}", "\\write18{rm}", "^^5cinput", "%\n\\def", "$x$", "a`b'"])  # fmt: skip
def test_latex_and_markdown_print_it(text):
    """Every backslash that is left is one of ours, no control character, one line; Markdown opens no element and no link."""
    made = export.escape(text)
    ours = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textsuperscript)\{|\\[_&%#${}]|\\\(|\\\)|\\circ"
    assert "\\" not in re.sub(ours, "", made)
    assert not re.search(r"(?<!\\)[%#$&]", re.sub(ours, "", made))
    assert all(c.isprintable() for c in made)
    plain = export._plain(text)
    assert not re.search(r"(?<!\\)<|\n|\](?=\()|[\u202a-\u202e\u2066-\u2069]", plain)
    assert "|" not in re.sub(r"\\\|", "", plain)


def test_a_table_with_a_hostile_title_is_one_cell(study):
    for target in ("udpos", "hostile"):
        for recipe in ("none", "hostile"):
            study.evaluate(recipe, target)
    latex, markdown = export.main_table(study, "latex"), export.main_table(study, "md")
    assert "\\input{" not in latex
    assert "<script" not in markdown.replace("\\<script", "")
    plain = re.sub(r"\\\\|\\[{}]", "", latex)
    assert plain.count("{") == plain.count("}")
    lines = markdown.split("\n\n")[0].splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, "a title breaks no row"


# --- broken text ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "raw",
    [
        b'{"first": "\xff\xfe"}\n',
        b'{"first": "\xed\xa0\x80"}\n',
        b"\x00\xff" * 5,
        b'{"first": "half \\ud800 a pair"}\n',
    ],
    ids=range(4),
)
def test_broken_utf8_is_one_message(study, raw):
    path = study.path.parent / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.jsonl"):
        load_study(study.path).train("hostile")


# --- what lies on the disk -------------------------------------------------------------------------------------------
def test_no_pickle_at_rest(study):
    """No file of a study is one, whatever it is called, or of a form that hides one."""
    study.evaluate("hostile", "hostile")
    files = [p for p in study.out.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {
        ".json",
        ".jsonl",
        ".safetensors",
        ".parquet",
        ".arrow",
        ".md",
        ".model",
        ".csv",
        ".html",
        ".css",
    }
    for path in files:
        start = path.read_bytes()[:4]
        assert not re.match(rb"\x80[\x01-\x05]|PK\x03\x04|\x93NUM", start), path
    assert any(p.suffix == ".safetensors" for p in files)


BANNED = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "eval", "exec", "compile", "__import__", "system", "popen",
}  # fmt: skip


def test_the_sources_load_no_code():
    """No pickle, no `torch.load`, no remote code, no unsafe YAML; a call by any of these names is looked at here first."""
    found = []
    for path in sorted((ROOT / "xitt").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = _called(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name.split(".")[0] for a in node.names} | {
                    (getattr(node, "module", None) or "").split(".")[0]
                }
                found += [(path.name, n) for n in names & BANNED]
            elif name and (
                name.split(".")[-1] in BANNED - {"compile"}
                or name in ("torch.load", "torch.save", "yaml.unsafe_load", "yaml.full_load")
            ):
                found.append((path.name, name))
            for word in getattr(node, "keywords", []):
                value = getattr(word.value, "value", None)
                if (word.arg in ("trust_remote_code", "allow_pickle", "shell") and value is not False) or (
                    word.arg == "weights_only" and value is not True
                ):
                    found.append((path.name, word.arg))
    assert [
        x for x in found if not (x[1] == "model.eval" or x[1].endswith(".eval") or x[1].endswith("train().eval"))
    ] == []


def _called(node) -> str:
    if not isinstance(node, ast.Call):
        return ""
    parts, place = [], node.func
    while isinstance(place, ast.Attribute):
        parts.append(place.attr)
        place = place.value
    parts.append(place.id if isinstance(place, ast.Name) else "")
    return ".".join(reversed(parts))
