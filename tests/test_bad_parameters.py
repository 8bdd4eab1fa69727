"""Two hundred parameter files made from good ones by faults that people and disks make: each gets one message and an exit code, or is valid."""

from __future__ import annotations

import copy
import datetime
import random
import re
import sys

import pytest
import yaml

from tests import tiny
from xitt import cli
from xitt.parameters import merge

MORE = {
    "note": "a note", "seeds": [0, 1], "targets": ["xnli", "udpos", "bucc2018", "mood"], "keep": "intermediates",
    "intermediates": ["mnli", "multitask{mnli,qqp}+sampler=temperature:2", {"name": "other", "folder": "../backbone"}],
    "recipes": {"mnli": {"lr": 2e-3}, "multitask": {"max_steps": 20}}, "retrieval": {"layer": 2, "memory": "4GiB"},
    "data": {"languages": ["en", "de"], "missing": "skip", "offline": True},
    "tasks": {"mood": {
        "kind": "classify", "title": "Mood", "roles": ["intermediate", "target"], "files": {"train": "a.csv", "test": {"en": "a.csv", "de": "b.csv"}},
        "columns": {"first": "text", "label": "mood"}, "labels": ["good", "bad"], "recipe": {"epochs": 2}, "licence": "none",
    }},
}  # fmt: skip
JUNK = (
    None, "", "x", " ", 0, -1, 1e-320, 10**30, float("nan"), float("inf"), True, [], {}, [1, [2, [3]]], {"a": {"b": 1}}, "none", "all",
    "../../outside", "/etc/passwd", "a/b", "a\\b", "mnli\n", "mnli+mlm=2", "multitask{mnli}", "${NOT_SET}", "xnli+layer=99", "\u202eilnm",
    "<script>", "=cmd()", datetime.date(2020, 1, 1), "é" * 300, ["mnli", "mnli"], ".", "..", "~", "pocket", "de", 3.5, "1e-5",
)  # fmt: skip
TEXTS = (
    "title: !!python/object/apply:os.system ['touch marker']\n", "title: !!python/name:os.system\n", "name: tiny\nname: tiny\n",
    "\tx: 1\n", "? [a, b]\n: 1\n", "x: &x [*x]\n", "a: *nowhere\n", "{" * 3000, "[" * 200 + "\n", "%YAML 9.9\n---\n", "x: !!timestamp 2020-99-99\n",
    "\x00", "title: 'not closed\n", "1: 2\n", "- a\n- b\n", "---\na: 1\n---\nb: 2\n", "extends: tiny\n", "x: !!binary '%%'\n",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
    "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nnote: [*g,*g,*g,*g,*g,*g,*g]\n",
)  # fmt: skip


def full() -> dict:
    """A study with much in it."""
    return merge(yaml.safe_load(tiny.TINY), copy.deepcopy(MORE))


def places(content, path=()):
    """Every key and index below a value."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(content: dict, rng: random.Random) -> str:
    """A file with one fault in it, or two."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 2))):
        path = rng.choice(list(places(content)))
        inside = content
        for key in path[:-1]:
            inside = inside[key]
        key, how = path[-1], rng.choice(("drop", "junk", "junk", "junk", "rename", "add", "twice", "move"))
        if how == "drop":
            del inside[key]
        elif how == "rename" and isinstance(inside, dict):
            inside[str(key)[:-1] or "x"] = inside.pop(key)
        elif how == "add" and isinstance(inside, dict):
            inside[rng.choice(("extra", "seed", "lr", "", "Name", "../x"))] = rng.choice(JUNK)
        elif how == "twice" and isinstance(inside, list):
            inside.append(inside[key])
        elif how == "move":
            content[str(key)] = inside[key]
        else:
            inside[key] = rng.choice(JUNK)
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def spoilt(text: str, rng: random.Random) -> bytes:
    """A file whose text is broken."""
    how, raw = rng.randrange(4), bytearray(text.encode())
    if how == 0:
        return bytes(raw[: rng.randrange(len(raw))])
    if how == 1:
        raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)
    lines = text.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    if how == 2:
        lines[place] = " " * rng.randrange(5) + lines[place].lstrip()
    else:
        lines.insert(place, rng.choice(TEXTS))
    return "".join(lines).encode()


def files():
    rng, good = random.Random(7), yaml.safe_load(tiny.TINY)
    for number in range(140):
        yield changed(full() if number % 3 else good, rng).encode()
    for _ in range(60 - len(TEXTS)):
        yield spoilt(yaml.safe_dump(full(), sort_keys=False), rng)
    for text in TEXTS:
        yield text.encode() + tiny.TINY.encode()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project") / "inner"
    return tiny.make(folder)


def dry_run(file, monkeypatch, capsys) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["xitt", "run", str(file), "--dry-run"])
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("XITT_OUTPUTS", str(file.parent.parent / "outputs"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_the_good_ones_are_good(project, monkeypatch, capsys):
    for content in (yaml.safe_load(tiny.TINY), full()):
        project.write_text(yaml.safe_dump(content))
        code, out, err = dry_run(project, monkeypatch, capsys)
        assert (code, err) == (0, ""), err
        assert "to run  02." in out


def test_two_hundred_bad_files(project, monkeypatch, capsys):
    before, codes = set(project.parents[2].rglob("*")), []
    for number, content in enumerate(files()):
        project.write_bytes(content)
        code, out, err = dry_run(project, monkeypatch, capsys)
        codes.append(code)
        where = f"file {number}:\n{content[:3000].decode(errors='replace')}\n--- {code}: {err[:2000]}"
        assert code in (0, 2, 3), where
        assert "Traceback" not in err, where
        assert (out if code == 0 else err).strip(), where
        if code:
            assert err.startswith("xitt: "), where
            assert err.count("xitt: ") == 1, where
            assert re.search(r"tiny\.yaml|small\.yaml|recipe|\$|environment variable", err), where
            assert len(err) < 20_000, where
    assert len(codes) == 200
    assert 100 < sum(c != 0 for c in codes) < 200
    assert set(project.parents[2].rglob("*")) == before, "a dry run writes nothing, wherever the names lead"


@pytest.mark.parametrize("name", ["../x", "a/b", "x\n", ".", "a b", "A", "none", "mnli", "é", "", "x" * 3000])
@pytest.mark.parametrize("what", ["study", "task", "checkpoint", "language", "design"])
def test_names_cannot_lead_elsewhere(project, monkeypatch, capsys, what, name):
    """Names of studies, tasks and languages become parts of paths."""
    content = full()
    if what == "study":
        content["name"] = name
    elif what == "task":
        content["tasks"][name] = content["tasks"].pop("mood")
        content["targets"][-1] = name
    elif what == "checkpoint":
        content["intermediates"][-1]["name"] = name
    elif what == "language":
        content["tasks"]["mood"]["files"]["test"] = {name: "a.csv"}
    else:
        content["designs"] = [name]
    project.write_text(yaml.safe_dump(content, allow_unicode=True))
    code, _, err = dry_run(project, monkeypatch, capsys)
    fine = {"study": ("none", "mnli"), "task": (), "checkpoint": ()}.get(what, ())
    if name == "x" * 3000 and what in ("task", "checkpoint", "study"):
        assert code in (0, 2)
    else:
        assert (code == 0) == (name in fine), err
        assert code in (0, 2)
