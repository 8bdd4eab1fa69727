"""The training loop and the calls around it: the same numbers however work is cut, stopped or repeated."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests import tiny
from tests.tiny import variant
from xitt import backbone, batching, checkpoints, data, graph, phases, pretrained, scoring, train
from xitt.batching import EpochOrder, Ragged, TokenOrder
from xitt.build import train_tokenizer
from xitt.errors import DataError
from xitt.kinds import kind
from xitt.kinds.base import IGNORE
from xitt.pocket import text
from xitt.store import read_json
from xitt.study import Study, read_yaml
from xitt.tasks import TASKS
from xitt.train import Device, Diverged, Hyper, fit

#: one task of every kind that is trained
BY_KIND = {"classify": "mnli", "choose": "hellaswag", "tag": "udpos", "span": "squad_v1", "mlm": None}
VOCABULARY, PAD, SEED, NEVER, ALWAYS = 500, 1, 7, 1e9, 1e-9
DRAW = (SEED, 0)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(text.lines(("en", "de"), 200, 0), VOCABULARY, 256, 0.5)


@pytest.fixture(scope="module")
def features(project, tokenizer) -> dict:
    """Encoded examples of every kind, with their label sets."""
    study, found = variant(project, project / "outputs"), {}
    for name, task in BY_KIND.items():
        labels = TASKS[task].labels if task else ()
        examples = data.load(study, task, "train").examples if task else text.lines(("en",), 60, 1)["en"]
        found[name] = kind(name).encode(examples, tokenizer, 96, labels), labels
    return found


def new(name: str, labels=(), dropout: float = 0.0, seed: int = 0):
    """A small untrained XLM-R with the head of a kind."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.XLMRobertaConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=260, pad_token_id=PAD, initializer_range=0.2, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, **kind(name).labels(labels),
    )  # fmt: skip
    return getattr(transformers, kind(name).auto_class).from_config(config)


def cpu(micro: int = 8192, seconds: float = NEVER) -> Device:
    return Device("cpu", "float32", micro, 16384, seconds)


def hyper(**changes) -> Hyper:
    base = {"lr": 5e-3, "epochs": 4, "batch": 8, "length": 96, "max_steps": 23, "weight_decay": 0.01, "warmup": 0.1}
    return Hyper(**{**base, "clip": 1.0, "eval_every": 5, "eval_examples": 8, **changes})


# --- one step ------------------------------------------------------------------------------------------------------
def padded_step(model, name: str, features, units) -> float:
    """Loss and gradients of one padded batch, in the plainest way."""
    k = kind(name)
    batch = {key: torch.from_numpy(v) for key, v in k.batch(features, units, PAD, DRAW).items()}
    total, labels = k.loss(k.forward(model, batch), batch["target"])
    loss = total / labels
    loss.backward()
    return loss.item()


@pytest.mark.parametrize("name", BY_KIND)
def test_micro_batches_add_up_to_the_batch(features, name):
    f, labels = features[name]
    units, lengths = np.arange(3, min(f.units, 19)), f.unit_lengths
    once, parts = (new(name, labels).double().train() for _ in range(2))
    expected = padded_step(once, name, f, units)
    budget = 3 * int(lengths[units].max()) * f.group
    assert len(batching.micro_batches(lengths[units], f.group, budget, cpu().overhead)) >= 3
    loss, tokens = train._step(parts, kind(name), f, units, lengths, cpu(budget), PAD, DRAW)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert tokens == f.ids.lengths[f.rows(units)].sum()
    found, gradients = ({n: p.grad for n, p in m.named_parameters() if p.grad is not None} for m in (parts, once))
    assert found.keys() == gradients.keys()
    assert len(gradients) > 20
    noise = 1e-7 * max(float(g.abs().max()) for g in gradients.values())  # some are 0 but for rounding: key biases
    for key, gradient in gradients.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-5, atol=noise, msg=key)


def test_the_cut_of_a_batch_does_not_choose_what_is_masked(features):
    """``engine.micro_batch_tokens`` is in no fingerprint, so it must not change a result beyond rounding."""
    f, _ = features["mlm"]
    losses = [
        float(train._step(new("mlm").train(), kind("mlm"), f, np.arange(16), f.unit_lengths, cpu(budget), PAD,
                          DRAW)[0])
        for budget in (100_000, 60)
    ]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_tagging_loss_is_a_mean_over_labels(features):
    """Not a mean of the sentences' means: a long sentence counts by its words."""
    f, labels = features["tag"]
    units = np.argsort(f.unit_lengths)[[0, -1]]
    model = new("tag", labels).train()
    with torch.no_grad():
        ids = torch.from_numpy(f.ids.padded(units, PAD).astype(np.int64))
        logits = model(input_ids=ids, attention_mask=(ids != PAD).long()).logits
    target = torch.from_numpy(f.target.padded(units, IGNORE).astype(np.int64))
    assert (target[0] != IGNORE).sum() < (target[1] != IGNORE).sum()
    by_label = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)
    by_sentence = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), target, ignore_index=IGNORE, reduction="none"
    )
    by_sentence = (by_sentence.sum(1) / (target != IGNORE).sum(1)).mean()
    loss, _ = train._step(model, kind("tag"), f, units, f.unit_lengths, cpu(1), PAD, DRAW)
    assert float(loss) == pytest.approx(float(by_label), rel=1e-5)
    assert float(loss) != pytest.approx(float(by_sentence), rel=1e-4)


def test_a_part_without_labels_adds_nothing(features):
    """A micro-batch of masked language modelling in which nothing is masked."""
    f, _ = features["mlm"]
    bare = replace(f, extra={**f.extra, "masked": 0.0})
    model = new("mlm").train()
    loss, _ = train._step(model, kind("mlm"), bare, np.arange(4), bare.unit_lengths, cpu(1), PAD, DRAW)
    assert float(loss) == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


# --- schedule and optimizer ----------------------------------------------------------------------------------------
def test_learning_rate_step_by_step():
    rates = [train._linear(2.0, 4, 10)(s) for s in range(10)]
    assert rates == pytest.approx([0.5, 1, 1.5, 2, 2, 2 * 5 / 6, 2 * 4 / 6, 2 * 3 / 6, 2 * 2 / 6, 2 / 6])


def test_learning_rate_without_warm_up():
    assert [train._linear(1.0, 0, 4)(s) for s in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert train._linear(1.0, 1, 1)(0) == 1


def test_the_schedule_is_what_the_optimizer_sees(features, tmp_path, monkeypatch):
    seen = []
    real = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *a: (seen.append([g["lr"] for g in self.param_groups]), real(self, *a))[1],
    )
    run(features, tmp_path, hyper=hyper(max_steps=20, warmup=0.25))
    expected = [train._linear(5e-3, 5, 20)(s) for s in range(20)]
    assert [lr for lr, _ in seen] == pytest.approx(expected)
    assert [lr for _, lr in seen] == pytest.approx(expected)
    assert expected[4] == 5e-3
    logged = {line["step"]: line["lr"] for line in read_log(tmp_path) if "lr" in line}
    assert logged == pytest.approx({10: expected[9], 20: expected[19]})


@pytest.mark.parametrize("name", BY_KIND)
def test_weight_decay_spares_biases_and_layer_norm(name):
    model = new(name, ("a", "b", "c"))
    decayed, plain = train._groups(model, 0.3)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0)
    names = {id(p): n for n, p in model.named_parameters()}
    assert sorted(names) == sorted(id(p) for g in (decayed, plain) for p in g["params"]), "each once"
    assert {names[id(p)].rsplit(".", 1)[1] for p in decayed["params"]} == {"weight"}
    assert all(p.dim() == 2 for p in decayed["params"])
    assert all(p.dim() == 1 for p in plain["params"])
    assert any("LayerNorm.weight" in names[id(p)] for p in plain["params"])


@pytest.mark.parametrize(
    ("units", "batch", "epochs", "cap", "steps"),
    [(100, 8, 3, None, 39), (100, 8, 3, 20, 20), (96, 8, 1, None, 12), (5, 8, 2, None, 2), (96, 8, 0.5, None, 6), (80, 8, 1.1, None, 11)],
)  # fmt: skip
def test_number_of_steps(units, batch, epochs, cap, steps):
    """epochs x ceil(n / batch), at most ``max_steps``."""
    assert hyper(epochs=epochs, batch=batch, max_steps=cap).steps(units) == steps


# --- the loop ------------------------------------------------------------------------------------------------------
def run(features, folder: Path, name: str = "classify", seconds: float = NEVER, init: int = 0, hyper=hyper(), what="x"):  # noqa: B008
    """A short training with dropout; returns model and summary."""
    folder.mkdir(exist_ok=True)
    f, labels = features[name]
    model, k = new(name, labels, dropout=0.2, seed=init), kind(name)
    if name == "mlm":
        share = np.array([0.5, 0.5])
        order = TokenOrder(f.unit_lengths, np.arange(f.units) % 2, share, 200, 200 * hyper.max_steps, SEED)
    else:
        order = EpochOrder(f.units, hyper.batch, hyper.steps(f.units), SEED)
    first = {key: torch.from_numpy(v) for key, v in k.batch(f, np.arange(8), PAD, DRAW).items()}

    def score_dev(model) -> float:
        with torch.inference_mode():
            total, _ = k.loss(k.forward(model, first), first["target"])
        return -float(total)

    return model, fit(model, k, f, order, hyper, SEED, cpu(600, seconds), folder, PAD, what, score_dev)


def read_log(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def weights(model) -> dict[str, np.ndarray]:
    return {k: v.numpy().copy() for k, v in model.state_dict().items()}


def numbers(summary: dict) -> dict:
    return {k: v for k, v in summary.items() if "second" not in k}


def test_the_loss_falls(features, tmp_path):
    run(features, tmp_path, "mlm")
    losses = [line["loss"] for line in read_log(tmp_path) if "loss" in line]
    assert losses[-1] < losses[0] - 0.1


def test_a_training_keeps_its_best(features, tmp_path):
    model, summary = run(features, tmp_path)
    log = read_log(tmp_path)
    devs = {line["step"]: line["dev"] for line in log if "dev" in line}
    assert list(devs) == [5, 10, 15, 20, 23]
    best = max(devs, key=devs.get)
    assert summary["best"]["step"] == best
    assert summary["best"]["score"] == pytest.approx(devs[best], abs=1e-4)
    losses = {line["step"]: line["loss"] for line in log if "loss" in line}
    assert list(losses) == [10, 20, 23]
    assert not model.training
    f, _ = features["classify"]
    k = kind("classify")
    batch = {key: torch.from_numpy(v) for key, v in k.batch(f, np.arange(8), PAD).items()}
    with torch.inference_mode():
        assert -float(k.loss(k.forward(model, batch), batch["target"])[0]) == summary["best"]["score"]
    units = [EpochOrder(f.units, 8, 23, SEED)[s] for s in range(23)]
    assert summary["tokens"] == sum(int(f.ids.lengths[u].sum()) for u in units)
    assert (summary["steps"], summary["hyper"]["lr"]) == (23, 5e-3)


def test_same_seed_same_weights_other_seed_others(features, tmp_path, monkeypatch):
    first, second = (weights(run(features, tmp_path / str(i))[0]) for i in range(2))
    assert all(np.array_equal(first[k], second[k]) for k in first)
    monkeypatch.setattr("tests.test_train.SEED", SEED + 1)
    third = weights(run(features, tmp_path / "2")[0])
    assert any(not np.array_equal(first[k], third[k]) for k in first)


class Interrupted(BaseException):
    """Like a killed process: nothing catches it."""


def interrupt(monkeypatch, function: str, call: int):
    """Raise in place of the n-th call of one of the loop's functions."""
    module = train if hasattr(train, function) else checkpoints
    real, calls = getattr(module, function), []

    def stop(*arguments):
        calls.append(0)
        if len(calls) == call:
            raise Interrupted
        return real(*arguments)

    monkeypatch.setattr(module, function, stop)


def checkpoints_at(monkeypatch, steps: set[int]):
    """Write checkpoints after these steps only."""
    real = checkpoints.write
    monkeypatch.setattr(checkpoints, "write", lambda f, m, o, s: real(f, m, o, s) if s["step"] in steps else None)


@pytest.fixture(scope="module")
def undisturbed(features, tmp_path_factory) -> dict:
    found = {}
    for name in ("classify", "mlm"):
        folder = tmp_path_factory.mktemp(name)
        model, summary = run(features, folder, name)
        found[name] = weights(model), numbers(summary), read_log(folder)
    return found


def assert_same(undisturbed: tuple, model, summary: dict, folder: Path):
    """A training ended with the weights, figures and dev scores of one never disturbed."""
    expected, figures, log = undisturbed
    found = weights(model)
    assert found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)
    assert numbers(summary) == figures
    assert [x for x in read_log(folder) if "dev" in x] == [x for x in log if "dev" in x]


@pytest.mark.parametrize(
    ("name", "function", "call"),
    [
        ("classify", "_step", 1),  # before any checkpoint
        ("classify", "_step", 9),
        ("classify", "_step", 23),
        ("classify", "_look", 1),  # weights are updated, the checkpoint is a step older
        ("classify", "_look", 5),  # at the very end
        ("classify", "save_weights", 7),  # while a best model or a checkpoint is written
        ("classify", "write", 8),
        ("classify", "write_json", 4),  # a checkpoint has its tensors and no state
        ("classify", "load_weights", 1),  # trained to the end, the best weights not yet back
        ("mlm", "_step", 14),  # what is masked comes back too
    ],
)
def test_a_resumed_training_ends_in_the_same_bits(features, undisturbed, tmp_path, monkeypatch, name, function, call):
    with monkeypatch.context() as patch:
        interrupt(patch, function, call)
        with pytest.raises(Interrupted):
            run(features, tmp_path, name, ALWAYS)
    saved = (tmp_path / "checkpoint").is_dir()
    assert saved == ((function, call) != ("_step", 1))
    torch.rand(3)  # whatever a new process has drawn
    model, summary = run(features, tmp_path, name, ALWAYS, init=5 if saved else 0)
    assert_same(undisturbed[name], model, summary, tmp_path)


def test_many_interruptions(features, undisturbed, tmp_path, monkeypatch):
    """Killed again and again, with steps lost each time."""
    for attempt in range(30):
        with monkeypatch.context() as patch:
            checkpoints_at(patch, {4, 9, 13, 16, 21})
            interrupt(patch, "_step", 6)
            try:
                model, summary = run(features, tmp_path, "classify", ALWAYS, init=attempt)
                break
            except Interrupted:
                continue
    assert attempt == 5
    assert_same(undisturbed["classify"], model, summary, tmp_path)


@pytest.mark.parametrize(("saved", "stopped"), [(10, 14), (7, 9), (13, 23)])
def test_the_log_of_a_resumed_training(features, undisturbed, tmp_path, monkeypatch, saved, stopped):
    """Lines past the checkpoint are written again, none twice, at the same steps and with the same losses."""
    with monkeypatch.context() as patch:
        checkpoints_at(patch, {saved})
        interrupt(patch, "_step", stopped)
        with pytest.raises(Interrupted):
            run(features, tmp_path, "classify", ALWAYS)
    run(features, tmp_path, "classify", ALWAYS)
    assert read_log(tmp_path) == undisturbed["classify"][2]


def test_seconds_go_on_after_an_interruption(features, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, "_step", 12)
        with pytest.raises(Interrupted):
            run(features, tmp_path, "classify", ALWAYS)
    state = read_json(next((tmp_path / "checkpoint").iterdir()) / "state.json")
    assert state["step"] == 11
    state["seconds"] = 1000.0
    (tmp_path / "checkpoint" / "00000011" / "state.json").write_text(json.dumps(state))
    assert run(features, tmp_path, "classify", ALWAYS)[1]["seconds"] > 1000


def test_one_checkpoint_is_kept_and_holds_no_pickle(features, tmp_path, monkeypatch):
    interrupt(monkeypatch, "_step", 12)
    with pytest.raises(Interrupted):
        run(features, tmp_path, "classify", ALWAYS)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    inside = [f"checkpoint/00000011/{f}" for f in ("model.safetensors", "optimizer.safetensors", "state.json")]
    assert files == ["best.safetensors", "best.sha256", *inside, "log.jsonl"]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize(
    ("damage", "older"), [("truncate", True), ("empty", True), ("delete", True), ("truncate", False)]
)
def test_a_damaged_checkpoint_is_passed_over(features, undisturbed, tmp_path, monkeypatch, capsys, file, damage, older):
    with monkeypatch.context() as patch:
        if older:
            patch.setattr(checkpoints.shutil, "rmtree", lambda *a, **k: None)
        checkpoints_at(patch, {6, 11})
        interrupt(patch, "_step", 14)
        with pytest.raises(Interrupted):
            run(features, tmp_path, "classify", ALWAYS)
    path = tmp_path / "checkpoint" / "00000011" / file
    content = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) * 2 // 3] if damage == "truncate" else b"")
    capsys.readouterr()
    model, summary = run(features, tmp_path, "classify", NEVER, init=5)
    said = capsys.readouterr().out
    assert "checkpoint 00000011 is damaged" in said
    assert ("continues at step 6" in said) == older
    if older:
        assert_same(undisturbed["classify"], model, summary, tmp_path)
    else:  # from the start: with the weights that the caller gave
        fresh, again = run(features, tmp_path / "fresh", "classify", init=5)
        expected = weights(fresh), numbers(again), read_log(tmp_path / "fresh")
        assert_same(expected, model, summary, tmp_path)


@pytest.mark.parametrize(("value", "step"), [("nan", 1), ("inf", 4), ("nan", 23)])
def test_a_loss_that_is_no_number(features, tmp_path, monkeypatch, value, step):
    """The message names the task and a step at most ten after the first bad one."""
    real, calls = train._step, []

    def poisoned(*arguments):
        calls.append(0)
        loss, tokens = real(*arguments)
        return (loss * float(value) if len(calls) == step else loss), tokens

    monkeypatch.setattr(train, "_step", poisoned)
    with pytest.raises(Diverged, match=rf"mnli: the loss is {value} at step \d+ \(learning rate 0.005") as error:
        run(features, tmp_path, what="mnli")
    named = int(re.search(r"step (\d+)", str(error.value))[1])
    assert step <= named < step + 10


def test_a_real_divergence(features, tmp_path):
    with pytest.raises(Diverged, match="at step"):
        run(features, tmp_path, hyper=hyper(lr=1e30, clip=1e30))


# --- runs: done once, by their specification -----------------------------------------------------------------------
@pytest.fixture(scope="module")
def built(project) -> Path:
    """Outputs with a backbone, a trained intermediate and two scored targets."""
    outputs = project / "outputs"
    study = variant(project, outputs)
    for target in ("xnli", "udpos", "tatoeba"):
        study.evaluate("mnli", target)
    return outputs


@pytest.fixture
def outputs(built, tmp_path) -> Path:
    shutil.copytree(built, tmp_path / "outputs")
    return tmp_path / "outputs"


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """Names of the trainings that the test sets off."""
    done: list[str] = []
    real = train.fit
    monkeypatch.setattr(train, "fit", lambda *a, **k: (done.append(a[9]), real(*a, **k))[1])
    return done


def records(outputs: Path) -> dict[str, int]:
    return {str(p.relative_to(outputs)): p.stat().st_mtime_ns for p in outputs.rglob("record.json")}


def only(outputs: Path, glob: str) -> Path:
    (found,) = (outputs / "tiny" / "runs").glob(glob)
    return found


def test_training_twice_is_one_run(project, outputs, trainings):
    before = records(outputs)
    first, second = (variant(project, outputs).train("mnli") for _ in range(2))
    assert first.path == second.path == only(outputs, "01.mnli.s0-*")
    assert first.record == second.record
    assert (trainings, records(outputs)) == ([], before)
    assert not list((outputs / "tiny" / "runs" / ".partial").iterdir())


def test_a_run_is_the_same_wherever_it_is_made(project, outputs, trainings):
    """Same specification, same weights: a run made again equals the one that was lost."""
    study = variant(project, outputs)
    first = study.train("mnli")
    shutil.rmtree(first.path)
    again = study.train("mnli")
    assert trainings == ["mnli"]
    assert again.path == first.path
    assert again.record["weights"] == first.record["weights"]
    assert study.train("mnli", seed=3).record["weights"] != first.record["weights"]


def test_evaluating_twice_is_one_evaluation(project, outputs, trainings, monkeypatch):
    before, study = records(outputs), variant(project, outputs)
    expected = pd.concat([study.evaluate("mnli", t) for t in ("xnli", "tatoeba")])
    monkeypatch.setattr(scoring, "_write", None)
    again = variant(project, outputs)
    pd.testing.assert_frame_equal(pd.concat([again.evaluate("mnli", t) for t in ("xnli", "tatoeba")]), expected)
    assert (trainings, records(outputs)) == ([], before)


def spec(study: Study, seed: int = 0, **encoder) -> str:
    known = replace(phases.backbone(study), **encoder)
    return phases.train_spec(study, "mnli", "intermediate", "mnli", seed, known).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"lr": 2e-3}},
        {"recipe": {"epochs": 2}},
        {"recipes": {"mnli": {"batch": 4}}},
        {"recipe": {"eval_every": 2}},
        {"data": {"limits": {"train": 40}}},
        {"data": {"limits": {"dev": 4}}},
        {"engine": {"precision": "bfloat16"}},
    ],
    ids=str,
)
def test_what_makes_another_run(project, outputs, changes):
    assert spec(variant(project, outputs, **changes)) != spec(variant(project, outputs))


def test_seed_and_encoder_make_another_run(project, outputs):
    study = variant(project, outputs)
    others = [spec(study, seed=1), spec(study, weights="0"), spec(study, tokenizer="0"), spec(study, config="0")]
    assert len({spec(study), *others}) == 5
    assert spec(study, origin="elsewhere", path=Path("elsewhere")) == spec(study)


SAME = [
    {"title": "another title"},
    {"note": "a note"},
    {"engine": {"threads": 2}},
    {"engine": {"micro_batch_tokens": 512}},
    {"engine": {"eval_batch_tokens": 512}},
    {"engine": {"checkpoint_seconds": 1}},
    {"seeds": [0, 1]},
    {"keep": "intermediates"},
    {"targets": ["xnli"]},
    {"data": {"limits": {"test": 5}}},
    {"retrieval": {"layer": 2}},
]


@pytest.mark.parametrize("changes", SAME, ids=str)
def test_what_does_not_make_another_run(project, outputs, changes):
    study, other = variant(project, outputs), variant(project, outputs, **changes)
    assert spec(other) == spec(study)
    assert pretrained.backbone_spec(other).fingerprint == pretrained.backbone_spec(study).fingerprint


@pytest.mark.parametrize("change", [{"tokens": 7000}, {"lr": 2e-3}, {"seed": 1}], ids=str)
def test_what_makes_another_backbone(project, outputs, change):
    recipe = read_yaml(project / "params" / "tiny.yaml")["backbone"]["build"]
    other = variant(project, outputs, backbone={"build": {**recipe, **change}})
    assert (
        pretrained.backbone_spec(other).fingerprint != pretrained.backbone_spec(variant(project, outputs)).fingerprint
    )


def test_precision_makes_another_backbone(project, outputs):
    """bfloat16 gives other weights, so it must give another fingerprint."""
    other = variant(project, outputs, engine={"precision": "bfloat16"})
    assert (
        pretrained.backbone_spec(other).fingerprint != pretrained.backbone_spec(variant(project, outputs)).fingerprint
    )


# --- weights that were let go --------------------------------------------------------------------------------------
@pytest.fixture
def lean(project, outputs) -> Study:
    """A study that keeps the weights of intermediates only, with one target scored."""
    study = variant(project, outputs, keep="intermediates")
    shutil.rmtree(only(outputs, "02.mnli.udpos.s0-*"))
    study.evaluate("mnli", "udpos")
    return study


def frames(folder: Path) -> dict[str, pd.DataFrame]:
    return {p.stem: pd.read_parquet(p) for p in sorted(folder.glob("*.parquet"))}


def assert_same_predictions(found: dict, expected: dict):
    assert found.keys() == expected.keys() != set()
    for language, frame in expected.items():
        pd.testing.assert_frame_equal(found[language], frame, check_exact=True)


def test_a_target_lets_its_weights_go(project, lean, outputs):
    place = only(outputs, "02.mnli.udpos.s0-*")
    assert sorted(p.name for p in place.iterdir()) == ["log.jsonl", "predictions", "record.json", "spec.json"]
    assert (only(outputs, "01.mnli.s0-*") / "model").is_dir()
    encoder, _ = phases.encoder_of(lean, "mnli", 0)
    run = phases.train_task(lean, "udpos", "target", "mnli", 0, encoder, None)
    with pytest.raises(DataError, match="the weights were not kept") as error:
        run.model  # noqa: B018
    assert place.name in str(error.value)
    assert "keep: intermediates" in str(error.value)
    job = re.search(r"--force '(.*)'", str(error.value))[1]
    assert job in {j.name for j in graph.jobs(lean)}, "what is advised can be done"


def test_weights_are_made_again_for_predictions_that_are_gone(lean, outputs, trainings):
    place = only(outputs, "02.mnli.udpos.s0-*")
    expected, table = frames(place / "predictions" / "udpos"), lean.evaluate("mnli", "udpos")
    assert trainings == []
    shutil.rmtree(place / "predictions")
    pd.testing.assert_frame_equal(lean.evaluate("mnli", "udpos"), table)
    assert trainings == ["mnli > udpos"]
    assert_same_predictions(frames(place / "predictions" / "udpos"), expected)
    assert not (place / "model").exists()
    lean.evaluate("mnli", "udpos")
    assert trainings == ["mnli > udpos"]


def test_weights_of_an_intermediate_are_made_again_when_a_target_needs_them(project, outputs, trainings):
    study, place = variant(project, outputs), only(outputs, "01.mnli.s0-*")
    before = read_json(place / "record.json")["weights"]
    shutil.rmtree(place / "model")
    study.evaluate("mnli", "xnli")
    assert trainings == [], "what is scored needs no weights"
    study.evaluate("mnli", "panx")
    assert trainings == ["mnli", "mnli > panx"]
    assert read_json(place / "record.json")["weights"] == before


@pytest.mark.parametrize(
    ("run", "target", "again"),
    [
        ("01.mnli.s0-*", "xnli", ["mnli"]),
        ("02.mnli.mnli.s0-*", "xnli", ["mnli > mnli"]),
        ("03.mnli.tatoeba.s0-*", "tatoeba", []),
    ],
)
def test_a_lost_record_costs_one_run(project, outputs, trainings, run, target, again):
    """The other runs stay as they are, and the numbers too."""
    study = variant(project, outputs)
    table, before = study.evaluate("mnli", target), records(outputs)
    lost = only(outputs, run) / "record.json"
    weights = read_json(lost).get("weights")
    lost.unlink()
    pd.testing.assert_frame_equal(variant(project, outputs).evaluate("mnli", target), table)
    assert trainings == again
    assert read_json(only(outputs, run) / "record.json").get("weights") == weights
    key, after = str(lost.relative_to(outputs)), records(outputs)
    changed = {k for k in before if after[k] != before[k]}
    assert key in changed
    assert {Path(k).parts[2] for k in changed} == {Path(key).parts[2]}, "no other run is touched"
    assert not list((outputs / "tiny" / "runs" / ".partial").iterdir())


def test_a_changed_parent_changes_its_children(project, outputs, trainings):
    """Children are found by their parent's weights."""
    study = variant(project, outputs, recipes={"mnli": {"lr": 3e-3}})
    study.evaluate("mnli", "udpos")
    assert trainings == ["mnli", "mnli > udpos"]
    assert len(list((outputs / "tiny" / "runs").glob("02.mnli.udpos.s0-*"))) == 2


def test_an_interrupted_run_goes_on(project, outputs, monkeypatch):
    """Through the phases too: stopped in the loop, continued by the next call, equal in the end."""
    study = variant(project, outputs, engine={"checkpoint_seconds": 1e-9})
    expected = study.train("mnli")
    shutil.rmtree(expected.path)
    with monkeypatch.context() as patch:
        interrupt(patch, "_step", 5)
        with pytest.raises(Interrupted):
            study.train("mnli")
    assert not expected.path.exists()
    (partial,) = (outputs / "tiny" / "runs" / ".partial" / expected.path.name).iterdir()
    assert [p.name for p in (partial / "checkpoint").iterdir()] == ["00000004"]
    run = study.train("mnli")
    assert run.record["weights"] == expected.record["weights"]
    assert not partial.exists()
    assert sorted(p.name for p in run.path.iterdir()) == ["log.jsonl", "model", "record.json", "spec.json"]


def test_none_has_no_run(project, outputs):
    study = variant(project, outputs)
    assert study.train("none") is None
    encoder, run = phases.encoder_of(study, "none", 0)
    assert (encoder, run) == (phases.backbone(study), None)


def test_hyper_parameters_in_layers(project, outputs):
    """A task's own in the study, then the study's, then its row's, then the defaults."""
    study = variant(project, outputs, recipes={"xquad": {"lr": 1e-4}, "squad_v1": {"batch": 2}})
    row = TASKS["squad_v1"].recipe
    found = phases.hyper(study, "squad_v1")
    assert (found.batch, found.lr, found.length, found.clip) == (2, 1e-3, 96, 1.0)
    bare = variant(project, outputs, recipe={"length": None, "epochs": None, "batch": None})
    assert (phases.hyper(bare, "squad_v1").length, phases.hyper(bare, "squad_v1").epochs) == (
        row["length"],
        row["epochs"],
    )


def test_what_a_record_says(project, outputs):
    record = variant(project, outputs).train("mnli").record
    assert record["data"]["train"] == [48, 12000]
    assert record["training"]["steps"] == 6
    assert record["training"]["best"]["step"] in (3, 6)
    assert record["provenance"]["precision"] == "float32"
    assert {"torch", "transformers", "xitt"} <= record["provenance"]["versions"].keys()
    child = read_json(only(outputs, "02.mnli.udpos.s0-*") / "record.json")
    assert child["parent"]["weights"] == record["weights"]
    assert child["parent"]["run"] == only(outputs, "01.mnli.s0-*").name


def test_the_learning_curve_as_a_frame(project, outputs):
    log = variant(project, outputs).train("mnli").log
    assert {"step", "loss", "lr", "tokens", "seconds", "dev"} == set(log.columns)
    assert log["step"].max() == 6


def test_no_cuda_is_said(project, outputs):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    study = variant(project, outputs, engine={"device": "cuda"})
    with pytest.raises(DataError, match=r"engine\.device: cuda, but torch sees no CUDA device"):
        phases.device(study)


def test_ragged_targets_are_as_long_as_their_rows(features):
    f, _ = features["tag"]
    assert isinstance(f.target, Ragged)
    assert f.target.lengths.tolist() == f.ids.lengths.tolist()


def test_encoder_of_a_run_is_its_model(project, outputs):
    encoder, run = phases.encoder_of(variant(project, outputs), "mnli", 0)
    assert encoder.path == run.path / "model"
    assert encoder.identity == backbone.open_folder(run.model, "").identity
