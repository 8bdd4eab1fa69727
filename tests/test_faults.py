"""Faults within one process, one of each kind: every one is healed or reported, and the scores stay what they were.

``tests/campaign_faults.py`` injects many more, those of whole processes too.
"""

from __future__ import annotations

import random
import subprocess

import pytest

from tests import campaign_faults as faults
from xitt import graph, integrity, running
from xitt.train import Diverged


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> faults.World:
    return faults.World(tmp_path_factory.mktemp("faults") / "world")


@pytest.mark.parametrize("kind", list(faults.WITHIN))
def test_a_fault_is_healed_or_reported(world, kind):
    outcome = faults.strike(world, faults.WITHIN[kind], random.Random(kind))
    assert outcome.good, outcome
    if kind in ("record", "scores", "predictions", "weights"):
        assert "was set aside" in outcome.said
        assert "computed again" in outcome.said


def test_the_campaign_can_fail(world):
    """A number that is wrong and sealed again, as no disk does it, is seen by the comparison."""
    place = next(world.runs.glob("03.none.tatoeba*/predictions/tatoeba"))
    record = faults.store.read_json(place / "record.json")
    language = next(iter(record["scores"]))

    def forge(world, rng):
        scores = {**record["scores"], language: {m: v + 1 for m, v in record["scores"][language].items()}}
        faults.store.write_json(place / "record.json", {**record, "scores": scores}, sealed=True)
        return faults.Outcome("forged", language)

    outcome = faults.strike(world, forge, random.Random(0))
    faults.store.write_json(place / "record.json", record, sealed=True)
    assert outcome.wrong
    assert not outcome.good
    assert world.scores() == world.reference


REFUSED = [
    ("NoSuchKernel", "No such kernel named python3", False, "-m ipykernel install --sys-prefix"),  # it would come again
    ("RuntimeError", "Kernel didn't respond in 300 seconds", True, "Kernel didn't respond"),
    ("NotJSONError", "Notebook does not appear to be JSON", False, "does not appear to be JSON"),
]


@pytest.mark.parametrize(("name", "message", "again", "said"), REFUSED)
def test_a_kernel_that_does_not_start(tmp_path, name, message, again, said):
    """Tried again where another try may do better; else with what to do about it."""
    content = {"cell": None, "name": name, "message": message}
    faults.store.write_json(tmp_path / "error.json", content)
    fault = running._why(graph.Job("00", "00_backbone.ipynb"), 1, tmp_path)
    assert fault.again == again
    assert fault.message.startswith("00_backbone.ipynb: ")
    assert said in fault.message


def test_a_gradient_that_is_no_number_writes_no_checkpoint(world, monkeypatch):
    """Its step's loss is still fine, the weights after it are not: nothing may go on from them."""
    run = next(world.runs.glob("01.mnli*"))
    faults.shutil.rmtree(run)
    real, calls = faults.train.torch.nn.utils.clip_grad_norm_, []

    def clip(*arguments, **more):
        calls.append(0)
        norm = real(*arguments, **more)
        return norm * float("inf") if len(calls) == 3 else norm

    with monkeypatch.context() as patch:
        patch.setattr(faults.train.torch.nn.utils, "clip_grad_norm_", clip)
        with pytest.raises(
            Diverged, match=r"the gradient is no number at step 3.*last good checkpoint: step 2, kept in"
        ) as caught:
            world.study().train("mnli")
    assert caught.value.exit_code == 4
    attempt = next((world.runs / ".partial").glob("01.mnli*/*/checkpoint/0*"))
    assert attempt.name == "00000002"
    assert world.settle() == world.reference


def test_a_loss_beyond_all_bounds(world, monkeypatch):
    run, real = next(world.runs.glob("01.mnli*")), faults.train._step
    faults.shutil.rmtree(run)
    with monkeypatch.context() as patch:
        patch.setattr(faults.train, "_step", lambda *a, **k: (real(*a, **k)[0] + 2000, 1))
        with pytest.raises(
            Diverged, match=r"mnli: the loss is 2001\.\d+ at step 1 \(.*none was written yet.*lower `lr:`"
        ):
            world.study().train("mnli")
    assert world.settle() == world.reference


def test_a_disk_that_is_really_full(world, tmp_path):
    """A small one, full at some point of a training; more room, and the same call goes on to the same numbers."""
    disk, need = tmp_path / "disk", 3_000_000
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={need}", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    real, world.outputs = world.outputs, disk
    try:
        said = []
        for size in (400_000, 700_000, 1_000_000, 1_300_000, 1_700_000, 2_200_000, 30_000_000):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
            try:
                assert world.settle() == world.reference
                break
            except integrity.DiskFull as error:
                said.append(str(error))
        assert len(said) >= 3
        assert all("the disk is full" in s and "xitt clean" in s for s in said)
        assert world.settle() == world.reference
        assert not integrity.notes(world.runs), "a full disk damages nothing"
    finally:
        world.outputs = real
        subprocess.run(["umount", str(disk)], check=True)
