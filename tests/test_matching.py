"""Trainings of the same length (``+match=``), and training sets with nothing to learn in them (``+control=``)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.test_train import ALWAYS, PAD, SEED, Interrupted, cpu, hyper, interrupt, new, numbers, weights
from tests.tiny import variant
from xitt import backbone, control, data, encoded, matching, multitask, phases, plan, recipes, tables, train
from xitt.batching import EpochOrder, Listed, epoch_tokens, token_shares
from xitt.errors import DataError, ParameterError
from xitt.kinds import kind

ROWS = "[none, mnli, squad_v1, hellaswag, multitask]"
some = settings(max_examples=80, deadline=None, derandomize=True, database=None)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


# --- recipes -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("qqp+match=mnli", "qqp+match=mnli"),
        ("qqp + match = mnli + control = labels", "qqp+control=labels+match=mnli"),
        ("multitask{qqp,mnli}+match=squad_v1", "multitask{mnli,qqp}+match=squad_v1"),
        ("mnli+match=multitask{qqp,mnli}", "mnli+match=multitask{mnli,qqp}"),
        ("multitask{mnli,qqp}+match=multitask", "multitask{mnli,qqp}+match=multitask"),
        ("mnli+mlm=0.50+match=squad_v1", "mnli+match=squad_v1+mlm=0.5"),
        ("mnli+control=text+match=mnli", "mnli+control=text+match=mnli"),
    ],
)
def test_one_spelling(given, expected):
    assert recipes.canonical(given) == expected
    assert recipes.canonical(expected) == expected


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("qqp+match=mnly", ["'mnly'", "did you mean 'mnli'", "valid: ", "multitask"]),
        ("qqp+match=none", ["'none'", "valid: "]),
        ("qqp+match=xnli", ["'xnli'", "valid: "]),  # a target
        ("qqp+match=qqp", ["qqp has its own steps and tokens"]),
        ("multitask{mnli,qqp}+match=multitask{qqp,mnli}", ["has its own steps and tokens"]),
        ("qqp+match=multitask{mnli}", ["two or more"]),
        ("qqp+match=multitask{mnli,hellaswg}", ["did you mean 'hellaswag'"]),
        ("qqp+match=mnli+match=squad_v1", ["twice"]),
        ("none+match=mnli", ["none trains nothing"]),
        ("none+control=labels", ["none trains nothing"]),
        ("mnli+control=label", ["did you mean 'labels'", "valid: labels, text"]),
        ("squad_v1+control=labels", ["choose, classify", "squad_v1 is of the kind span"]),
        ("multitask{mnli,squad_v1}+control=labels", ["squad_v1 is of the kind span"]),
    ],
)
def test_what_is_refused(recipe, words):
    with pytest.raises(ParameterError) as caught:
        recipes.parse(recipe)
    for word in words:
        assert word in str(caught.value)


def test_a_reference_that_the_study_cannot_make_is_refused():
    with pytest.raises(ParameterError, match="name two or more"):
        recipes.tasks_of("qqp+match=multitask", ("none", "mnli"))
    assert recipes.tasks_of("qqp+match=multitask", ("none", "mnli", "ccg")) == ("qqp",)


# --- shares of tokens ----------------------------------------------------------------------------------------------
@some
@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=30), min_size=1, max_size=3),
    st.integers(1, 25),
    st.integers(0, 2**31),
    st.data(),
)
def test_totals_agree_within_one_example(lengths, steps, seed, drawn):
    tokens = [np.array(x) for x in lengths]
    longest = max(map(max, lengths))
    draws = np.array(drawn.draw(st.lists(st.integers(0, len(tokens) - 1), min_size=steps, max_size=steps)))
    total = drawn.draw(st.integers(longest * steps, longest * steps * 6))  # a share holds an example
    batches, used = token_shares(tokens, draws, total, seed)
    assert [len(b) for b in batches] == np.bincount(draws, minlength=len(tokens)).tolist()
    assert all(len(units) for some in batches for units in some)
    assert used == sum(int(t[u].sum()) for t, some in zip(tokens, batches, strict=True) for u in some)
    assert abs(used - total) <= longest
    reached, place, most = 0, Counter(), 0
    for step, part in enumerate(draws):  # every step has its share, too
        reached += int(tokens[part][batches[part][place[part]]].sum())
        place[part] += 1
        most = max(most, abs(reached - total * (step + 1) / steps))
    assert most <= longest
    for t, own in zip(tokens, batches, strict=True):
        order = np.concatenate([*own, np.zeros(0, int)]).astype(int)
        whole = len(order) // len(t) * len(t)
        assert all(c == 1 for e in order[:whole].reshape(-1, len(t)) for c in Counter(e.tolist()).values())


def test_examples_come_in_the_order_they_would_have_alone():
    tokens = np.random.default_rng(0).integers(3, 30, 50)
    (batches,), _ = token_shares([tokens], np.zeros(40, int), 3000, 5)
    alone = EpochOrder(50, 8, 99, 5)
    expected = np.concatenate([alone[s] for s in range(3 * alone.per_epoch)])
    found = np.concatenate(batches)
    assert 150 < len(found) < 250
    assert np.array_equal(found[:150], expected[: len(found)])


@some
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 12), st.integers(0, 40), st.integers(0, 99)
)
def test_tokens_of_epochs(lengths, batch, steps, seed):
    tokens, order = np.array(lengths), EpochOrder(len(lengths), batch, steps, seed)
    assert epoch_tokens(tokens, batch, steps, seed) == sum(int(tokens[order[s]].sum()) for s in range(steps))


def test_steps_too_short_for_an_example_are_refused():
    features = type("F", (), {"unit_tokens": np.full(9, 30)})()
    matching.order(matching.Goal("mnli", 10, 320), features, 0, "qqp")
    with pytest.raises(DataError, match="10 steps of mnli read 200 tokens"):
        matching.order(matching.Goal("mnli", 10, 200), features, 0, "qqp")


# --- in a study ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder, design=tiny.SMALL.replace("[none, mnli]", ROWS))
    return folder


@pytest.fixture(scope="module")
def study(project):
    made = variant(project, project / "outputs", targets=["tatoeba"])
    made.backbone()
    return made


def tokenizer_of(study):
    return backbone.load_tokenizer(study.backbone().path)


def longest(study, recipe: str) -> int:
    """Tokens of the longest example of a recipe's tasks."""
    tokenizer, most = tokenizer_of(study), 0
    for task in study.tasks_of(recipe):
        split, h = data.load(study, task, "train"), phases.hyper(study, task)
        f = encoded.features(study, kind(study.tasks[task].kind), split, tokenizer, h.length, data.labels(study, task))
        most = max(most, int(f.unit_tokens.max()))
    return most


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        ("hellaswag+match=squad_v1", "squad_v1"),
        ("mnli+match=multitask", "multitask"),
        ("multitask{hellaswag,squad_v1}+match=multitask", "multitask"),
        ("mnli+match=squad_v1+mlm=0.5", "squad_v1"),
    ],
)
def test_logged_steps_and_tokens_are_those_of_the_reference(study, recipe, reference):
    other, own = study.train(reference).record, study.train(recipe).record
    assert own["match"] == {"recipe": reference, **{k: other["training"][k] for k in ("steps", "tokens")}}
    assert own["training"]["steps"] == other["training"]["steps"]
    assert abs(own["training"]["tokens"] - other["training"]["tokens"]) <= longest(study, recipe)
    log = study.train(recipe).log.dropna(subset=["tokens"])
    assert log["tokens"].iloc[-1] == own["training"]["tokens"]
    assert "match" not in other


def test_without_match_they_differ(study):
    a, b = (study.train(r).record["training"] for r in ("hellaswag", "squad_v1"))
    assert abs(a["tokens"] - b["tokens"]) > 5 * longest(study, "hellaswag")


def test_the_notebook_shows_what_it_is_matched_to(study):
    facts = tables.run_facts(study.train("hellaswag+match=squad_v1")).set_index("what")["value"]
    assert facts["matched to"].startswith("squad_v1: ")
    assert "epochs" not in facts


def test_specifications_of_other_recipes_have_no_new_key(study):
    encoder = study.backbone()
    alone = phases.train_spec(study, "mnli", "intermediate", "mnli", 0, encoder).inputs
    assert set(alone) == {"task", "data", "encoder", "hyper", "seed", "precision", "versions"}
    assert (set(alone["data"]), set(alone["versions"])) == ({"train", "dev"}, {"train", "kind", "metric"})
    assert alone["hyper"]["epochs"] == 1
    mixed = multitask.spec(study, "multitask", 0, encoder).inputs
    assert set(mixed) == {"parts", "sampler", "encoder", "seed", "hyper", "precision", "versions"}
    assert set(mixed["parts"][0]["hyper"]) == {"epochs", "batch", "length", "max_steps", "eval_examples"}
    # the second phase knows nothing of it
    fine = phases.train_spec(study, "mnli", "target", "mnli+control=labels+match=squad_v1", 0, encoder)
    assert fine.inputs == phases.train_spec(study, "mnli", "target", "none", 0, encoder).inputs


def spec(study, recipe: str, seed: int = 0) -> str:
    return phases.intermediate_spec(study, recipe, seed).fingerprint


@pytest.mark.parametrize("recipe", ["hellaswag+match=squad_v1", "multitask{hellaswag,mnli}+match=squad_v1"])
def test_what_makes_another_matched_training(project, study, recipe):
    changes = {"recipes": {"squad_v1": {"epochs": 2}}}, {"data": {"task_limits": {"squad_v1": {"train": 40}}}}
    for some in (*changes, {"recipes": {"squad_v1": {"length": 64}}}):
        assert spec(variant(project, project / "outputs", **some), recipe) != spec(study, recipe)
    # epochs and batch are the reference's
    own = variant(project, project / "outputs", recipes={"hellaswag": {"epochs": 3, "batch": 4}})
    assert spec(own, recipe) == spec(study, recipe)
    variant(project, project / "outputs")


def test_nothing_is_tokenised_for_a_specification(study, monkeypatch):
    monkeypatch.setattr(encoded, "features", None)
    spec(study, "hellaswag+match=squad_v1")
    spec(study, "multitask{hellaswag,mnli}+control=labels+match=multitask")


def test_a_matched_training_resumes_in_the_same_bits(study, tmp_path, monkeypatch):
    tokenizer, labels = tokenizer_of(study), data.labels(study, "mnli")
    split = data.load(study, "mnli", "train")
    features = encoded.features(study, kind("classify"), split, tokenizer, 96, labels)

    def run(folder: Path, seconds: float, init: int = 0):
        folder.mkdir(exist_ok=True)
        goal = matching.goal(study, "mnli+match=squad_v1", SEED, tokenizer)
        model, order = new("classify", labels, 0.2, init), matching.order(goal, features, SEED, "mnli")
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        torch.manual_seed(0)
        torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.02)
        found = train.fit(
            model, kind("classify"), features, order, hyper(), SEED, cpu(600, seconds), folder, PAD, "x", None
        )
        return weights(model), numbers(found)

    expected, figures = run(tmp_path / "a", 1e9)
    with monkeypatch.context() as patch:
        interrupt(patch, "_step", 4)
        with pytest.raises(Interrupted):
            run(tmp_path / "b", ALWAYS)
    found, again = run(tmp_path / "b", ALWAYS, init=3)
    assert again == figures
    assert all(np.array_equal(found[k], expected[k]) for k in expected)


def test_the_plan_counts_the_reference(study):
    works = plan.plan(variant_rows(study, "hellaswag+match=squad_v1")).works
    own, other = (works["intermediate", r, 0] for r in ("hellaswag+match=squad_v1", "squad_v1"))
    assert own.tokens == other.tokens
    alone = plan.plan(study).works["intermediate", "hellaswag", 0]
    # no more FLOPs per token than for its own examples
    assert own.flops / own.tokens == pytest.approx(alone.flops / alone.tokens)


def variant_rows(study, *rows: str):
    """The study with more rows."""
    from xitt.study import Study

    params = study.params.model_copy(update={"intermediates": (*study.intermediates, *rows)})
    return Study(study.path, params, study.designs, study.root, study.tasks)


# --- controls ------------------------------------------------------------------------------------------------------
def test_labels_are_permuted(study):
    plain = data.training(study, "mnli")
    made, same, other = (control.training(study, "mnli", ("en",), "labels", s) for s in (0, 0, 1))
    texts = [{k: v for k, v in e.items() if k != "label"} for e in plain.examples]
    assert [{k: v for k, v in e.items() if k != "label"} for e in made.examples] == texts
    labels = [[e["label"] for e in s.examples] for s in (plain, made, same, other)]
    assert Counter(labels[0]) == Counter(labels[1])
    kept = np.mean(np.array(labels[0]) == np.array(labels[1]))
    assert kept < 0.6  # by chance a third of them
    assert labels[1] == labels[2] != labels[3]
    assert len({s.fingerprint for s in (plain, made, other)}) == 3


@pytest.mark.parametrize("task", ["mnli", "hellaswag", "squad_v1", "udpos"])
def test_text_is_drawn_anew(study, task):
    row, plain = study.tasks[task], data.training(study, task)
    made = control.training(study, task, ("en",), "text", 0)
    fields = control.TEXTS[row.kind]
    before, after = ([w for e in s.examples for f in fields for w in control._words(e.get(f))] for s in (plain, made))
    assert len(before) == len(after)
    assert set(after) <= set(before)
    common = [w for w, _ in Counter(before).most_common(5)]
    for word in common:  # as often as before, within five standard errors
        expected = before.count(word)
        assert abs(after.count(word) - expected) < 5 * np.sqrt(2 * expected)
    assert np.mean([a == b for a, b in zip(before, after, strict=True)]) < 0.3
    for old, new_ in zip(plain.examples, made.examples, strict=True):
        assert [len(control._words(old.get(f))) for f in fields] == [len(control._words(new_.get(f))) for f in fields]
        assert old.get("label") == new_.get("label")
        assert old.get("tags") == new_.get("tags")
    if task == "squad_v1":
        for e in made.examples:
            for text, start in zip(e["answers"], e["starts"], strict=True):
                assert e["context"][start : start + len(text)] == text
        assert all(len(e["answers"]) for e in made.examples)


def test_a_control_is_trained_to_its_last_step(study):
    run = study.train("mnli+control=labels")
    plain = study.train("mnli")
    assert run.record["training"]["best"] is None
    assert {k: run.record["training"][k] for k in ("steps", "tokens")} == {
        k: plain.record["training"][k] for k in ("steps", "tokens")
    }
    assert run.record["weights"] != plain.record["weights"]
    assert "dev" not in run.log


def test_a_control_of_a_mixture_has_every_part_changed(study):
    run = study.train("multitask{hellaswag,mnli}+control=text+match=mnli")
    assert run.record["training"]["best"] is None
    assert run.record["training"]["steps"] == run.record["match"]["steps"]
    inputs = multitask.spec(study, "multitask{hellaswag,mnli}+control=text", 0, study.backbone()).inputs
    plain = multitask.spec(study, "multitask{hellaswag,mnli}", 0, study.backbone()).inputs
    for ours, theirs in zip(inputs["parts"], plain["parts"], strict=True):
        assert ours["data"]["train"] != theirs["data"]["train"]
        assert "dev" not in ours["data"]


def test_another_seed_is_another_control(study):
    assert spec(study, "mnli+control=labels", 0) != spec(study, "mnli+control=labels", 1)
    prints = {control.training(study, "mnli", ("en",), h, 0).fingerprint for h in ("", "labels", "text")}
    assert len(prints) == 3


def test_a_mixture_without_names_is_checked_too(study):
    with pytest.raises(ParameterError, match="squad_v1 is of the kind span"):
        study.train("multitask+control=labels")


def test_batches_that_are_there_already():
    batches = Listed([np.array([1, 2]), np.array([0])])
    assert (batches.steps, batches.mean, batches[1].tolist()) == (2, 1.5, [0])
