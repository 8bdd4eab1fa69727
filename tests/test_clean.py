"""Cleaning: what goes, what stays, and that every result is what it was."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from unittest import mock

import pytest

from tests import campaign_faults, tiny
from xitt import clean, cli, done, graph, results, store
from xitt.errors import DataError
from xitt.lease import Lease
from xitt.parameters import merge


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> campaign_faults.World:
    return campaign_faults.World(tmp_path_factory.mktemp("clean") / "world")


def _copy(world, folder) -> campaign_faults.World:
    shutil.copytree(world.folder, folder)
    found = object.__new__(campaign_faults.World)
    found.folder, found.file = folder, folder / "params" / "tiny.yaml"
    found.outputs, found.reference = folder / "outputs", world.reference
    return found


@pytest.fixture
def world(finished, tmp_path, monkeypatch) -> campaign_faults.World:
    """A finished study in a folder of the test's own."""
    found = _copy(finished, tmp_path / "world")
    monkeypatch.setenv("XITT_OUTPUTS", str(found.outputs))
    return found


def found(world) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for leftover in clean.find(world.study()):
        kinds.setdefault(leftover.kind, []).append(str(leftover.path.relative_to(world.outputs / "tiny")))
    return kinds


def run_of(world, pattern: str):
    return next(world.runs.glob(pattern))


def other_recipe(world) -> None:
    """The study with another learning rate for MNLI: its runs of before are those of an older specification."""
    world.file.write_text(world.file.read_text() + "recipes: {mnli: {lr: 2e-3}}\n")


def test_a_finished_study_has_nothing_to_clean(world):
    assert found(world) == {}
    assert clean.lines(world.study(), [], False) == [f"tiny: nothing to clean in {world.outputs / 'tiny'}"]


def test_optimizer_states_of_finished_runs(world):
    """A checkpoint of a run that another process has finished meanwhile; that of an unfinished run stays."""
    done, open_ = run_of(world, "01.mnli*"), run_of(world, "02.none.udpos*")
    left = world.runs / ".partial"
    for place in (done, open_):
        (left / place.name / "0" / "checkpoint" / "00000002").mkdir(parents=True)
        (left / place.name / "0" / "checkpoint" / "00000002" / "optimizer.safetensors").write_bytes(bytes(5000))
        shutil.copy(place / "spec.json", left / place.name / "0")
    shutil.rmtree(open_)
    size = 5000 + (done / "spec.json").stat().st_size
    assert found(world) == {"state": [f"runs/.partial/{done.name}"]}
    assert clean.find(world.study())[0].size == size
    clean.clean(world.study())
    assert [p.name for p in left.iterdir()] == [open_.name]
    assert world.settle() == world.reference


def test_what_somebody_works_on_stays(world):
    done = run_of(world, "01.mnli*")
    (world.runs / ".partial" / done.name / "0").mkdir(parents=True)
    lease = Lease(world.runs / ".locks" / f"{done.name}.lease")
    assert lease.take()
    assert found(world) == {}
    lease.release()
    assert list(found(world)) == ["state"]


def test_runs_of_older_specifications(world):
    """With all that came after them; what the study would look for stays, shown in its tables or not."""
    study = world.study()
    study.evaluate("qqp", "udpos")  # the explorer's own, in no table
    before = {p.name for p in world.runs.glob("0*")}
    other_recipe(world)
    assert set(found(world)["orphan"]) == {f"runs/{run_of(world, p).name}" for p in ("01.mnli*", "02.none.mnli*")}
    new = world.settle()
    names = {p.name for p in world.runs.glob("0*")}
    gone = {x.removeprefix("runs/") for x in found(world)["orphan"]}
    assert gone == {x for x in before if x.startswith(("01.mnli", "02.mnli", "03.mnli", "02.none.mnli"))}
    clean.clean(world.study())
    assert {p.name for p in world.runs.glob("0*")} == names - gone
    assert run_of(world, "02.qqp.udpos*").name in names
    changed = world.records()
    assert world.settle() == new
    assert world.records() == changed, "a run that a result needs was deleted"


def test_what_a_finished_notebook_shows_stays(world):
    """Its job's record names runs: they stay although the study has moved on."""
    study, kept = world.study(), run_of(world, "01.mnli*").name
    job = next(j for j in graph.jobs(study) if j.name == "01.mnli.s0")
    store.write_json(done.job_record(study, job), {"inputs": "", "uses": {kept: "f"}, "seconds": 1.0}, sealed=True)
    other_recipe(world)
    assert kept not in str(found(world))


def test_what_cannot_be_judged_stays(world):
    """The encoder before it is not there: nobody knows what its runs should be called."""
    shutil.rmtree(run_of(world, "01.mnli*"))
    assert found(world) == {}
    shutil.rmtree(world.folder / "backbone")
    with pytest.raises(DataError):
        world.study().backbone()
    assert "orphan" not in found(world)


def test_a_task_that_is_gone(world):
    text = world.file.read_text()
    own = {
        "kind": "tag",
        "files": {"train": "a.jsonl", "test": "a.jsonl"},
        "columns": {"tokens": "tokens", "tags": "tags"},
    }
    row = '{"tokens": ["a", "b"], "tags": ["X", "Y"]}\n'
    (world.folder / "params" / "a.jsonl").write_text(row * 4)
    world.file.write_text(tiny.yaml.safe_dump({**tiny.yaml.safe_load(text), "tasks": {"mine": own}}))
    world.study().evaluate("none", "mine")
    assert found(world) == {}
    world.file.write_text(text)
    assert [x.split(".s0")[0] for x in found(world)["orphan"]] == ["runs/02.none.mine"]


def test_the_rest(world):
    """What was set aside, files of writes that were cut short, scratch of jobs that are done."""
    path = run_of(world, "03.none*") / "record.json"
    path.write_text("{")
    assert world.settle() == world.reference
    (run_of(world, "02.none.udpos*") / "predictions" / ".udpos.abc").mkdir()
    (run_of(world, "02.none.udpos*") / ".record.json.x").write_text("half")
    jobs = world.outputs / "tiny" / "jobs"
    (jobs / ".running" / "04" / "1").mkdir(parents=True)
    (jobs / ".running" / "05" / "1").mkdir(parents=True)
    (jobs / "04.json").write_text("{}")
    kinds = found(world)
    assert sorted(kinds) == ["damaged", "job", "scratch"]
    assert kinds["job"] == ["jobs/.running/04"]
    assert len(kinds["scratch"]) == 2
    clean.clean(world.study())
    assert found(world) == {}
    assert world.settle() == world.reference


def test_the_command_says_sizes_and_deletes_nothing_when_dry(world, monkeypatch, capsys):
    path = run_of(world, "01.mnli*") / "model" / "model.safetensors"
    path.write_bytes(b"x" * 1_234_567)
    world.study().evaluate("mnli", "xnli")
    run = run_of(world, "01.mnli*")
    with store.hold(world.runs, run.name):
        assert not store.RunFolder(world.runs, _spec(world)).has_weights(store.read_record(run))
    files = {p: os.stat(p).st_size for p in world.outputs.rglob("*") if p.is_file()}
    for arguments in (["--dry-run"], []):
        monkeypatch.setattr("sys.argv", ["xitt", "clean", str(world.file), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("set aside as damaged: 1, 1.")
        assert lines[-1].endswith("without --dry-run it is deleted" if arguments else "freed")
        now = {p for p in world.outputs.rglob("*") if p.is_file()}
        assert (now == set(files)) == bool(arguments)
    assert not (world.runs / ".damaged").exists()
    assert results.as_csv(results.collect(world.study())) == world.reference


# --- whatever lies about ---------------------------------------------------------------------------------------------
VARIANTS = (
    {},
    {"recipes": {"mnli": {"lr": 2e-3}}},
    {"retrieval": {"layer": 1}},
    {"intermediates": ["none"], "targets": ["udpos", "tatoeba"]},
)


@dataclass
class Crowd:
    """Outputs that several variants of a study have filled: the file, the scores and the runs of each, by what reading them has noted."""

    world: campaign_faults.World
    files: list[str]
    scores: list[str]
    needed: list[set[str]]


@pytest.fixture(scope="module")
def crowd(finished, tmp_path_factory) -> Crowd:
    folder = tmp_path_factory.mktemp("crowd") / "world"
    made, content = Crowd(_copy(finished, folder), [], [], []), tiny.yaml.safe_load(finished.file.read_text())
    for changes in VARIANTS:
        made.world.file.write_text(tiny.yaml.safe_dump(merge(content, changes)))
        uses = folder / "uses"
        uses.unlink(missing_ok=True)
        with mock.patch.dict(os.environ, {"XITT_USES": str(uses)}):
            made.scores.append(made.world.settle())
        made.files.append(made.world.file.read_text())
        made.needed.append({line.split("\t")[0].split("/")[0] for line in uses.read_text().splitlines()})
    return made


def clutter(world, rng: random.Random) -> tuple[str, str]:
    """One more thing lies about, or is gone; returns what, and the run that it is about."""
    run = rng.choice(sorted(p for p in world.runs.glob("0*") if (p / "record.json").is_file()))
    what = rng.choice(("attempt", "unfinished", "scratch", "damaged", "gone", "shown"))
    if what in ("attempt", "unfinished"):
        place = world.runs / ".partial" / run.name / "0"
        (place / "checkpoint" / "00000002").mkdir(parents=True, exist_ok=True)
        shutil.copy(run / "spec.json", place)
    if what in ("unfinished", "gone"):
        shutil.rmtree(run)
    elif what == "scratch":
        (run / f".{rng.random()}").write_text("half")
    elif what == "damaged":
        (run / "record.json").write_text("{")
    elif what == "shown":
        study = world.study()
        job = rng.choice(graph.jobs(study))
        content = {"inputs": "", "uses": {run.name: "f"}, "seconds": 1.0}
        store.write_json(done.job_record(study, job), content, sealed=True)
    return what, run.name


@pytest.mark.parametrize("seed", range(10))
def test_nothing_that_a_report_needs_is_deleted(crowd, tmp_path, seed):
    """What a study reads to make its tables, and what its notebooks show, stays as it is, whatever else lies about."""
    rng, world = random.Random(seed), _copy(crowd.world, tmp_path / "world")
    number = rng.randrange(len(VARIANTS))
    world.file.write_text(crowd.files[number])
    found = [clutter(world, rng) for _ in range(rng.randrange(1, 6))]
    whole = {n: r for n, r in world.records().items() if r != b"{"}
    shown = clean._named(world.study())
    kept = {n: whole[n] for n in whole if n in crowd.needed[number] | shown}
    open_ = {n for w, n in found if w == "unfinished" and n in crowd.needed[number] and n not in whole}
    dry = clean.clean(world.study(), dry_run=True)
    assert clean.clean(world.study()) == dry
    assert dry, "there are runs of other variants at least"
    after = world.records()
    assert {n: after.get(n) for n in kept} == kept, found
    assert open_ <= {p.name for p in (world.runs / ".partial").glob("*")}, "somebody may go on with it"
    assert not [p for p in dry if p.path.exists()]
    assert world.settle() == crowd.scores[number], found
    after = world.records()
    remade = {n for n in kept if after[n] != kept[n]}
    assert not remade, (found, "made again, although it was there")


def _spec(world):
    from xitt import phases

    return phases.intermediate_spec(world.study(), "mnli", 0)
