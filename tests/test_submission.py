"""Submissions: files in the official forms, and the study's own numbers from them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests import tiny
from xitt import cli, data, evaluate, official, results, scoring, submission
from xitt.errors import DataError, ParameterError, XittError
from xitt.metrics import answer_f1, chunks
from xitt.official import FORMS, VERSIONS
from xitt.store import read_json
from xitt.study import Study, load_study
from xitt.tasks import TASKS

#: what this module is tested with; a study that holds all of a version is made by naming a version of these
HERE = ("xnli", "udpos", "xquad", "bucc2018", "tatoeba")
ABSENT = [t for t in VERSIONS["xtreme"] if t not in HERE]
BUCC = "f1_strict" if "f1_strict" in TASKS["bucc2018"].metrics else "f1"  # the score that the files give by default
LANGUAGES = {t: ["de", "zh"] if t in ("bucc2018", "tatoeba") else ["de", "en", "zh"] for t in HERE}


#: word vectors that start from concepts cost ten seconds and are not the point here
STUDY = tiny.TINY + f"targets: [{', '.join(HERE)}]\nseeds: [0, 1]\n"


def open_study(project: Path, outputs: Path) -> Study:
    """The tiny study with its outputs in another place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XITT_OUTPUTS", str(outputs))
        return load_study(project / "params" / "tiny.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder, STUDY)
    return folder


@pytest.fixture(scope="module")
def study(project) -> Study:
    """Rows ``none`` and ``mnli``, five targets of XTREME, seed 0; seed 1 is not run."""
    study = open_study(project, project / "outputs")
    for recipe in ("none", "mnli"):
        for target in HERE:
            study.evaluate(recipe, target)
    return study


@pytest.fixture
def small(monkeypatch):
    """XTREME without the tasks that the tiny study does not hold."""
    monkeypatch.setitem(official.VERSIONS, "xtreme", {t: VERSIONS["xtreme"][t] for t in HERE})


@pytest.fixture(scope="module")
def written(study, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("submission") / "out"
    submission.write(study, "xtreme", out, "none", partial=True)
    return out


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def test_languages():
    """As the benchmark's own statistics have them (paper_facts 1.3 and 4)."""
    sizes = {t: len(x) for t, x in VERSIONS["xtreme"].items()}
    assert sizes == {"xnli": 15, "pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9,
                     "bucc2018": 4, "tatoeba": 36}  # fmt: skip
    sizes = {t: len(x) for t, x in VERSIONS["xtreme-r"].items()}
    assert sizes == {"xnli": 15, "udpos": 38, "panx": 48, "xquad": 12, "mlqa": 7, "tydiqa": 9, "tatoeba": 41,
                     "xcopa": 11, "mewslix": 11}  # fmt: skip
    assert set(FORMS) == set(VERSIONS["xtreme"]) | set(VERSIONS["xtreme-r"])
    assert all(len(set(x)) == len(x) for v in VERSIONS.values() for x in v.values())


# --- the files -----------------------------------------------------------------------------------------------------
def test_names(written):
    suffix = {"xquad": "json"}
    names = {f"{t}/test-{x}.{suffix.get(t, 'tsv')}" for t in HERE for x in LANGUAGES[t]}
    assert {str(p.relative_to(written)) for p in written.rglob("*") if p.is_file()} == {
        *names, "README.md", "manifest.json",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["de", "zh"])
def test_files_by_hand(study, written, language):
    """Each file against the gold of the data, in the order that the official evaluation has it."""

    def test_set(task: str) -> list[dict]:
        return data.load(study, task, "test", language).examples

    def stored(task: str, metric: str) -> float:
        frame = study.evaluate("none", task).set_index(["language", "metric"])
        return frame.loc[(language, metric), "value"]

    gold = [e["label"] for e in test_set("xnli")]
    found = lines(written / "xnli" / f"test-{language}.tsv")
    assert len(found) == len(gold)
    assert 100 * sum(map(str.__eq__, gold, found)) / len(gold) == stored("xnli", "accuracy")

    text = (written / "udpos" / f"test-{language}.tsv").read_text(encoding="utf-8")
    sentences = [s.split() for s in text.split("\n\n")]
    examples = test_set("udpos")
    assert [len(s) for s in sentences] == [len(e["tokens"]) for e in examples]
    assert text.count("\n") == sum(map(len, sentences)) + len(sentences) - 1
    pairs = [(chunks(e["tags"]), chunks(s)) for e, s in zip(examples, sentences, strict=True)]
    right, all_of_them = sum(len(g & p) for g, p in pairs), sum(len(g) + len(p) for g, p in pairs)
    assert 100 * 2 * right / all_of_them == stored("udpos", "f1")

    answers = json.loads((written / "xquad" / f"test-{language}.json").read_text(encoding="ascii"))
    values = [max(answer_f1(answers[e["id"]], a) for a in e["answers"]) for e in test_set("xquad")]
    assert 100 * sum(values) / len(answers) == pytest.approx(stored("xquad", "f1"), abs=1e-12)

    examples = test_set("tatoeba")
    order = sorted((e["second"], i) for i, e in enumerate(examples))
    assert [i for _, i in order] != list(range(len(order)))  # or the order would not be tested
    found = [int(n) for n in lines(written / "tatoeba" / f"test-{language}.tsv")]
    right = sum(n == i for n, (_, i) in zip(found, order, strict=True))
    assert 100 * right / len(order) == stored("tatoeba", "accuracy")

    gold = {tuple(p) for p in test_set("bucc2018")[0]["gold"]}
    mined = [tuple(x.split("\t")) for x in lines(written / "bucc2018" / f"test-{language}.tsv") if x]
    assert len(set(mined)) == len(mined)
    assert 100 * 2 * len(gold & set(mined)) / (len(gold) + len(mined)) == stored("bucc2018", BUCC)


def same_numbers(found: pd.DataFrame, own: list[pd.DataFrame]) -> None:
    """Every score of the study, but for the one that another threshold of BUCC gives."""
    own = [f[(f["metric"] != "f1") | ~f["metric"].isin(["f1_strict"]).any()] for f in own]
    key = ["target", "metric", "language"]
    pd.testing.assert_frame_equal(
        found.sort_values(key, ignore_index=True),
        pd.concat(own).sort_values(key, ignore_index=True),
        check_exact=True,
    )


def test_the_study_s_own_numbers(study, written):
    """To the last digit, means over languages included."""
    found = submission.score(written, study)
    same_numbers(found, [study.evaluate("none", t) for t in HERE])
    assert found["value"].gt(0).any()


def test_files_count_and_not_what_is_stored(study, written, tmp_path):
    """A changed file changes the score: gold alone comes from the study."""
    copy = shutil.copytree(written, tmp_path / "copy")
    gold = [e["label"] for e in data.load(study, "xnli", "test", "de").examples]
    (copy / "xnli/test-de.tsv").write_text("".join(f"{x}\n" for x in gold))
    (copy / "bucc2018/test-de.tsv").write_text("")
    pairs = data.load(study, "bucc2018", "test", "zh").examples[0]["gold"]
    (copy / "bucc2018/test-zh.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs))
    examples = data.load(study, "tatoeba", "test", "de").examples
    order = [i for _, i in sorted((e["second"], i) for i, e in enumerate(examples))]
    (copy / "tatoeba/test-de.tsv").write_text("".join(f"{i}\n" for i in order))
    answers = {e["id"]: e["answers"][0] for e in data.load(study, "xquad", "test", "zh").examples}
    (copy / "xquad/test-zh.json").write_text(json.dumps(answers))
    tags = [e["tags"] for e in data.load(study, "udpos", "test", "zh").examples]
    (copy / "udpos/test-zh.tsv").write_text("\n".join("".join(f"{t}\n" for t in s) for s in tags))
    value = submission.score(copy, study).set_index(["target", "language", "metric"])["value"]
    assert value["xnli", "de", "accuracy"] == 100
    assert value["bucc2018", "de", BUCC] == 0
    assert value["bucc2018", "zh", BUCC] == 100
    assert value["tatoeba", "de", "accuracy"] == 100
    assert value["xquad", "zh", "em"] == 100
    assert value["udpos", "zh", "f1"] == 100


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("xnli/test-de.tsv", "neutral\n", "1 lines, but 12 are expected"),
        ("udpos/test-de.tsv", "NOUN\n\nNOUN\n", "2 sentences, 2 tags; expected 12"),
        ("xquad/test-de.json", "{}", "0 ids, but 12 are expected"),
        ("xquad/test-de.json", "[", "test-de.json: "),
        ("bucc2018/test-de.tsv", "de-1 en-1\n", "two ids"),
        ("bucc2018/test-de.tsv", "de-1\ten-1\nde-1\ten-2\n", "stand once"),
        ("tatoeba/test-de.tsv", None, "is not there"),
    ],
)
def test_damaged_files_are_named(study, written, tmp_path, file, text, message):
    copy = shutil.copytree(written, tmp_path / "copy")
    (copy / file).unlink()
    if text is not None:
        (copy / file).write_text(text)
    with pytest.raises(DataError, match=message) as error:
        submission.score(copy, study)
    assert Path(file).name in str(error.value)


@pytest.mark.parametrize("task", HERE)
def test_gold_stays_out(study, written, task):
    """With other gold the files are the same, and where the model errs its error stands there."""
    place = scoring.found(study, "none", task, 0)
    frame = evaluate.read_predictions(place / "zh.parquet")
    if task == "bucc2018" and BUCC == "f1_strict":
        frame = frame.assign(prediction=frame["strict"])
    other = frame.assign(gold=[" ".join("X" for _ in g.split(" ")) for g in frame["gold"]])
    examples = data.load(study, task, "test", "zh").examples
    text = FORMS[task].write(other, examples, TASKS[task].labels)
    assert text == (written / task / f"test-zh.{FORMS[task].suffix}").read_text(encoding="utf-8")
    assert (frame["gold"] != frame["prediction"]).any()


# --- forms by hand: tasks of every kind ----------------------------------------------------------------------------
def frame(**columns) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame({"id": [f"q{i}" for i in range(size)], "gold": ["x"] * size, **columns})


def both_ways(task: str, given: pd.DataFrame, examples=(), labels=()) -> str:
    """The text of a file; reading it gives the predictions back."""
    text = FORMS[task].write(given, list(examples), labels)
    again = FORMS[task].read(text, given[["id", "gold"]], list(examples), labels)
    assert again["prediction"].tolist() == given["prediction"].tolist()
    assert again["id"].tolist() == given["id"].tolist()
    return text


def test_pawsx_by_number():
    assert both_ways("pawsx", frame(prediction=["yes", "no", "yes"]), labels=("no", "yes")) == "1\n0\n1\n"


def test_xcopa_by_line():
    assert both_ways("xcopa", frame(prediction=["1", "0"])) == '{"label": 1}\n{"label": 0}\n'


def test_answers_in_any_script():
    given = frame(prediction=["Zürich \u2028 1\t2", "", "北京😀"])
    text = both_ways("mlqa", given)
    assert text.isascii()
    assert json.loads(text) == {"q0": "Zürich \u2028 1\t2", "q1": "", "q2": "北京😀"}


def test_rankings_are_cut_at_twenty():
    names = [f"Q{i}" for i in range(30)]
    text = FORMS["mewslix"].write(frame(prediction=[json.dumps(names)]), [], ())
    assert json.loads(text) == {"q0": names[:20]}
    read = FORMS["mewslix"].read(text, frame(x=[0]), [], ())
    assert json.loads(read["prediction"][0]) == names[:20]


def test_tags_one_a_line():
    given = pd.DataFrame({
        "id": ["a", "b"], "gold": ["O B-PER", "O"], "prediction": ["B-LOC I-LOC", "O"], "tags": [["B-LOC", "I-LOC"], ["O"]],
    })  # fmt: skip
    assert both_ways("panx", given) == "B-LOC\nI-LOC\n\nO\n"


def test_a_tag_for_each_token():
    given = pd.DataFrame({"id": ["a"], "gold": ["O O"], "prediction": ["O"], "tags": [["O"]]})
    with pytest.raises(ValueError, match="sentence 0 has 2 tokens but 1 predicted tags"):
        FORMS["udpos"].write(given, [], ())


def test_nearest_in_the_order_of_the_english_side():
    """Upper case sorts first, as code points do; equal sentences keep their order."""
    examples = [{"second": t} for t in ("b", "a", "B", "a")]
    assert both_ways("tatoeba", frame(prediction=["0", "1", "2", "0"]), examples) == "2\n1\n0\n0\n"


def test_pairs_above_the_threshold_only():
    given = pd.DataFrame(
        {"id": ["de-1", "de-2", "de-3"], "gold": ["en-1", "en-9", ""], "prediction": ["en-1", "", "en-3"]}
    )
    assert both_ways("bucc2018", given) == "de-1\ten-1\nde-3\ten-3\n"
    read = FORMS["bucc2018"].read("de-7\ten-7\n", given[["id", "gold"]], [], ())
    assert read[["id", "gold", "prediction"]].values.tolist() == [
        ["de-1", "en-1", ""], ["de-2", "en-9", ""], ["de-3", "", ""], ["de-7", "", "en-7"],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["de\t1", "de\n1", "de\r1", " de-1", "de-1\u3000", ""])
def test_ids_that_cannot_stand_in_a_line(name):
    with pytest.raises(ValueError, match="cannot stand in a line"):
        FORMS["bucc2018"].write(frame(prediction=["en-1"]).assign(id=[name]), [], ())


def test_ids_that_stand_twice():
    with pytest.raises(ValueError, match="2 predictions but 1 different ids"):
        FORMS["tydiqa"].write(frame(prediction=["a", "b"]).assign(id=["x", "x"]), [], ())


@given(answers=st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=8))
def test_any_answer_comes_back(answers):
    given_frame = pd.DataFrame({"id": list(answers), "gold": "x", "prediction": list(answers.values())})
    assert both_ways("xquad", given_frame).isascii()


# --- which intermediate --------------------------------------------------------------------------------------------
def dev_score(study: Study, recipe: str, target: str) -> float:
    run = scoring.found(study, recipe, target, 0).parent.parent
    return max(d for d in pd.read_json(run / "log.jsonl", lines=True)["dev"].dropna())


def test_best_by_english_dev(study, small, tmp_path):
    manifest = submission.write(study, "xtreme", tmp_path / "out")
    for task in ("xnli", "udpos", "xquad"):
        entry = manifest["tasks"][task]
        assert list(entry["dev"]) == ["none", "mnli"]
        for recipe in ("none", "mnli"):
            assert entry["dev"][recipe] == pytest.approx(dev_score(study, recipe, task), abs=1e-4)
        assert entry["dev"][entry["intermediate"]] == max(entry["dev"].values())
    mean = {r: sum(dev_score(study, r, t) for t in ("xnli", "udpos", "xquad")) / 3 for r in ("none", "mnli")}
    for task in ("bucc2018", "tatoeba"):
        entry = manifest["tasks"][task]
        assert entry["dev"] == pytest.approx(mean, abs=1e-4)
        assert entry["intermediate"] == max(mean, key=mean.get)
        assert "mean" in entry["chosen by"]
    own = [study.evaluate(e["intermediate"], t) for t, e in manifest["tasks"].items()]
    same_numbers(submission.score(tmp_path / "out", study), own)


def test_each_task_gets_its_own(study, small, tmp_path, monkeypatch):
    """With scores set by hand: another row may be best for another task; shared fine-tunings count once in the mean."""
    scores = {("xnli", "none"): 50.0, ("xnli", "mnli"): 60.0, ("udpos", "none"): 90.0, ("udpos", "mnli"): 70.0,
              ("xquad", "none"): 40.0, ("xquad", "mnli"): 40.0}  # fmt: skip
    names = {scoring.found(study, r, t, 0): (t, r) for t in HERE for r in ("none", "mnli")}
    monkeypatch.setattr(submission, "_dev_score", lambda place: scores.get(names[place]))
    tasks = submission.write(study, "xtreme", tmp_path / "out")["tasks"]
    assert {t: e["intermediate"] for t, e in tasks.items()} == {
        "xnli": "mnli", "udpos": "none", "xquad": "none", "bucc2018": "none", "tatoeba": "none",
    }  # fmt: skip
    assert tasks["tatoeba"]["dev"] == {"none": 60.0, "mnli": pytest.approx(170 / 3)}


def test_no_dev_score_at_all(study, monkeypatch, tmp_path):
    monkeypatch.setitem(official.VERSIONS, "xtreme", {"tatoeba": ("de", "zh")})
    with pytest.raises(DataError, match="tatoeba: no English dev score"):
        submission.write(study, "xtreme", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert submission.write(study, "xtreme", tmp_path / "out", "mnli")["tasks"]["tatoeba"]["intermediate"] == "mnli"


# --- whose threshold -----------------------------------------------------------------------------------------------
def test_pairs_of_either_threshold(project, study, tmp_path, monkeypatch):
    """The default carries nothing of the gold: pairs at the sample set's threshold, and their score."""
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    copy = open_study(project, tmp_path / "outputs")
    place = scoring.found(copy, "none", "bucc2018", 0)
    record = read_json(place / "record.json")
    monkeypatch.setitem(TASKS, "bucc2018", replace(TASKS["bucc2018"], metrics=("f1", "f1_strict")))
    for language in LANGUAGES["bucc2018"]:
        frame = evaluate.read_predictions(place / f"{language}.parquet")
        mined = frame["gold"].where(
            frame["gold"] != "", frame["candidate"]
        )  # a good model's, as the tiny one finds nothing
        frame = frame.assign(prediction=mined, strict=mined.where([i % 2 == 0 for i in range(len(frame))], ""))
        evaluate.write_predictions(frame, place / f"{language}.parquet")
        record["scores"][language] = evaluate.scores(TASKS["bucc2018"], frame, language)
    (place / "record.json").write_text(json.dumps(record))
    monkeypatch.setattr(scoring, "found", lambda *_: place)
    monkeypatch.setitem(official.VERSIONS, "xtreme", {"bucc2018": VERSIONS["xtreme"]["bucc2018"]})
    for protocol, metric, column, said in (
        ({}, "f1_strict", "strict", "best on the sample set"),
        ({"protocol": "paper"}, "f1", "prediction", "best on the scored gold"),
    ):
        manifest = submission.write(copy, "xtreme", tmp_path / metric, "none", **protocol)
        assert any(n.endswith(said) for n in manifest["notes"])
        frame = evaluate.read_predictions(place / "zh.parquet")
        pairs = [f"{a}\t{b}" for a, b in zip(frame["id"], frame[column], strict=True) if b]
        assert lines(tmp_path / metric / "bucc2018/test-zh.tsv") == pairs
        found = submission.score(tmp_path / metric, copy)
        assert set(found["metric"]) == {metric}
        values = found.set_index("language")["value"]
        assert 0 < values["zh"] < 100
        assert {x: values[x] for x in LANGUAGES["bucc2018"]} == {
            x: record["scores"][x][metric] for x in LANGUAGES["bucc2018"]
        }


# --- what is said --------------------------------------------------------------------------------------------------
def test_manifest(study, written):
    manifest = read_json(written / "manifest.json")
    assert (manifest["version"], manifest["study"], manifest["intermediate"]) == ("xtreme", "tiny", "none")
    assert list(manifest["missing"]) == [f"{t}: not a target of study tiny" for t in ABSENT]
    entry = manifest["tasks"]["xnli"]
    place = scoring.found(study, "none", "xnli", 0)
    assert entry["fingerprint"] == read_json(place.parents[1] / "record.json")["fingerprint"]
    assert entry["predictions"] == read_json(place / "record.json")["fingerprint"]
    assert entry["scores"] == read_json(place / "record.json")["scores"]
    assert (entry["seed"], entry["intermediate"]) == (0, "none")
    assert entry["examples"]["de"] == [12, 1000]
    assert entry["lacks"] == [x for x in VERSIONS["xtreme"]["xnli"] if x not in ("de", "en", "zh")]
    average = results.tidy(read_json(place / "record.json"), "none", "xnli", 0).set_index("language")
    assert entry["average"] == {"accuracy": average.loc["avg", "value"]}


def test_what_is_lacking_is_listed(written):
    text = (written / "README.md").read_text(encoding="utf-8")
    assert "xnli: evaluate.py also asks for ar bg el" in text
    assert "slices of the test sets, not to be submitted: de 12 of 1000" in text
    assert all(f"missing: {t}: not a target" in text for t in ABSENT)
    assert "bucc2018: pairs at or above the threshold that is best on" in text


def test_what_the_official_evaluation_has_no_form_for(study, tmp_path):
    manifest = submission.write(study, "xtreme-r", tmp_path / "out", "none", partial=True)
    assert set(manifest["tasks"]) == {"xnli", "udpos", "xquad", "tatoeba"}
    assert any(
        n.startswith("tatoeba: xtreme-r scores tatoeba+train=squad_v1, which the study does not")
        for n in manifest["notes"]
    )
    assert any(n.startswith("lareqa is not written") for n in manifest["notes"])


def test_the_variant_of_the_version(project, study, tmp_path):
    """XTREME-R retrieves with an encoder that was fine-tuned on SQuAD before."""
    variant = "tatoeba+train=squad_v1"
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    file = tmp_path / "project" / "params" / "tiny.yaml"
    shutil.copytree(project / "params", file.parent)
    file.write_text(STUDY.replace("tatoeba]", f"tatoeba, {variant}]"))
    (tmp_path / "project" / "notebooks").mkdir()
    both = open_study(tmp_path / "project", tmp_path / "outputs")
    both.evaluate("none", variant)
    manifest = submission.write(both, "xtreme-r", tmp_path / "out", "none", partial=True)
    assert manifest["tasks"]["tatoeba"]["target"] == variant
    assert not any(n.startswith("tatoeba: xtreme-r") for n in manifest["notes"])
    found = submission.score(tmp_path / "out", both)
    same_numbers(found[found["target"] == variant], [both.evaluate("none", variant)])
    assert found["target"].nunique() == 4
    manifest = submission.write(both, "xtreme", tmp_path / "other", "none", partial=True)
    assert manifest["tasks"]["tatoeba"]["target"] == "tatoeba"


# --- refusals ------------------------------------------------------------------------------------------------------
def test_incomplete_is_an_error(study, tmp_path):
    with pytest.raises(DataError) as error:
        submission.write(study, "xtreme", tmp_path / "out", "none")
    assert all(f"{t}: not a target of study tiny" in str(error.value) for t in ABSENT)
    assert "--partial" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_study_not_run(project, small, tmp_path):
    fresh = open_study(project, tmp_path / "elsewhere")
    with pytest.raises(DataError, match="xnli: not scored after none, seed 0") as error:
        submission.write(fresh, "xtreme", tmp_path / "out", "none", partial=True)
    assert "--partial" not in str(error.value)
    assert list(tmp_path.glob("*out*")) == []


def test_a_row_not_run_is_missing_from_the_choice(study, small, tmp_path):
    """The best of some rows is not the best of all."""
    with pytest.raises(DataError, match="xnli: not scored after none, seed 1"):
        submission.write(study, "xtreme", tmp_path / "out", seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "xtrem"}, "version 'xtrem' is unknown - did you mean 'xtreme'"),
        ({"intermediate": "mnly"}, "intermediate 'mnly' is unknown - did you mean 'mnli'"),
        ({"intermediate": "squad_v1"}, "intermediate 'squad_v1' is unknown"),
        ({"intermediate": "mnli++"}, "intermediate 'mnli\\+\\+' is unknown"),
        ({"protocol": "stric"}, "protocol 'stric' is unknown - did you mean 'strict'"),
        ({"seed": 7}, "seed '7' is unknown"),
    ],
)
def test_wrong_names(study, tmp_path, changes, message):
    with pytest.raises(ParameterError, match=message):
        submission.write(study, **{"version": "xtreme", "out": tmp_path / "out", "partial": True, **changes})
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_not_touched(study, small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(ParameterError, match="thesis.tex" if force else "is not empty"):
            submission.write(study, "xtreme", out, "none", force=force)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]
    (out / "thesis.tex").rename(out / "README.md")
    with pytest.raises(ParameterError, match="no manifest"):
        submission.write(study, "xtreme", out, "none", force=True)
    with pytest.raises(ParameterError, match="is a file"):
        submission.write(study, "xtreme", out / "README.md", "none")
    assert (out / "README.md").read_text() == "years of work"


def test_force_replaces_an_earlier_submission(study, small, written, tmp_path):
    out = shutil.copytree(written, tmp_path / "out")
    with pytest.raises(ParameterError, match="is not empty"):
        submission.write(study, "xtreme", out, "mnli")
    (out / "xnli/test-de.tsv").write_text("")
    submission.write(study, "xtreme", out, "mnli", force=True)
    assert set(submission.score(out, study)["intermediate"]) == {"mnli"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_predictions_that_are_gone_or_not_as_scored(project, study, small, tmp_path):
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    copy = open_study(project, tmp_path / "outputs")
    file = scoring.found(copy, "none", "xnli", 0) / "de.parquet"
    kept = evaluate.read_predictions(file)
    evaluate.write_predictions(kept.assign(prediction=kept["gold"]), file)
    with pytest.raises(DataError, match="xnli: not scored after none, seed 0"):  # not what was sealed: set aside
        submission.write(copy, "xtreme", tmp_path / "out", "none")
    assert list((copy.out / "runs" / ".damaged").glob("*xnli*"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_submission(study, tmp_path):
    with pytest.raises(DataError, match="no manifest"):
        submission.score(tmp_path, study)


def test_a_submission_of_other_predictions(study, written, tmp_path):
    copy = shutil.copytree(written, tmp_path / "copy")
    manifest = read_json(copy / "manifest.json")
    manifest["tasks"]["udpos"]["predictions"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="does not hold the predictions of udpos"):
        submission.score(copy, study)


# --- the command -----------------------------------------------------------------------------------------------------
def test_the_command(study, tmp_path, monkeypatch):
    monkeypatch.setenv("XITT_OUTPUTS", str(study.out.parent))
    call = [
        "submission",
        str(study.path),
        "--version",
        "xtreme",
        "--intermediate",
        "none",
        "--out",
        str(tmp_path / "out"),
    ]
    failed = CliRunner().invoke(cli.app, call)
    assert isinstance(failed.exception, XittError)
    assert failed.exception.exit_code == 3
    done = CliRunner().invoke(cli.app, [*call, "--partial"])
    assert done.exit_code == 0, done.output
    assert "xnli: 3 languages after none (named), mean accuracy" in done.output
    assert "note: missing: mlqa: not a target of study tiny" in done.output
    assert (tmp_path / "out" / "tatoeba" / "test-de.tsv").is_file()
