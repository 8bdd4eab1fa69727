"""Scores: predictions as documented, results as promised, one computable from the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.tiny import variant
from xitt import cli, data, evaluate, phases, results, scoring, tables
from xitt.errors import DataError, ParameterError
from xitt.kinds import kind
from xitt.metrics import METRICS
from xitt.store import read_json
from xitt.study import Study
from xitt.tasks import NLI, TASKS, UPOS

COLUMNS = ["intermediate", "target", "language", "split", "seed", "metric", "value", "n"]
TARGETS = ("xnli", "udpos", "panx", "xquad", "bucc2018", "tatoeba")
LANGUAGES = {t: ["de", "zh"] if t in ("bucc2018", "tatoeba") else ["de", "en", "zh"] for t in TARGETS}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder)
    return folder


@pytest.fixture(scope="module")
def finished(project) -> Study:
    """Row ``none``, every target scored; nothing in it is changed by a test."""
    study = variant(project, project / "outputs")
    for target in TARGETS:
        study.evaluate("none", target)
    return study


@pytest.fixture
def copy(project, finished, tmp_path) -> Path:
    """Outputs of the finished study for a test to change."""
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs"


def place(study: Study, target: str) -> Path:
    return scoring.found(study, "none", target, 0)


def predictions(study: Study, target: str) -> dict[str, pd.DataFrame]:
    return {p.stem: evaluate.read_predictions(p) for p in sorted(place(study, target).glob("*.parquet"))}


def test_split(study: Study, target: str, language: str) -> list[dict]:
    return data.load(study, target, "test", language).examples


test_split.__test__ = False


# --- predictions ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("xnli", ["id", "gold", "prediction", "scores"]),
        ("udpos", ["id", "gold", "prediction", "tags"]),
        ("panx", ["id", "gold", "prediction", "tags"]),
        ("xquad", ["id", "gold", "prediction", "text", "nbest", "scores", "null"]),
        ("tatoeba", ["id", "gold", "prediction", "rank", "scores"]),
        ("bucc2018", ["id", "gold", "prediction", "candidate", "scores", "strict"]),
    ],
)
def test_predictions_per_language(finished, target, columns):
    frames = predictions(finished, target)
    assert list(frames) == LANGUAGES[target]
    for language, frame in frames.items():
        assert list(frame.columns) == columns
        assert frame["id"].is_unique
        assert all(isinstance(x, str) for c in ("id", "gold", "prediction") for x in frame[c])
        if target != "bucc2018":
            assert frame["id"].tolist() == [e["id"] for e in test_split(finished, target, language)]


def test_classification(finished):
    for language, frame in predictions(finished, "xnli").items():
        assert frame["gold"].tolist() == [e["label"] for e in test_split(finished, "xnli", language)]
        scores = np.stack(frame["scores"])
        assert scores.shape == (12, 3)
        np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
        assert frame["prediction"].tolist() == [NLI[i] for i in scores.argmax(1)]


def test_tagging_scores_every_word(finished):
    for language, frame in predictions(finished, "udpos").items():
        examples = test_split(finished, "udpos", language)
        assert [g.split(" ") for g in frame["gold"]] == [e["tags"] for e in examples]
        assert [len(t) for t in frame["tags"]] == [len(e["tokens"]) for e in examples]
        assert [" ".join(t) for t in frame["tags"]] == frame["prediction"].tolist()
        assert {t for tags in frame["tags"] for t in tags} <= set(UPOS)


def test_answers_stand_in_their_context(finished):
    for language, frame in predictions(finished, "xquad").items():
        examples = test_split(finished, "xquad", language)
        assert [json.loads(g) for g in frame["gold"]] == [e["answers"] for e in examples]
        assert all(p in e["context"] for p, e in zip(frame["prediction"], examples, strict=True))
        assert frame["text"].tolist() == frame["prediction"].tolist()
        for text, nbest, scores in zip(frame["text"], frame["nbest"], frame["scores"], strict=True):
            assert text == nbest[0]
            assert len(nbest) == len(scores) <= 20
            assert np.isfinite(scores).all()
        assert np.isfinite(frame["null"]).all()


def test_retrieval_by_rank(finished):
    for frame in predictions(finished, "tatoeba").values():
        assert frame["gold"].tolist() == [str(i) for i in range(12)]
        assert frame["rank"].between(1, 12).all()
        right = frame["gold"] == frame["prediction"]
        assert (frame["rank"][right] == 1).all()
        assert (frame["rank"][~right] > 1).all()
        assert all(-1.001 <= s[0] <= 1.001 for s in frame["scores"])


def test_mining_by_threshold(finished):
    record = read_json(place(finished, "bucc2018") / "record.json")
    thresholds, strict = record["thresholds"], record["strict_thresholds"]
    assert set(strict) == set(thresholds) == {"de", "zh"}
    for language, frame in predictions(finished, "bucc2018").items():
        example = test_split(finished, "bucc2018", language)[0]
        gold = dict(example["gold"])
        assert {i: g for i, g in zip(frame["id"], frame["gold"], strict=True) if g} == gold
        assert set(frame["id"]) <= {i for i, _ in example["first"]}
        mined = frame[frame["candidate"] != ""]
        assert set(mined["candidate"]) <= {i for i, _ in example["second"]}
        kept = np.array([s[0] for s in mined["scores"]]) >= thresholds[language]
        assert (mined["prediction"].to_numpy() == np.where(kept, mined["candidate"], "")).all()
        assert (frame[frame["candidate"] == ""]["prediction"] == "").all()
        kept = np.array([s[0] for s in mined["scores"]]) >= strict[language]
        assert (mined["strict"].to_numpy() == np.where(kept, mined["candidate"], "")).all()


# --- scores from predictions -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", TARGETS)
def test_stored_scores_follow_from_stored_predictions(finished, target):
    record, row = read_json(place(finished, target) / "record.json"), TASKS[target]
    frames = predictions(finished, target)
    assert set(record["scores"]) == set(frames) == set(LANGUAGES[target])
    for language, frame in frames.items():
        assert list(record["scores"][language]) == sorted(row.metrics)
        for metric in row.metrics:
            value = METRICS[row.kind, metric].score(frame)
            assert record["scores"][language][metric] == value
            assert 0 <= value <= 100
        assert record["counted"][language] == len(frame)


def test_scores_of_a_perfect_model(finished):
    """The gold put in the prediction's place scores 100 from the stored columns alone."""
    for target in TARGETS:
        row = TASKS[target]
        for frame in predictions(finished, target).values():
            gold = [json.loads(g)[0] for g in frame["gold"]] if row.kind == "span" else frame["gold"]
            perfect = frame.assign(prediction=gold, strict=gold)
            if row.kind == "tag":
                perfect["tags"] = [g.split(" ") for g in perfect["gold"]]
            assert [METRICS[row.kind, m].score(perfect) for m in row.metrics] == [100] * len(row.metrics)


# --- results -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", TARGETS)
def test_one_row_per_language_and_metric_and_a_mean(finished, target):
    frame, row = finished.evaluate("none", target), TASKS[target]
    assert list(frame.columns) == COLUMNS
    assert len(frame) == (len(LANGUAGES[target]) + 1) * len(row.metrics)
    assert set(zip(frame["intermediate"], frame["target"], frame["split"], frame["seed"], strict=True)) == {
        ("none", target, "test", 0)
    }
    for metric in row.metrics:
        part = frame[frame["metric"] == metric].set_index("language")
        assert sorted(part.index) == ["avg", *LANGUAGES[target]]
        languages = part.drop("avg")
        assert part.loc["avg", "value"] == pytest.approx(languages["value"].mean())
        assert part.loc["avg", "n"] == languages["n"].sum()


def test_all_results_of_a_study(finished):
    frame = finished.results()
    assert list(frame.columns) == COLUMNS
    assert [str(frame[c].dtype) for c in ("seed", "value", "n")] == ["int64", "float64", "int64"]
    assert not frame.isna().any().any()
    assert not frame.duplicated(["intermediate", "target", "language", "seed", "metric"]).any()
    scored = frame[frame["intermediate"] == "none"]
    direct = pd.concat([finished.evaluate("none", t) for t in TARGETS], ignore_index=True)
    keys = ["target", "metric", "language"]
    pd.testing.assert_frame_equal(
        scored.sort_values(keys, ignore_index=True), direct.sort_values(keys, ignore_index=True), check_dtype=False
    )
    assert frame["intermediate"].str.startswith("baseline:").any()
    assert set(frame["intermediate"]) <= {"none"} | {
        f"baseline:{x}" for x in ("uniform", "majority", "majority_per_word", "overlap", "first_span")
    }


def test_written_results_are_read_back(finished, tmp_path):
    path = results.write(finished)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    table, frame = pd.read_csv(path), finished.results()
    exact = pd.read_parquet(path.with_suffix(".parquet"))
    assert list(table.columns) == list(exact.columns) == COLUMNS
    keys = ["intermediate", "target", "language", "metric"]
    for found, off in ((table, 1e-6), (exact, 0)):
        pd.testing.assert_frame_equal(
            found.sort_values(keys, ignore_index=True), frame.sort_values(keys, ignore_index=True), rtol=0, atol=off
        )
    first = path.read_bytes()
    results.write(finished)
    assert path.read_bytes() == first


@pytest.mark.parametrize("target", TARGETS)
def test_chance_is_the_best_baseline(finished, target):
    frame, row = results.chance(finished, target), TASKS[target]
    assert list(frame.columns) == COLUMNS
    assert frame["intermediate"].str.startswith("baseline:").all()
    assert set(frame["language"]) == {*LANGUAGES[target], "avg"}
    levels = results.chance_levels(frame)
    main = frame[frame["metric"] == row.metrics[0]]
    for language in LANGUAGES[target]:
        assert levels[target, language] == main[main["language"] == language]["value"].max()


def test_chance_by_hand(finished):
    """Majority: the most frequent English training label, counted in the test set."""
    label = pd.Series([e["label"] for e in data.load(finished, "mnli", "train").examples]).value_counts().index[0]
    frame = results.chance(finished, "xnli")
    rows = frame[(frame["intermediate"] == "baseline:majority") & (frame["language"] == "de")]
    gold = [e["label"] for e in test_split(finished, "xnli", "de")]
    assert rows["value"].tolist() == [pytest.approx(100 * gold.count(label) / len(gold))]


def test_no_results_yet(project, tmp_path):
    empty = variant(project, tmp_path / "outputs").results()
    assert (list(empty.columns), len(empty)) == (COLUMNS, 0)
    assert not list((tmp_path / "outputs").rglob("record.json")), "asking for results computes nothing"


def test_results_need_every_row_to_be_of_this_study(project, copy):
    """Other data, other settings: what was scored before is not shown as theirs."""
    assert len(variant(project, copy).results())
    others = (
        {"data": {"limits": {"test": 10}, "task_limits": {"bucc2018": {"test": 10}}}},
        {"data": {"languages": ["de", "en"]}},
    )
    for changes in (*others, {"recipe": {"length": 64}, "retrieval": {"length": 64}}):
        found = variant(project, copy, **changes).results()
        assert set(found["target"]) <= {"bucc2018"} if changes is others[0] else len(found) == 0


def test_the_row_avg_is_the_mean_over_languages(finished):
    scores = finished.results().set_index(["intermediate", "target", "metric", "language"])["value"]
    for target in TARGETS:
        table = finished.evaluate("none", target)
        metric = TASKS[target].metrics[0]
        main = table[(table["metric"] == metric) & (table["language"] != "avg")]
        assert scores["none", target, metric, "avg"] == pytest.approx(main["value"].mean())


# --- what is scored anew -------------------------------------------------------------------------------------------
@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """Targets whose predictions the test writes."""
    done, real = [], scoring._write
    monkeypatch.setattr(scoring, "_write", lambda *a: (done.append(a[3]["target"]), real(*a))[1])
    return done


def test_a_larger_test_set_needs_new_predictions_only(project, copy, scored, monkeypatch):
    from xitt import train

    monkeypatch.setattr(train, "fit", None)
    study = variant(project, copy, data={"limits": {"test": 14}})
    frame = study.evaluate("none", "xnli")
    assert frame[frame["language"] == "de"]["n"].tolist() == [14]
    assert scored == ["xnli"]


def test_fewer_languages_are_another_evaluation(project, copy, scored):
    study = variant(project, copy, data={"languages": ["en", "zh"]})
    assert study.evaluate("none", "tatoeba")["language"].tolist() == ["zh", "avg"]
    assert scored == ["tatoeba"]


def test_lost_predictions_of_one_target(project, copy, scored):
    study = variant(project, copy)
    table = study.evaluate("none", "panx")
    shutil.rmtree(place(study, "panx"))
    pd.testing.assert_frame_equal(study.evaluate("none", "panx"), table)
    assert scored == ["panx"]


def test_predictions_without_their_record_are_not_taken(project, copy, scored):
    """A process killed while it wrote leaves no record."""
    study = variant(project, copy)
    (place(study, "xnli") / "record.json").unlink()
    study.evaluate("none", "xnli")
    assert scored == ["xnli"]


def test_a_damaged_record_is_set_aside(project, copy, scored, capsys):
    """Said, kept, and scored again to the same numbers."""
    study = variant(project, copy)
    file, before = place(study, "xnli") / "record.json", study.evaluate("none", "xnli")
    file.write_text(file.read_text()[:100])
    pd.testing.assert_frame_equal(study.evaluate("none", "xnli"), before)
    assert scored == ["xnli"]
    said = capsys.readouterr().err
    assert str(file) in said
    assert "was set aside" in said
    assert len(list((study.out / "runs" / ".damaged").glob("*/record.json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "xnlli"), "did you mean 'xnli'"),
        (("none", "mnli"), "target 'mnli' is unknown"),
        (("mnlii", "xnli"), "did you mean 'mnli'"),
        (("none", "xnli", -1), "seed must be a whole number"),
        (("none", "xnli", True), "seed must be a whole number"),
    ],
)
def test_wrong_names(finished, arguments, message):
    with pytest.raises(ParameterError, match=message):
        finished.evaluate(*arguments)


# --- retrieval without training --------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", ["tatoeba", "bucc2018"])
def test_every_layer_is_scored(finished, target):
    record = read_json(place(finished, target).parent.parent / "record.json")
    assert list(record["layers"]) == ["0", "1", "2"]
    assert record["layer"] == scoring.default_layer(2) == 1
    stored = read_json(place(finished, target) / "record.json")
    assert stored["layer"] == 1
    metric = TASKS[target].metrics[0]
    for layer in record["layers"].values():
        assert set(layer) == set(LANGUAGES[target])
    assert record["layers"]["1"] == {x: s[metric] for x, s in stored["scores"].items()}


def test_the_layer_of_the_paper():
    assert [scoring.default_layer(n) for n in (24, 12, 4)] == [14, 7, 2]


def test_a_chosen_layer_is_another_run(project, copy):
    study = variant(project, copy, retrieval={"layer": 2})
    sweep = read_json(place(variant(project, copy), "tatoeba").parent.parent / "record.json")["layers"]
    frame = study.evaluate("none", "tatoeba").set_index("language")["value"]
    assert {x: frame[x] for x in ("de", "zh")} == sweep["2"]
    assert len(list((copy / "tiny" / "runs").glob("03.none.tatoeba.*"))) == 2


def test_a_layer_too_deep(project, copy):
    with pytest.raises(DataError, match=r"retrieval\.layer: 9, but the encoder has 2 layers"):
        variant(project, copy, retrieval={"layer": 9}).evaluate("none", "tatoeba")


def test_retrieval_again_by_hand(finished):
    """Sentence vectors made one by one, without padding, give the stored predictions."""
    import torch

    from xitt import backbone

    encoder = finished.backbone()
    tokenizer, model = backbone.load_tokenizer(encoder.path), backbone.load_encoder(encoder.path)

    def vector(sentence: str) -> np.ndarray:
        ids = tokenizer(sentence, return_tensors="pt", truncation=True, max_length=96)
        with torch.inference_mode():
            hidden = model(**ids, output_hidden_states=True).hidden_states[1][0].mean(0)
        return (hidden / hidden.norm()).numpy()

    examples, frame = test_split(finished, "tatoeba", "de"), predictions(finished, "tatoeba")["de"]
    german, english = (np.stack([vector(e[side]) for e in examples]) for side in ("first", "second"))
    cosine = english @ german.T
    assert cosine.argmax(1).tolist() == [int(p) for p in frame["prediction"]]
    np.testing.assert_allclose([s[0] for s in frame["scores"]], cosine.max(1), rtol=1e-4)
    rank = 1 + (cosine > np.diag(cosine)[:, None]).sum(1)
    assert rank.tolist() == frame["rank"].tolist()


def test_limits_hold_for_mining_too(project, finished):
    """``task_limits`` of a mining task is what it is called: fewer sentences are read."""
    few = variant(project, finished.out.parent, data={"task_limits": {"bucc2018": {"test": 40}}})
    assert len(test_split(few, "bucc2018", "de")[0]["gold"]) <= 40


def test_sizes_say_whether_a_set_is_cut(project, finished):
    """[examples, examples of the source] per language; a corpus that is read whole is not shown as a slice."""
    sizes = read_json(place(finished, "xnli") / "record.json")["sizes"]
    assert sizes == {x: [12, 1000] for x in LANGUAGES["xnli"]}
    whole = variant(
        project, finished.out.parent, data={"limits": {"test": None}, "task_limits": {"bucc2018": {"test": None}}}
    )
    table = tables.data_used(whole).set_index(["task", "split"])
    row = table.loc["BUCC 2018", "test"]
    assert row["used"] == row["there"]


# --- trained models ------------------------------------------------------------------------------------------------
def test_scoring_again_by_hand(finished):
    """The stored model, one example at a time, gives the stored probabilities."""
    import torch

    from xitt import backbone

    run = place(finished, "xnli").parent.parent
    k, tokenizer = kind("classify"), backbone.load_tokenizer(run / "model")
    model = backbone.load_model(run / "model", k.auto_class)
    frame = predictions(finished, "xnli")["zh"]
    for example, scores in zip(test_split(finished, "xnli", "zh"), frame["scores"], strict=True):
        ids = tokenizer(
            example["first"], example["second"], return_tensors="pt", truncation="longest_first", max_length=96
        )
        with torch.inference_mode():
            np.testing.assert_allclose(model(**ids).logits.softmax(-1)[0].numpy(), scores, rtol=1e-4, atol=1e-6)


def test_a_stream_of_small_batches_scores_the_same(project, copy):
    """``engine.eval_batch_tokens`` is a matter of speed."""
    study = variant(project, copy, engine={"eval_batch_tokens": 100})
    expected = {t: predictions(study, t) for t in ("xquad", "udpos")}
    for target, frames in expected.items():
        shutil.rmtree(place(study, target))
        study.evaluate("none", target)
        for language, frame in predictions(study, target).items():
            assert frame["prediction"].tolist() == frames[language]["prediction"].tolist()


def test_a_report_collects_results_once(project, copy, monkeypatch):
    study, calls = variant(project, copy), []
    for module, name in ((results, "collect"), (tables, "transfer")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1])
    monkeypatch.setenv("XITT_OUTPUTS", str(copy))
    cli.report(str(study.path))
    assert sorted(calls) == ["collect", "transfer"]
    page = (study.out / "report" / "index.html").read_text()
    assert "could not be made" not in page
    assert "Transfer from intermediate tasks" in page
    assert (study.out / "results.csv").read_text().count("udpos") > 10


# --- questions without answer, and MLQA's rules ------------------------------------------------------------------------
def test_a_run_of_squad_v2_keeps_its_null_threshold(project, tmp_path):
    """Tuned on dev, and what a target with such questions is answered by."""
    study = variant(project, tmp_path / "outputs")
    run = phases.train_intermediate(study, "squad_v2", 0)
    assert np.isfinite(run.record["null_threshold"])
    asked = data.load(study, "squad_v2", "dev").examples[:8]
    silent = 100 * sum(not e["answers"] for e in asked) / 8
    assert 0 < silent < 100
    assert run.record["training"]["best"]["score"] >= silent, "silence alone gets as much at the best threshold"


def test_mlqa_is_scored_by_its_own_rules(project, tmp_path):
    from xitt.metrics import find

    study = variant(project, tmp_path / "outputs")
    study.evaluate("none", "mlqa")
    folder = scoring.found(study, "none", "mlqa", 0)
    stored = read_json(folder / "record.json")["scores"]
    assert set(stored) == {"de", "en", "zh"}
    for language, values in stored.items():
        frame = evaluate.read_predictions(folder / f"{language}.parquet")
        assert values == {m: find("span", m, "mlqa", language).score(frame) for m in ("f1", "em")}
