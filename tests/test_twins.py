"""A fine-tuning of row none that phase 1 makes too is made once: a copy that differs in its words alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import tiny
from xitt import batch, cluster, phases, running, train
from xitt.store import read_json


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("project")).parent.parent


@pytest.fixture(scope="module")
def built(project, tmp_path_factory) -> Path:
    """Outputs with the backbone alone."""
    outputs = tmp_path_factory.mktemp("outputs")
    tiny.variant(project, outputs).backbone()
    return outputs


@pytest.fixture
def outputs(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "outputs"))


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """Trainings that took place."""
    real, done = train.fit, []
    monkeypatch.setattr(train, "fit", lambda *a, **k: (done.append(a[9]), real(*a, **k))[1])
    return done


def only(outputs: Path, glob: str) -> Path:
    (found,) = (outputs / "tiny" / "runs").glob(glob)
    return found


def test_the_copy_is_what_training_makes(project, outputs, trainings, monkeypatch, tmp_path):
    study = tiny.variant(project, outputs)
    scores = study.evaluate("none", "xnli")
    assert trainings == ["mnli"]  # phase 1's, which is there for phase 1
    copy, first = only(outputs, "02.none.mnli.s0-*"), only(outputs, "01.mnli.s0-*")
    assert study.train("mnli").path == first
    assert trainings == ["mnli"]

    monkeypatch.setattr("xitt.twins.copied", lambda *_: None)
    shutil.move(copy, tmp_path / "copy")
    assert study.evaluate("none", "xnli").equals(scores)
    assert trainings == ["mnli", "none > mnli"]
    copy, made = tmp_path / "copy", only(outputs, "02.none.mnli.s0-*")
    names = {p.name for p in (made / "model").iterdir()}
    assert {p.name for p in (copy / "model").iterdir()} == names
    for name in names:
        assert (copy / "model" / name).read_bytes() == (made / "model" / name).read_bytes(), name
    assert (first / "model" / "README.md").read_bytes() != (copy / "model" / "README.md").read_bytes()

    found, wanted = read_json(copy / "record.json"), read_json(made / "record.json")
    same = found.pop("same_as")
    assert same == {"run": first.name, "fingerprint": read_json(first / "record.json")["fingerprint"]}
    spent = ("wall_seconds", "provenance")
    for record in (found, wanted):
        record["training"] = {k: v for k, v in record["training"].items() if "second" not in k}
        del record["files"]["log.jsonl"]  # it tells seconds
    assert {k: v for k, v in found.items() if k not in spent} == {k: v for k, v in wanted.items() if k not in spent}
    first, second = ([json.loads(x) for x in (p / "log.jsonl").read_text().splitlines()] for p in (copy, made))
    assert [{**x, "seconds": 0} for x in first] == [{**x, "seconds": 0} for x in second]


def test_other_trainings_are_not_copied(project, outputs, trainings):
    study = tiny.variant(project, outputs)
    study.evaluate("mnli", "xnli")
    assert trainings == ["mnli", "mnli > mnli"]
    study.evaluate("none", "panx")
    assert trainings[2:] == ["none > panx"]


def test_a_study_without_that_row_trains_its_own(project, outputs, trainings):
    study = tiny.variant(project, outputs, intermediates=["none"])
    study.evaluate("none", "xnli")
    assert trainings == ["none > mnli"]
    assert not list((outputs / "tiny" / "runs").glob("01.*"))


def test_weights_that_were_let_go_come_from_the_copy_s_source(project, outputs, trainings):
    study = tiny.variant(project, outputs, keep="intermediates")
    study.evaluate("none", "xnli")
    copy = only(outputs, "02.none.mnli.s0-*")
    assert not (copy / "model").exists()
    assert (only(outputs, "01.mnli.s0-*") / "model" / "model.safetensors").is_file()
    run = phases.train_task(study, "mnli", "target", "none", 0, study.backbone(), None, weights=True)
    assert run.model.is_dir()
    assert trainings == ["mnli"]
    assert (copy / "predictions" / "xnli" / "record.json").is_file()


FORCED = [
    ("02.none.s0", ["none > mnli"]),  # computed again, as it is asked for
    ("02.none.s1", ["mnli"]),
    ("01.mnli.s0\n02.none.s0", ["mnli"]),  # what it is copied from is new, too
]


@pytest.mark.parametrize(("forced", "expected"), FORCED)
def test_what_is_forced_is_trained(project, outputs, trainings, monkeypatch, forced, expected):
    """And the numbers are the same."""
    study = tiny.variant(project, outputs)
    monkeypatch.setenv("XITT_FORCED", forced)
    study.evaluate("none", "xnli")
    assert trainings == expected
    assert ("same_as" in read_json(only(outputs, "02.none.mnli.s0-*") / "record.json")) == (expected == ["mnli"])


@pytest.mark.parametrize(("force", "expected"), [("02.none*", "02.none.s0"), (None, ""), ("0[12]*", "01.mnli.s0\n02.mnli.s0\n02.none.s0")])  # fmt: skip
def test_a_job_is_told_what_is_forced(project, outputs, monkeypatch, force, expected):
    """Here, and on the workers of a cluster."""
    study, told = tiny.variant(project, outputs), []

    def execute(study, job, orders, *given):
        told.append(running.shared_environment(study, orders)["XITT_FORCED"])
        return running.Outcome(job, 0.0)

    monkeypatch.setattr(running, "execute", execute)
    batch.run(study, slots=1, only="02*", force=force, say=lambda line: None)
    assert len(told) >= 3
    assert set(told) == {expected}
    there = object.__new__(cluster.Cluster)
    there.batches, there.slots = [], {}
    orders = there.task("a batch", {}, expected.split("\n")).keywords["orders"]
    assert running.shared_environment(study, orders)["XITT_FORCED"] == expected
