"""The pocket's programs: what they print decides every label, nothing shorter than running them does; and CodeXGLUE's rows recast."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.test_pocket import bag, fit, softmax
from xitt import readers, recast
from xitt.checks import normalise
from xitt.evaluate import scores
from xitt.kinds import kind
from xitt.metrics import task_score
from xitt.pocket import hub, programs
from xitt.pocket.programs import Item, Step, run
from xitt.schema import Data
from xitt.tasks import TASKS

POCKET = Data(source="pocket")
DATA = os.environ.get("XITT_DATA")
real = pytest.mark.skipif(not DATA, reason="XITT_DATA is not set: no real data")
CLASSIFIED = ("code_clone", "code_defect", "code_search", "code_translation")
TRAIN, DEV = 4000, 600


def items(task: str, split: str, count: int) -> tuple[Item, ...]:
    return hub._meanings(task, split, count)


@cache
def examples(task: str, split: str, count: int) -> list[dict]:
    """Fields of the task's kind, as a study reads them."""
    row = TASKS[task]
    raw = readers.read(POCKET, row, split, "en", count)
    return [normalise(row, r, i, raw.where) for i, r in enumerate(raw.rows)]


# --- the interpreter -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("steps", "printed"),
    [
        ([Step("make", "b", ("dog", "cat")), Step("say", "b")], ("dog", "cat")),
        ([Step("make", "b", ("dog",)), Step("add", "b", ("cat",)), Step("turn", "b"), Step("say", "b")], ("cat", "dog")),
        ([Step("make", "b", ("dog", "cat", "dog")), Step("drop", "b", ("dog",)), Step("say", "b")], ("cat",)),
        ([Step("make", "b", ("dog",)), Step("make", "d", ("cat",)), Step("join", "b", other="d"), Step("say", "b")], ("dog", "cat")),
        ([Step("make", "b", ("dog",)), Step("make", "d", ("cat",)), Step("turn", "d"), Step("say", "b")], ("dog",)),
        ([Step("make", "b", ("dog",)), Step("add", "b", ("cat",), given=("b", "dog")), Step("say", "b")], ("dog", "cat")),
        ([Step("make", "b", ("dog",)), Step("add", "b", ("cat",), given=("b", "cow")), Step("say", "b")], ("dog",)),
        ([Step("make", "b", ("dog",)), Step("say", "b"), Step("add", "b", ("cat",)), Step("say", "b")], ("dog", "dog", "cat")),
    ],
)  # fmt: skip
def test_what_a_program_prints(steps, printed):
    assert run(tuple(steps)) == printed


def test_a_list_that_is_not_made_is_an_error():
    with pytest.raises(KeyError):
        run((Step("turn", "b"),))


def test_a_list_that_is_joined_stays_another_list():
    steps = (
        Step("make", "b", ("dog",)),
        Step("make", "d", ("cat",)),
        Step("join", "b", other="d"),
        Step("add", "b", ("cow",)),
    )
    assert run((*steps, Step("say", "d"))) == ("cat",)


def test_programs_print_what_they_were_written_for():
    verbs: Counter = Counter()
    for number in range(3000):
        rng = Random(number)
        words = rng.sample(programs.vocabulary(), 4)
        said = rng.choice((1, 2, 3))
        program = programs.writing(tuple(words[:said]), tuple(words[said:]), rng)
        assert run(program) == tuple(words[:said])
        assert programs.mentioned(program) == set(words)
        verbs.update(s.verb for s in program)
        verbs["given"] += any(s.given for s in program)
    assert min(verbs[v] for v in ("make", "add", "drop", "turn", "join", "say", "given")) > 150


def test_conditions_are_met_and_not_met():
    done = Counter()
    for item in items("code_search", "train", 2000):
        for i, step in enumerate(item.program):
            if step.given:
                name, word = step.given
                done[word in run((*item.program[:i], Step("say", name)))] += 1
    assert min(done[True], done[False]) > 0.1 * done.total()


def test_exchanged_words_are_exchanged_in_what_is_printed():
    for item in items("code_search", "train", 400):
        a, b = sorted(programs.mentioned(item.program))[:2]
        twin = programs.exchanged(item.program, {a: b, b: a})
        assert run(twin) == tuple({a: b, b: a}.get(w, w) for w in run(item.program))


# --- labels ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("split", ["train", "dev"])
def test_clones_print_the_same_and_others_do_not(split):
    for m in items("code_clone", split, 600):
        assert (run(m.program) == run(m.partner)) == m.holds


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_fault_changes_what_is_printed(split):
    for m in items("code_defect", split, 600):
        assert (programs._output(m.program) == m.prints) == m.holds


def test_a_fault_is_two_statements_in_each_others_place():
    meant = defaultdict(list)
    for m in items("code_defect", "train", 2000):
        meant[m.words, m.prints].append(m)
    found = Counter()
    for some in meant.values():
        for m in some:
            others = [o.program for o in some if o.holds and sorted(map(str, o.program)) == sorted(map(str, m.program))]
            moved = min(sum(a != b for a, b in zip(m.program, o, strict=True)) for o in others)
            found[m.holds, moved] += 1
            found["made late"] += programs._output(m.program) is None
    assert (found[True, 0], found[False, 2]) == (1000, 1000)
    assert 200 < found["made late"] < 900  # the others print something else


def test_descriptions_translations_and_promises_are_of_the_program():
    for m in items("code_search", "train", 600):
        assert run(m.program) == m.prints
        text = programs.described(m, Random(0)).lower()
        assert [w for w in re.findall(r"\w+", text) if w in map(programs._said, m.prints)] == list(
            map(programs._said, m.prints)
        )
    for m in items("code_cloze", "train", 200):
        assert programs.promised(m).startswith(", ".join(map(programs._said, run(m.program))) + "? ")


READ = {"new": "make", "bring": "add", "cut": "drop", "close": "turn", "find": "join", "show": "say"}


def test_a_translation_can_be_read_back():
    """Statement by statement, by a reader that knows the second syntax only."""
    names = {programs._said(c): c for c in programs.vocabulary()}
    for m in items("code_translation", "train", 400):
        steps = []
        for statement in programs.translated(m.program).rstrip(".").split(". "):
            what, _, condition = statement.partition(" at ")
            verb, name, *words = what.replace(",", "").split()
            given = condition.split(", ")
            other = words.pop() if verb == "find" else ""
            met = (given[0], names[given[1]]) if condition else ()
            steps.append(Step(READ[verb], name, tuple(names[w] for w in words), other, met))
        assert tuple(steps) == m.program


@pytest.mark.parametrize("task", CLASSIFIED)
def test_labels_are_even(task):
    for split, count in (("train", 2000), ("dev", DEV)):
        counted = Counter(e["label"] for e in examples(task, split, count))
        assert len(counted) == 2
        assert max(counted.values()) < 0.55 * count


def test_what_is_tested_is_not_trained():
    for task in programs.TASKS:
        seen, new = ({m.words for m in items(task, split, 600)} for split in ("train", "dev"))
        assert not seen & new
        assert not {m.program for m in items(task, "train", 600)} & {m.program for m in items(task, "dev", 600)}


# --- shortcuts -------------------------------------------------------------------------------------------------------
def accuracy(train: list, dev: list, features) -> float:
    """Dev accuracy in percent of a linear model that reads texts as bags of words."""
    index: dict[str, int] = {}
    x, held = bag([features(e) for e in train], index, True), bag([features(e) for e in dev], index, False)
    labels = sorted({e["label"] for e in train})
    y = np.eye(2, dtype=np.float32)[[labels.index(e["label"]) for e in train]]
    w = fit(lambda w: x.T @ (softmax(x @ w) - y) / len(x), (x.shape[1], 2))
    return 100 * float(np.mean([labels[i] == e["label"] for i, e in zip((held @ w).argmax(axis=1), dev, strict=True)]))


def marked(text: str, mark: str) -> str:
    return " ".join(f"{mark}{w}" for w in re.findall(r"\w+", text))


@pytest.mark.parametrize("task", CLASSIFIED)
def test_one_side_or_the_words_alone_tell_little(task):
    train, dev = examples(task, "train", TRAIN), examples(task, "dev", DEV)
    if task != "code_defect":
        assert all(a["first"] and a["second"] for a in dev)
    ways = {
        "first": lambda e: e["first"], "second": lambda e: e.get("second") or "",
        "length": lambda e: f"a{len(e['first'].split())} b{len((e.get('second') or '').split())}",
        "both": lambda e: f"{marked(e['first'], 'a')} {marked(e.get('second') or '', 'b')}",
    }  # fmt: skip
    if task == "code_defect":
        ways |= {"promise": lambda e: e["first"].split("?")[0], "program": lambda e: e["first"].split("?")[1]}
    for way, features in ways.items():
        assert abs(accuracy(train, dev, features) - 50) < 10, way


@pytest.mark.parametrize("task", CLASSIFIED)
def test_baselines_are_near_chance(task):
    """But for shared words where the wrong partner handles another sort of things: they tell it, as the module says."""
    row, train, dev = TASKS[task], examples(task, "train", TRAIN), examples(task, "dev", DEV)
    for name, frame in kind("classify").baselines(train, dev, row.labels).items():
        right = task_score("classify", scores(row, frame))
        told = name == "overlap" and task in ("code_search", "code_translation")
        assert right > 95 if told else right < 60, name


@pytest.mark.parametrize("task", ["code_search", "code_translation"])
def test_a_wrong_partner_handles_another_sort_of_things(task):
    sort = {w: s for s in programs.SORTS for w in programs._of(s)}
    some = items(task, "train", 1000)
    for one, two in zip(some[::2], some[1::2], strict=True):
        sorts = [{sort[w] for w in programs.mentioned(m.program)} for m in (one, two)]
        assert [len(s) for s in sorts] == [1, 1]
        assert sorts[0] != sorts[1]
        assert programs._form(one.program) == programs._form(two.program)


def test_every_program_is_right_as_often_as_wrong():
    """Of twins each of the two sides; of programs that look alike whatever stands first, over the whole set."""
    counted: dict = defaultdict(Counter)
    for m in items("code_clone", "train", 2000):
        if len(m.words) == 4:
            for side in (m.program, m.partner):
                counted[side, m.words][m.holds] += 1
    assert len(counted) > 800
    assert all(c[True] == c[False] for c in counted.values())


def test_about_half_of_the_clones_look_different():
    alike = [m for m in items("code_clone", "train", 2000) if len(m.words) == 12]
    assert 0.4 < len(alike) / 2000 < 0.6
    shared = {h: np.mean([len(programs._form(m.program) & programs._form(m.partner)) / len(programs._form(m.partner))
                          for m in alike if m.holds == h]) for h in (True, False)}  # fmt: skip
    assert shared[True] < 0.8 < shared[False]


def test_the_gap_is_not_told_by_the_choices_alone():
    train, dev = examples("code_cloze", "train", TRAIN), examples("code_cloze", "dev", DEV)
    assert all(len(set(e["choices"])) == 4 for e in dev)
    frames = kind("choose").baselines(train, dev, ())
    for name, frame in frames.items():
        assert task_score("choose", scores(TASKS["code_cloze"], frame)) < 35, name
    rare = [min(range(4), key=lambda i, e=e: e["prompt"].count(e["choices"][i])) for e in dev]
    assert np.mean([r == e["label"] for r, e in zip(rare, dev, strict=True)]) < 0.35


def test_a_gap_is_of_the_sort_that_the_program_is_about():
    sort = {programs._said(w): s for s in programs.SORTS for w in programs._of(s)}
    for e in examples("code_cloze", "train", 400):
        about = Counter(sort[w] for w in re.findall(r"[a-z]+", e["prompt"].replace(recast.GAP, "")) if w in sort)
        assert [about[sort[c]] for c in e["choices"]].count(1) == 3
        assert about[sort[e["choices"][e["label"]]]] == 7


# --- text ------------------------------------------------------------------------------------------------------------
def test_nothing_is_unknown_to_the_pocket_tokenizer():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(programs.__file__).parent / "backbone" / "tokenizer.json"))
    unknown, most = tokenizer.token_to_id("<unk>"), 0
    for task in programs.TASKS:
        for e in examples(task, "train", 400):
            texts = [e[f] for f in ("first", "second", "text", "prompt") if e.get(f)] + e.get("choices", [])
            codes = [tokenizer.encode(t.replace(recast.GAP, "")) for t in texts]
            assert not any(unknown in c.ids for c in codes)
            most = max(most, sum(len(c.ids) for c in codes[:2]))
    assert most < 160


def test_a_longer_set_begins_with_the_shorter_one():
    for task in programs.TASKS:
        long, short = examples(task, "train", 400), examples(task, "train", 200)
        assert long[: len(short)] == short


def test_the_pocket_has_code_in_english_alone():
    for task in programs.TASKS:
        assert hub.languages(task) == hub.training_languages(task) == ("en",)
        with pytest.raises(ValueError, match=f"no {task}"):
            hub.rows(task, "train", "de", 4)


# --- recast ----------------------------------------------------------------------------------------------------------
COLUMNS = {"first": "a", "second": "b", "label": "label"}


def test_pairs_match_or_are_their_neighbours():
    rows = [{"id": i, "a": f"text {i}\n", "b": ["code", str(i)]} for i in range(501)]
    made = recast.pairs(rows, COLUMNS)
    assert [r["a"] for r in made] == [f"text {i}" for i in range(501)]
    for i, r in enumerate(made):
        assert r["b"] == f"code {i if r['label'] else i ^ 1}"
    assert 0.4 < np.mean([r["label"] for r in made]) < 0.6
    assert recast.pairs(rows[:200], COLUMNS) == made[:200]


def test_equal_neighbours_are_no_mismatch():
    rows = [{"id": i, "a": f"text {i}", "b": "same"} for i in range(60)]
    assert all(r["label"] for r in recast.pairs(rows, COLUMNS))


JAVA = "public void push(Node node) {if (head == null) {head = node;} else {tail.next = node;} tail = node; size++;}"


def test_a_gap_is_a_name_of_the_function():
    rows = [{"id": i, "java": JAVA} for i in range(300)] + [{"id": "x", "java": "int f() {return 1;}"}]
    made = recast.gaps(rows, {"prompt": "java", "choices": "choices", "label": "label"})
    assert len(made) == 300  # the last has too few names
    seen = Counter()
    for r in made:
        answer = r["choices"][r["label"]]
        assert r["java"].replace(recast.GAP, answer) == JAVA
        assert len(set(r["choices"])) == 4
        assert not set(r["choices"]) & {"public", "void", "if", "null", "else"}
        seen[answer] += 1
    assert set(seen) == {"node", "head", "tail"}  # names that stand in it more than once
    assert max(Counter(r["label"] for r in made).values()) < 120


@real
@pytest.mark.parametrize(("task", "split", "most"), [
    ("code_defect", "train", 2184), ("code_clone", "dev", 400), ("code_translation", "dev", 499), ("code_cloze", "train", 10_295),
    ("code_mlm", "train", 2184),
])  # fmt: skip
def test_real_rows(task, split, most):
    row, data = TASKS[task], Data(source="folder", folder=DATA)
    raw = readers.read(data, row, split, "en")
    found = [normalise(row, r, i, raw.where) for i, r in enumerate(raw.rows)]
    assert raw.total == most
    assert len(found) > 0.5 * most
    if row.kind != "mlm":
        counted = Counter(str(e["label"]) for e in found)
        assert len(counted) == (4 if row.kind == "choose" else 2)
        assert max(counted.values()) < 0.9 * len(found)
    texts = [e.get("text") or e.get("prompt") or e["first"] for e in found]
    assert all(t.strip() for t in texts)
