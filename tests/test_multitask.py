"""Training on several tasks at once: samplers, steps, exact resume, what is kept, and a study from end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.test_end_to_end import xitt
from tests.test_train import (
    ALWAYS,
    NEVER,
    PAD,
    SEED,
    Interrupted,
    assert_same,
    checkpoints_at,
    cpu,
    hyper,
    interrupt,
    new,
    numbers,
    read_log,
    weights,
)
from tests.tiny import variant
from xitt import backbone, batch, data, graph, multitask, phases, recipes, status, tables, tasks, train
from xitt.batching import EpochOrder
from xitt.build import train_tokenizer
from xitt.errors import DataError, ParameterError
from xitt.kinds import kind
from xitt.metrics import null_threshold
from xitt.mixture import Mixture, Part, probabilities, total_steps
from xitt.multitask import DevMean, SharedEncoder
from xitt.pocket import text
from xitt.recipes import Sampler, canonical
from xitt.store import read_json
from xitt.study import load_study

PARTS = {"mnli": "classify", "squad_v1": "span", "hellaswag": "choose"}
ROWS = "[none, mnli, squad_v1, hellaswag, multitask]"


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


# --- samplers ------------------------------------------------------------------------------------------------------
SIZES = {"hellaswag": 100, "mnli": 900, "squad_v1": 400}


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ("proportional", [1 / 14, 9 / 14, 4 / 14]),
        ("proportional:400", [1 / 9, 4 / 9, 4 / 9]),
        ("proportional:50", [1 / 3, 1 / 3, 1 / 3]),
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ("temperature:2", [1 / 6, 3 / 6, 2 / 6]),  # square roots 10, 30, 20
        ("temperature:2:400", [1 / 5, 2 / 5, 2 / 5]),
        ("temperature:0.5", [1 / 98, 81 / 98, 16 / 98]),
        ("probabilities:squad_v1:0.2:mnli:0.3:hellaswag:0.5", [0.5, 0.3, 0.2]),
    ],
)
def test_probabilities(sampler, expected):
    np.testing.assert_allclose(probabilities(Sampler.of(sampler), SIZES), expected, rtol=1e-12)
    np.testing.assert_allclose(
        probabilities(Sampler.of(sampler), SIZES, 0.25), [*(0.75 * p for p in expected), 0.25], rtol=1e-12
    )


def test_a_very_high_temperature_is_uniform_and_huge_sizes_do_not_overflow():
    sizes = {"a": 10**9, "b": 1}
    np.testing.assert_allclose(probabilities(Sampler.of("temperature:1000000000"), sizes), [0.5, 0.5], atol=1e-7)
    low = probabilities(Sampler.of("temperature:0.01"), sizes)
    np.testing.assert_allclose(low, [1, 0], atol=1e-12)


class Units:
    """Features of which only the lengths matter."""

    def __init__(self, units: int):
        self.units, self.unit_lengths = units, np.full(units, 3)


def part(name: str, units: int, batch: int, seed: int = SEED) -> Part:
    return Part(name, None, kind("classify"), Units(units), EpochOrder(units, batch, 0, seed))


def test_drawn_as_often_as_asked():
    p, steps = np.array([0.1, 0.65, 0.25]), 40_000
    mixed = Mixture(tuple(part(n, 50, 8) for n in "abc"), p, steps, SEED)
    found = np.bincount(mixed.draws, minlength=3) / steps
    assert (abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / steps)).all()
    lag = (mixed.draws[1:] == mixed.draws[:-1]).mean()  # draws do not depend on the one before
    assert abs(lag - (p**2).sum()) < 0.015


def test_every_part_goes_through_its_own_epochs():
    mixed = Mixture((part("a", 20, 8), part("b", 7, 7), part("c", 3, 8)), np.array([0.5, 0.3, 0.2]), 300, SEED)
    seen: dict[str, list] = {"a": [], "b": [], "c": []}
    for step in range(mixed.steps):
        chosen, units = mixed[step]
        seen[chosen.name].append(units)
    assert sum(map(len, seen.values())) == 300
    for chosen in mixed.parts:
        own = seen[chosen.name]
        expected = [chosen.order[i] for i in range(len(own))]
        assert len(own) > 30
        assert all(np.array_equal(a, b) for a, b in zip(own, expected, strict=True))
        per_epoch = chosen.order.per_epoch
        for start in range(0, len(own) - per_epoch, per_epoch):
            assert sorted(np.concatenate(own[start : start + per_epoch])) == list(range(chosen.features.units))


def test_draws_follow_from_the_seed():
    parts, p = (part("a", 9, 3), part("b", 9, 3)), np.array([0.5, 0.5])
    one, same, other = (Mixture(parts, p, 200, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.draws, same.draws)
    assert not np.array_equal(one.draws, other.draws)
    backwards = [same[s][1] for s in reversed(range(200))][::-1]  # a step can be asked for at any time
    assert all(np.array_equal(one[s][1], u) for s, u in enumerate(backwards))


def test_loss_by_part():
    mixed = Mixture((part("a", 9, 3), part("b", 9, 3)), np.array([0.5, 0.5]), 8, SEED)
    mixed.draws[:] = [0, 1, 0, 0, 1, 1, 0, 0]
    assert mixed.losses(3, [2.0, 4.0]) == {"loss:a": 3.0}
    assert mixed.losses(5, [1.0, 2.0, 5.0, 6.5]) == {"loss:a": 1.5, "loss:b": 5.75}


# --- recipes -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("multitask", "multitask"),
        ("multitask{squad_v1,mnli}", "multitask{mnli,squad_v1}"),
        ("multitask { squad_v1, mnli } + sampler = uniform", "multitask{mnli,squad_v1}+sampler=uniform"),
        ("multitask+sampler=proportional", "multitask"),
        ("multitask+sampler=temperature:1", "multitask"),
        ("multitask+sampler=proportional:0500", "multitask+sampler=proportional:500"),
        ("multitask+sampler=temperature:1.0:500", "multitask+sampler=proportional:500"),
        ("multitask+sampler=temperature:2.0", "multitask+sampler=temperature:2"),
        ("multitask+sampler=temperature:10", "multitask+sampler=temperature:10"),
        ("multitask+sampler=uniform+mlm=.50", "multitask+mlm=0.5+sampler=uniform"),
        ("mnli+mlm=0.250", "mnli+mlm=0.25"),
        ("multitask{squad_v1,mnli}+sampler=probabilities:squad_v1:.7:mnli:0.30",
         "multitask{mnli,squad_v1}+sampler=probabilities:mnli:0.3:squad_v1:0.7"),
    ],
)  # fmt: skip
def test_one_spelling(given, expected):
    assert canonical(given) == expected
    assert canonical(expected) == expected


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    st.permutations(["hellaswag", "mnli", "squad_v1"]),
    st.permutations(["+mlm=0.5", "+sampler=temperature:4:9"]),
)
def test_order_does_not_matter(parts, options):
    text = "multitask{" + ",".join(parts) + "}" + "".join(options)
    assert canonical(text) == "multitask{hellaswag,mnli,squad_v1}+mlm=0.5+sampler=temperature:4:9"


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("multitsk", ["did you mean 'multitask'"]),
        ("multitask{mnli,hellaswg}", ["'hellaswg'", "did you mean 'hellaswag'", "valid: ", "hellaswag"]),
        ("multitask{mnli,xnli}", ["'xnli'", "valid: "]),  # a target
        ("multitask{mnli,none}", ["'none'", "valid: "]),
        ("multitask{mnli,multitask}", ["'multitask'", "valid: "]),
        ("multitask{mnli}", ["two or more", "the recipe mnli"]),
        ("multitask{mnli,mnli}", ["twice"]),
        ("multitask{mnli,}", ["''", "valid: "]),
        ("mnli{squad_v1,hellaswag}", ["mnli is a single task"]),
        ("mnli+sampler=uniform", ["goes with multitask", "mnli is a single task"]),
        ("multitask+smpler=uniform", ["'smpler'", "did you mean 'sampler'", "valid: attention_dropout, control, match, mlm, sampler, train"]),
        ("multitask+sampler=unifrm", ["'unifrm'", "did you mean 'uniform'", "temperature:T[:CAP]"]),
        ("multitask+sampler=uniform:3", ["the form uniform"]),
        ("multitask+sampler=temperature", ["the form temperature:T[:CAP]"]),
        ("multitask+sampler=temperature:0", ["above 0", "'0'"]),
        ("multitask+sampler=temperature:inf", ["above 0", "'inf'"]),
        ("multitask+sampler=temperature:-1", ["above 0", "'-1'"]),
        ("multitask+sampler=temperature:2:0", ["a cap is a whole number", "'0'"]),
        ("multitask+sampler=proportional:1e3", ["a cap is a whole number", "'1e3'"]),
        ("multitask+sampler=proportional:5:5", ["the form proportional[:CAP]"]),
        ("multitask{mnli,squad_v1}+sampler=probabilities:mnli:0.5", ["add up to 0.5"]),
        ("multitask{mnli,squad_v1}+sampler=probabilities:mnli:0.5:hellaswag:0.5", ["'hellaswag'", "valid: mnli, squad_v1"]),
        ("multitask{hellaswag,mnli,squad_v1}+sampler=probabilities:mnli:0.5:squad_v1:0.5", ["no probability for hellaswag"]),
        ("multitask+sampler=probabilities:mnli:0.5:mnli:0.5", ["twice"]),
        ("multitask+sampler=probabilities", ["the form probabilities"]),
        ("multitask+sampler=probabilities:mnli", ["the form probabilities"]),
        ("multitask+sampler=uniform+sampler=uniform", ["twice"]),
        ("mnli+mlm=1", ["between 0 and 1", "'1'"]),
        ("mnli+mlm=0", ["between 0 and 1", "'0'"]),
        ("mnli+mlm=half", ["between 0 and 1", "'half'"]),
        ("none+mlm=0.5", ["none trains nothing"]),
    ],
)  # fmt: skip
def test_what_is_refused(recipe, words):
    with pytest.raises(ParameterError) as caught:
        recipes.parse(recipe)
    for word in words:
        assert word in str(caught.value)


def test_file_names_differ():
    names = [recipes.parse(r).file_name for r in (
        "multitask", "multitask{mnli,squad_v1}", "multitask{mnli,squad_v1}+sampler=uniform", "multitask+sampler=uniform",
        "multitask+sampler=temperature:2", "multitask+sampler=temperature:2:5", "multitask+mlm=0.5", "mnli+mlm=0.5")]  # fmt: skip
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=+-]+", n) for n in names)


# --- one step, and the loop ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder, design=tiny.SMALL.replace("[none, mnli]", ROWS))
    return folder


@pytest.fixture(scope="module")
def features(project) -> dict:
    """Encoded examples of the parts and of raw text, with their label sets."""
    tokenizer = train_tokenizer(text.lines(("en", "de"), 200, 0), 500, 256, 0.5)
    study = variant(project, project / "outputs")
    found = {}
    for task, name in PARTS.items():
        labels = tasks.TASKS[task].labels
        found[task] = kind(name).encode(data.load(study, task, "train").examples, tokenizer, 96, labels), labels
    found["mlm"] = kind("mlm").encode(text.lines(("en",), 60, 1)["en"], tokenizer, 64), ()
    return found


def mixed_model(features, names, steps: int = 23, dropout: float = 0.2, init: int = 0):
    """Parts on one encoder, drawn equally often."""
    parts = []
    for task in names:
        f, labels = features[task]
        name = PARTS.get(task, "mlm")
        model = new(name, labels, dropout, seed=init)
        parts.append(Part(task, model, kind(name), f, EpochOrder(f.units, 8, 0, SEED)))
    shared = SharedEncoder([p.model for p in parts])
    return shared, Mixture(tuple(parts), np.full(len(parts), 1 / len(parts)), steps, SEED)


def gradients(model) -> dict[str, torch.Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("task", [*PARTS, "mlm"])
def test_a_step_has_the_gradients_of_its_part_alone(features, task):
    """Same encoder, same head, same units: equal gradients; other heads have none."""
    shared, mixed = mixed_model(features, (*PARTS, "mlm"), dropout=0.0)
    (part,) = (p for p in mixed.parts if p.name == task)
    alone = new(PARTS.get(task, "mlm"), features[task][1])
    assert weights(alone).keys() <= weights(part.model).keys()  # a pooler may have come with the shared encoder
    alone.load_state_dict({k: v for k, v in part.model.state_dict().items() if k in alone.state_dict()})
    units = part.order[0]
    losses = [
        train._step(model.train(), part.kind, part.features, units, part.lengths, cpu(300), PAD, (SEED, 0))[0]
        for model in (alone, part.model)
    ]
    assert float(losses[0]) == float(losses[1])
    expected, found = gradients(alone), gradients(part.model)
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        assert torch.equal(found[key], gradient), key
    touched = {id(p) for p in part.model.parameters()}
    assert all(p.grad is None for p in shared.parameters() if id(p) not in touched)
    assert all(len(list(m.parameters())) > 20 for m in shared.models)
    assert len({id(m.base_model) for m in shared.models}) == 1


def test_other_heads_stay_as_they_are(features, tmp_path):
    """A head moves only in the steps of its part, also under momentum and weight decay."""
    shared, mixed = mixed_model(features, ("hellaswag", "mnli", "squad_v1"), steps=12)
    mixed.draws[:] = [0] * 4 + [1] * 4 + [0] * 4
    before = weights(shared.models[2])
    train.fit_mixture(shared, mixed, hyper(), SEED, cpu(), tmp_path, PAD, "x")
    after = weights(shared.models[2])
    changed = {k for k in before if not np.array_equal(before[k], after[k])}
    assert changed
    assert all(k.startswith("roberta.") for k in changed)


def test_a_mixture_of_one_is_that_task(features, tmp_path):
    """The loop of a single task and that of a mixture are one: the same bits (no clipping: weights stand in another order)."""
    f, labels = features["mnli"]
    alone, k = new("classify", labels, 0.2), kind("classify")
    order = EpochOrder(f.units, 8, 23, SEED)
    for name in "ab":
        (tmp_path / name).mkdir()
    train.fit(alone, k, f, order, hyper(clip=1e9), SEED, cpu(600), tmp_path / "a", PAD, "x")
    shared, mixed = mixed_model(features, ("mnli",))
    train.fit_mixture(shared, mixed, hyper(clip=1e9), SEED, cpu(600), tmp_path / "b", PAD, "x")
    first, second = weights(alone), weights(shared.models[0])
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[k], second[k]) for k in first)
    logs = [[(x["step"], x["loss"]) for x in read_log(tmp_path / d)] for d in "ab"]
    assert logs[0] == logs[1]
    assert not any("loss:mnli" in x for x in read_log(tmp_path / "a"))
    assert all("loss:mnli" in x for x in read_log(tmp_path / "b"))


def run(features, folder: Path, seconds: float = NEVER, init: int = 0):
    """A short training with dropout on three tasks and raw text."""
    folder.mkdir(exist_ok=True)
    shared, mixed = mixed_model(features, (*PARTS, "mlm"), init=init)
    batches = [(p, {k: torch.from_numpy(v) for k, v in p.kind.batch(p.features, np.arange(4), PAD, (1, 1)).items()})
               for p in mixed.parts]  # fmt: skip

    def score(part, batch):
        def dev(model):
            with torch.inference_mode():
                return -float(part.kind.loss(part.kind.forward(model, batch), batch["target"])[0])

        return dev

    dev = DevMean({p.name: (p.model, score(p, b)) for p, b in batches})
    return shared, train.fit_mixture(shared, mixed, hyper(), SEED, cpu(600, seconds), folder, PAD, "x", dev)


@pytest.fixture(scope="module")
def undisturbed(features, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    model, summary = run(features, folder)
    return weights(model), numbers(summary), read_log(folder)


@pytest.mark.parametrize(
    ("function", "call"), [("_step", 1), ("_step", 9), ("_step", 23), ("_look", 1), ("save_weights", 7), ("write_json", 4), ("load_weights", 1)]
)  # fmt: skip
def test_a_resumed_mixture_ends_in_the_same_bits(features, undisturbed, tmp_path, monkeypatch, function, call):
    with monkeypatch.context() as patch:
        interrupt(patch, function, call)
        with pytest.raises(Interrupted):
            run(features, tmp_path, ALWAYS)
    saved = (tmp_path / "checkpoint").is_dir()
    assert saved == ((function, call) != ("_step", 1))
    torch.rand(3)  # whatever a new process has drawn
    model, summary = run(features, tmp_path, ALWAYS, init=5 if saved else 0)
    assert_same(undisturbed, model, summary, tmp_path)


@pytest.mark.parametrize(("saved", "stopped"), [(10, 14), (7, 9), (13, 23)])
def test_the_log_of_a_resumed_mixture(features, undisturbed, tmp_path, monkeypatch, saved, stopped):
    """Losses by part too: those of steps before the checkpoint are not lost."""
    with monkeypatch.context() as patch:
        checkpoints_at(patch, {saved})
        interrupt(patch, "_step", stopped)
        with pytest.raises(Interrupted):
            run(features, tmp_path, ALWAYS)
    run(features, tmp_path, ALWAYS, init=3)
    assert read_log(tmp_path) == undisturbed[2]


def test_the_dev_score_is_the_plain_mean_of_the_parts(undisturbed):
    _, summary, log = undisturbed
    looks = [x for x in log if "dev" in x]
    assert [x["step"] for x in looks] == [5, 10, 15, 20, 23]
    for x in looks:
        own = [v for k, v in x.items() if k.startswith("dev:")]
        assert len(own) == 4
        assert x["dev"] == pytest.approx(sum(own) / 4, abs=1e-3)
    assert summary["best"]["step"] == max(looks, key=lambda x: x["dev"])["step"]


def test_dev_mean():
    models = {"a": object(), "b": object(), "c": object()}
    asked = []
    dev = DevMean(
        {n: (m, lambda x, n=n: (asked.append(x), {"a": 10.0, "b": 50.0, "c": 90.0}[n])[1]) for n, m in models.items()}
    )
    assert dev(None) == 50
    assert dev.parts == {"a": 10.0, "b": 50.0, "c": 90.0}
    assert asked == list(models.values())  # each part with its own head


# --- runs ----------------------------------------------------------------------------------------------------------
def study_of(project: Path, outputs: Path, **changes):
    return variant(project, outputs, **changes)


@pytest.fixture(scope="module")
def trained(project):
    """A study with a mixture of all its tasks, one with raw text beside a task, and two scored targets."""
    study = study_of(project, project / "outputs")
    study.evaluate("multitask", "xnli")
    study.evaluate("multitask", "tatoeba")
    return study


def test_steps_are_the_sum_of_the_tasks(project, trained):
    """Sum over tasks of epochs x ceil(n / batch), each with its own recipe (paper_facts 2.1)."""
    t = trained.train("multitask").record["training"]
    assert list(t["parts"]) == ["hellaswag", "mnli", "squad_v1"]
    own = [x["units"] for x in t["parts"].values()]
    assert own[:2] == [48, 48]
    assert own[2] > 48  # windows of long texts
    assert t["steps"] == sum(-(-n // 8) for n in own) == sum(x["steps"] for x in t["parts"].values())
    assert [x["probability"] for x in t["parts"].values()] == [round(n / sum(own), 6) for n in own]
    other = study_of(project, project / "outputs",
                     recipes={"mnli": {"batch": 16, "epochs": 3, "length": 64}, "hellaswag": {"max_steps": 2}})  # fmt: skip
    t = other.train("multitask{hellaswag,mnli}+sampler=uniform").record["training"]
    assert t["steps"] == 2 + 3 * 3
    assert (t["parts"]["mnli"]["batch"], t["parts"]["mnli"]["length"], t["parts"]["mnli"]["probability"]) == (
        16,
        64,
        0.5,
    )
    capped = study_of(project, project / "outputs", recipes={"multitask": {"max_steps": 4, "lr": 2e-3}})
    t = capped.train("multitask").record["training"]
    assert (t["steps"], t["hyper"]["lr"]) == (4, 2e-3)
    assert total_steps([6, 6], 0.25) == 16


def test_what_is_kept_opens_and_scores_as_in_training(trained):
    """Encoder and heads from disk give the dev scores that chose the checkpoint."""
    run = trained.train("multitask")
    record, log = run.record, run.log
    best = log[(log["step"] == record["training"]["best"]["step"]) & log["dev"].notna()].iloc[0]
    tokenizer, where = backbone.load_tokenizer(run.model), phases.device(trained)
    base = backbone.load_encoder(run.model).state_dict()
    for task, name in PARTS.items():
        folder, row = run.path / "heads" / task, tasks.TASKS[task]
        model = backbone.load_model(folder, kind(name).auto_class)
        own = model.base_model.state_dict()
        assert all(torch.equal(base[k], own[k]) for k in base)
        assert phases.DevScore(trained, task, tokenizer, phases.hyper(trained, task), where)(model) == pytest.approx(
            best[f"dev:{task}"], abs=1e-4
        )
        assert kind(name).auto_class in (folder / "README.md").read_text()
        assert json.loads((folder / "config.json").read_text())["architectures"] == [type(model).__name__]
        shards = sorted(folder.glob("*.safetensors"))
        assert os.path.samefile(shards[0], run.model / "model.safetensors")  # the encoder is on disk once
        assert shards[1].stat().st_size < shards[0].stat().st_size / 4
        if row.labels:
            assert tuple(model.config.id2label.values()) == row.labels
    assert json.loads((run.model / "config.json").read_text())["architectures"] == ["XLMRobertaModel"]
    assert backbone.open_folder(run.model, "").identity == record["encoder"]
    assert record["encoder"]["weights"] == record["weights"]
    assert not list(run.path.glob("best*"))


def test_questions_without_answer_have_their_threshold(project):
    """As after training on SQuAD v2.0 alone: tuned on dev, with the head as it is kept."""
    study = study_of(project, project / "outputs")
    run = study.train("multitask{mnli,squad_v2}")
    (given,) = run.record["null_thresholds"].items()
    model = backbone.load_model(run.path / "heads" / "squad_v2", kind("span").auto_class)
    tokenizer, h, where = backbone.load_tokenizer(run.model), phases.hyper(study, "squad_v2"), phases.device(study)
    frame = phases.DevScore(study, "squad_v2", tokenizer, h, where).frame(model)
    assert given == ("squad_v2", pytest.approx(null_threshold(frame), abs=1e-4))


def test_a_disk_without_hard_links(trained, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(multitask.os, "link", refuse)
    run = trained.train("multitask")
    model = backbone.load_model(run.path / "heads" / "mnli", "AutoModelForSequenceClassification")
    multitask.save_head(model, backbone.load_tokenizer(run.model), tmp_path / "mnli", run.model, "")
    again = backbone.load_model(tmp_path / "mnli", "AutoModelForSequenceClassification")
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in again.state_dict().items())
    assert not os.path.samefile(tmp_path / "mnli" / multitask._ENCODER, run.model / "model.safetensors")


def test_every_head_starts_as_it_would_alone(trained):
    encoder = trained.backbone()
    tokenizer = backbone.load_tokenizer(encoder.path)
    part = multitask._part(trained, "mnli", data.load(trained, "mnli", "train"), tokenizer, encoder, 3)
    k, labels = kind("classify"), tasks.TASKS["mnli"].labels
    alone = backbone.new_model(encoder.path, k.auto_class, multitask.torch_seed(3, "init"), **k.labels(labels))
    assert all(torch.equal(v, part.model.state_dict()[k]) for k, v in alone.state_dict().items())
    h = phases.hyper(trained, "mnli")
    order = EpochOrder(part.features.units, h.batch, 99, 3)
    assert all(np.array_equal(part.order[i], order[i]) for i in range(20))


def test_trained_once_scored_as_any_row(trained, monkeypatch):
    monkeypatch.setattr(train, "fit_mixture", None)
    frame = trained.evaluate("multitask", "xnli")
    assert set(frame["intermediate"]) == {"multitask"}
    assert {"en", "avg"} <= set(frame["language"])
    about = read_json(next((trained.out / "runs").glob("02.multitask.mnli.s0-*")) / "record.json")["parent"]
    run = trained.train("multitask")
    assert about["weights"] == run.record["weights"]
    rows = trained.results()
    assert {"xnli", "tatoeba"} == set(rows[rows["intermediate"] == "multitask"]["target"])
    facts = tables.run_facts(run).set_index("what")["value"]
    assert facts["task"] == "HellaSwag, MNLI, SQuAD v1.1"
    assert "p = " in facts["steps of mnli"]


def test_lost_weights_are_made_again(project, trained, tmp_path, monkeypatch):
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    study = study_of(project, tmp_path / "outputs")
    run = study.train("multitask")
    shutil.rmtree(run.path / "model")
    encoder, again = phases.encoder_of(study, "multitask", 0)
    assert again.record["weights"] == run.record["weights"]
    assert backbone.open_folder(encoder.path, "").identity == encoder.identity


def spec(study, recipe: str = "multitask") -> str:
    return multitask.spec(study, recipe, 0, phases.backbone(study)).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"lr": 2e-3}},
        {"recipe": {"warmup": 0.2}},
        {"recipe": {"eval_every": 2}},
        {"recipes": {"mnli": {"batch": 4}}},
        {"recipes": {"squad_v1": {"epochs": 2}}},
        {"recipes": {"hellaswag": {"length": 64}}},
        {"recipes": {"multitask": {"lr": 2e-3}}},
        {"data": {"limits": {"train": 40}}},
        {"data": {"task_limits": {"hellaswag": {"dev": 4}}}},
        {"intermediates": ["none", "mnli", "squad_v1", "multitask"]},
        {"engine": {"precision": "bfloat16"}},
    ],
    ids=str,
)
def test_what_makes_another_mixture(project, trained, changes):
    assert spec(study_of(project, project / "outputs", **changes)) != spec(trained)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipes": {"mnli": {"lr": 3e-3}}},  # the rate is the mixture's
        {"recipes": {"udpos": {"epochs": 9}}},
        {"recipes": {"mlm": {"lr": 3e-3}}},
        {"intermediates": ["none", "hellaswag", "squad_v1", "mnli", "multitask"]},
        {"engine": {"micro_batch_tokens": 512}},
        {"targets": ["xnli"]},
    ],
    ids=str,
)
def test_what_does_not_make_another_mixture(project, trained, changes):
    assert spec(study_of(project, project / "outputs", **changes)) == spec(trained)


def test_sampler_parts_and_raw_text_make_other_mixtures(project, trained):
    forms = ["multitask", "multitask{hellaswag,mnli}", "multitask+sampler=uniform", "multitask+sampler=temperature:2",
             "multitask+sampler=proportional:40", "multitask+mlm=0.5", "multitask+mlm=0.25", "mnli+mlm=0.5"]  # fmt: skip
    assert len({spec(trained, r) for r in forms}) == len(forms)
    assert spec(trained, "multitask{hellaswag,mnli,squad_v1}") == spec(trained)  # the same training
    before = spec(trained, "mnli+mlm=0.5")
    for changes in ({"recipes": {"mlm": {"batch": 4}}}, {"data": {"languages": ["en", "zh"]}}):
        assert spec(study_of(project, project / "outputs", **changes), "mnli+mlm=0.5") != before


# --- raw text beside a task ----------------------------------------------------------------------------------------
def test_raw_text_beside_a_task(project, trained):
    run = trained.train("mnli+mlm=0.5")
    t = run.record["training"]
    assert t["steps"] == 12  # as many again as the task's 6
    assert {n: x["probability"] for n, x in t["parts"].items()} == {"mnli": 0.5, "mlm": 0.5}
    assert sum(x["steps"] for x in t["parts"].values()) == 12
    assert t["parts"]["mlm"]["units"] == 3 * 16  # 6 steps of 8 lines, equally many of each language
    assert t["hyper"]["lr"] == 5e-4  # half of the task's own
    assert {"loss:mnli", "loss:mlm", "dev:mnli"} < set(run.log.columns)
    assert "dev:mlm" not in run.log.columns
    mlm = backbone.load_model(run.path / "heads" / "mlm", "AutoModelForMaskedLM")
    assert mlm.lm_head.decoder.weight.data_ptr() == mlm.get_input_embeddings().weight.data_ptr()
    pretrained = backbone.load_model(trained.backbone().path, "AutoModelForMaskedLM")
    gap = float((mlm.lm_head.dense.weight - pretrained.lm_head.dense.weight).detach().abs().mean())
    fresh = new_head_gap(pretrained)
    assert 0 < gap < fresh / 3  # it goes on from the pre-trained head
    other = study_of(project, project / "outputs", recipes={"mlm": {"lr": 3e-4}})
    assert multitask.hyper(other, "mnli+mlm=0.5").lr == 3e-4
    assert multitask.hyper(other, "multitask").lr == 1e-3


def new_head_gap(pretrained) -> float:
    torch.manual_seed(0)
    other = type(pretrained)(pretrained.config)
    return float((other.lm_head.dense.weight - pretrained.lm_head.dense.weight).detach().abs().mean())


def test_raw_text_needs_a_source_and_a_head(project, trained, tmp_path, monkeypatch):
    hub = study_of(project, project / "outputs", data={"source": "hub"})
    monkeypatch.setattr(multitask.data, "load", lambda *a: data.Split("", "", "", [{}] * 48, 48, ""))
    with pytest.raises(DataError, match=r"mnli\+mlm=0.5.*mlm_text"):
        multitask._lines(hub, "mnli+mlm=0.5")
    monkeypatch.undo()
    folder = trained.train("mnli").model  # a classifier: no lm_head
    encoder = backbone.open_folder(folder, "")
    with pytest.raises(DataError, match="no MLM head"):
        multitask._mlm_part(trained, "mnli+mlm=0.5", backbone.load_tokenizer(folder), encoder, 0)


def test_raw_text_from_a_folder(project, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "mlm_text").mkdir()
    for language in ("en", "sw"):
        pq.write_table(
            pa.table({"text": [f"{language} {i}" for i in range(50)]}), tmp_path / "mlm_text" / f"{language}.parquet"
        )
    changes = {"source": "folder", "folder": str(tmp_path), "missing": "skip", "languages": ["en", "sw", "de"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multitask.data, "load", lambda *a: data.Split("", "", "", [{}] * 48, 48, ""))
        lines = multitask._lines(study_of(project, project / "outputs", data=changes), "mnli+mlm=0.5")
        assert {x["text"].split()[0] for x in lines} == {"en", "sw"}
        assert len(lines) == 48
        strict = study_of(project, project / "outputs", data={**changes, "missing": "error"})
        with pytest.raises(DataError, match=r"recipe mnli\+mlm=0.5: raw text for MLM.*no text for de"):
            multitask._lines(strict, "mnli+mlm=0.5")
        before = multitask._text_inputs(study_of(project, project / "outputs", data=changes), "mnli+mlm=0.5")
        pq.write_table(pa.table({"text": [f"en, other {i}" for i in range(50)]}), tmp_path / "mlm_text" / "en.parquet")
        after = multitask._text_inputs(study_of(project, project / "outputs", data=changes), "mnli+mlm=0.5")
        assert before.keys() == after.keys()
        assert [k for k in after if before[k] != after[k]] == ["identity"]


def test_no_raw_text_is_made_to_specify_a_run(trained, monkeypatch):
    from xitt import build

    monkeypatch.setattr(build, "text_lines", lambda *a: pytest.fail("made"))
    specs = {r: phases.intermediate_spec(trained, r, 0) for r in ("mnli+mlm=0.5", "mnli+mlm=0.25")}
    assert specs["mnli+mlm=0.5"].inputs["mlm"]["text"] == multitask._text_inputs(trained, "mnli+mlm=0.5")
    assert specs["mnli+mlm=0.5"].fingerprint != specs["mnli+mlm=0.25"].fingerprint


# --- studies -------------------------------------------------------------------------------------------------------
def test_tasks_of_a_recipe(trained):
    named = trained.intermediates
    assert recipes.tasks_of("multitask", named) == ("hellaswag", "mnli", "squad_v1")
    assert recipes.tasks_of("multitask{commonsenseqa,mnli}", named) == ("commonsenseqa", "mnli")
    assert recipes.tasks_of("mnli+mlm=0.5", named) == ("mnli",)
    assert recipes.tasks_of("none", named) == ()
    assert recipes.tasks_of("multitask", (*named, "mnli+mlm=0.5", "multitask")) == ("hellaswag", "mnli", "squad_v1")
    assert trained.intermediate_tasks == ("mnli", "squad_v1", "hellaswag")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"intermediates": ["none", "mnli", "multitask"]}, ["tiny.yaml", "'multitask'", "names 1", "in braces", "squad_v1"]),
        ({"intermediates": ["multitask"]}, ["tiny.yaml", "names none"]),
        ({"intermediates": ["multitask{mnli,qq}"]}, ["tiny.yaml", "intermediates", "'qq'"]),
        ({"intermediates": ["none", "mnli", "squad_v1", "multitask+sampler=probabilities:mnli:0.5:hellaswag:0.5"]},
         ["tiny.yaml", "'hellaswag'", "valid: mnli, squad_v1"]),
        ({"recipes": {"multitask": {"batch": 8}}}, ["tiny.yaml", "recipes", "multitask", "'batch'", "valid: lr, "]),
        ({"recipes": {"mlm": {"epochs": 1}}}, ["tiny.yaml", "recipes", "mlm", "'epochs'", "valid: lr, batch, length"]),
        ({"recipes": {"multitsk": {"lr": 1}}}, ["tiny.yaml", "'multitsk'"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_study_refuses(project, changes, words):
    with pytest.raises(ParameterError) as caught:
        study_of(project, project / "outputs", **changes)
    for word in words:
        assert word in str(caught.value)


def test_a_recipe_is_checked_against_the_study(project):
    study = study_of(project, project / "outputs", intermediates=["none", "mnli"])
    with pytest.raises(ParameterError, match="names 1"):
        study.train("multitask")
    assert study.check("multitask{squad_v1,mnli}") == "multitask{mnli,squad_v1}"


def test_a_study_from_end_to_end(tmp_path):
    """Notebooks 01, 02 and 03 through the batch runner, then the report."""
    name = "multitask{mnli,squad_v1}"
    tiny.make(
        tmp_path,
        design=tiny.SMALL.replace("[none, mnli]", f"[none, '{name}']").replace(
            "[xnli, udpos, panx, xquad, bucc2018, tatoeba]", "[xnli, tatoeba]"
        ),
    )
    done = xitt(tmp_path, "run", "params/tiny.yaml", "--only", "*multitask*")
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "outputs" / "tiny"
    stems = sorted(p.stem for p in (out / "notebooks").glob("*.ipynb"))
    safe = "multitask-mnli-squad_v1-.s0"
    assert stems == ["00", f"01.{safe}", f"02.{safe}", f"03.{safe}"]
    frame = pd.read_csv(out / "results.csv")
    assert set(frame[frame["intermediate"] == name]["target"]) == {"xnli", "tatoeba"}
    study = load_study(tmp_path / "params" / "tiny.yaml")
    states = {s.job.name: s.word for s in status.states(study)}
    assert states[f"01.{name}.s0"] == states[f"02.{name}.s0"]
    assert states["04"] == "waiting"
    assert xitt(tmp_path, "report", "params/tiny.yaml").returncode == 0
    assert name in (out / "report" / "index.html").read_text()
    before = {p.name for p in (out / "runs").glob("0*")}
    (job,) = (j for j in graph.jobs(study) if j.name == f"02.{name}.s0")
    batch._forget(study, job)
    gone = before - {p.name for p in (out / "runs").glob("0*")}
    assert len(gone) == 1
    assert next(iter(gone)).startswith(f"02.{safe.removesuffix('.s0')}.mnli.s0-")
