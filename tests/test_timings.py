"""What finished runs say about the speed of this machine, and how long a study's notebooks take with so many at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import tiny
from xitt import graph, plan, rates, schedule, store, timings
from xitt.bench.work import Shape
from xitt.counted import Plan, Work
from xitt.study import load_study

HERE = {"device": "some CPU", "precision": "float32", "threads": 1}
CONFIG = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48}
SHAPE = Shape(2, 32, 48)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("XITT_OUTPUTS", raising=False)
    return load_study(tiny.make(tmp_path))


def run(out, phase, recipe, task, seconds, tokens=0, wall=None, made=HERE, config=CONFIG, seed=0, scored=()):
    """A finished run as the store leaves it; ``scored`` holds (target, seconds, predictions)."""
    number = {"intermediate": "01", "target": "02", "retrieval": "03"}[phase]
    middle = "" if phase == "intermediate" else f".{task}"
    folder = out / "runs" / f"{number}.{recipe}{middle}.s{seed}-12345678"
    (folder / "model").mkdir(parents=True)
    store.write_json(folder / "model" / "config.json", config)
    record = {
        "phase": phase,
        "recipe": recipe,
        "task": task,
        "seed": seed,
        "provenance": made,
        "wall_seconds": wall or seconds,
    }
    if phase != "retrieval":
        record["training"] = {"seconds": seconds, "tokens": tokens}
    store.write_json(folder / "record.json", record, sealed=True)
    for target, took, count in scored:
        (folder / "predictions" / target).mkdir(parents=True)
        store.write_json(
            folder / "predictions" / target / "record.json",
            {"seconds": took, "counted": {"en": count, "de": count}},
            sealed=True,
        )


def notebook(out, name, seconds):
    (out / "jobs").mkdir(parents=True, exist_ok=True)
    store.write_json(out / "jobs" / f"{name}.json", {"seconds": seconds}, sealed=True)


@pytest.fixture
def done(study):
    """Two recipes trained, two targets scored, one searched, and their notebooks."""
    out = study.out
    run(out, "intermediate", "mnli", "mnli", 10.0, 1000, wall=12.0)
    run(out, "intermediate", "multitask{mnli,qqp}", "", 20.0, 6000, wall=24.0)
    run(out, "target", "none", "mnli", 5.0, 1000, wall=5.5, scored=[("xnli", 2.0, 10)])
    run(out, "target", "none", "udpos", 4.0, 400, wall=4.5, scored=[("udpos", 1.0, 10)])
    run(out, "retrieval", "none", "tatoeba", 3.0, scored=[("tatoeba", 1.0, 30)])
    notebook(out, "01.mnli.s0", 15.0)
    notebook(out, "02.none.s0", 20.0)
    notebook(out, "03.none.s0", 8.0)
    notebook(out, "04", 30.0)
    return study


def work(what, kind, task, tokens=0, recipe="", examples=0):
    return Work(what, kind, tokens, 1e9, task, recipe, examples)


class TestRuns:
    def test_rates_by_recipe_task_and_kind(self, done):
        found = timings.of(done, SHAPE, "some CPU")
        assert found.training["mnli"] == 2000 / 15  # both phases
        assert found.training["classify"] == 2000 / 15
        assert found.training["udpos"] == found.training["tag"] == 100
        assert found.training["multitask"] == found.training["multitask{mnli,qqp}"] == 300
        assert found.run == 1.25  # median of 2, 4, 0.5 and 0.5
        assert (found.runs, found.notebooks, found.studies) == (5, 4, ("tiny",))

    def test_seconds_of_work_are_those_of_the_nearest_run(self, done):
        found = timings.of(done, SHAPE, "some CPU")
        assert found.seconds(work("target", "tag", "panx", 200)) == 200 / 100 + 1.25
        assert found.seconds(work("intermediate", "classify", "multitask", 600, "multitask")) == 600 / 300 + 1.25
        assert found.seconds(work("score", "classify", "xnli", examples=40)) == pytest.approx(40 * 2 / 20)
        assert found.seconds(work("embed", "bitext", "tatoeba+layer=1", examples=60)) == pytest.approx(
            3.0
        )  # the whole retrieval
        assert found.seconds(work("search", "bitext", "")) == found.seconds(work("encode", "", "")) == 0.0
        assert found.seconds(work("target", "span", "squad_v1", 100)) is None

    def test_notebooks_beside_their_runs(self, done):
        found = timings.of(done, SHAPE, "some CPU")
        # 15 - 12; 20 - (5.5 + 2 + 4.5 + 1); 8 - 3
        assert found.notebook == 5.0
        assert found.summaries == {"04": 30.0}

    def test_a_notebook_whose_runs_were_made_elsewhere_says_nothing(self, done):
        notebook(done.out, "01.multitask-mnli-qqp-.s0", 7.0)
        assert timings.of(done, SHAPE, "some CPU").notebook == 5.0

    @pytest.mark.parametrize(("shape", "device"), [(Shape(4, 32, 48), "some CPU"), (SHAPE, "another CPU")])
    def test_other_sizes_and_devices_do_not_count(self, done, shape, device):
        assert timings.of(done, shape, device) is None

    @pytest.mark.parametrize("key", ["precision", "threads"])
    def test_nor_do_runs_made_otherwise(self, study, key):
        run(study.out, "target", "none", "udpos", 4.0, 400, made={**HERE, key: "bfloat16" if key == "precision" else 2})
        assert timings.of(study, SHAPE, "some CPU") is None

    def test_a_study_takes_its_own_runs_before_those_beside_it(self, done):
        other = done.out.parent / "other"
        run(other, "target", "none", "udpos", 1.0, 400)
        run(other, "target", "none", "panx", 1.0, 900)
        found = timings.of(done, SHAPE, "some CPU")
        assert found.training["udpos"] == 100
        assert found.training["panx"] == 900
        assert found.studies == ("tiny", "other")

    def test_a_damaged_record_is_left_out(self, done):
        place = next((done.out / "runs").glob("02.none.udpos*")) / "record.json"
        place.write_text(place.read_text().replace("400", "900"))
        assert "udpos" not in timings.of(done, SHAPE, "some CPU").training


class TestPlan:
    def test_this_machine_is_taken_as_its_runs_say(self, done, monkeypatch):
        monkeypatch.setattr(rates, "here", lambda study: ("some CPU", 1, "cpu"))
        found = rates.choose(done, SHAPE)
        assert found.timed == timings.of(done, SHAPE, "some CPU")
        assert found.origins[0].startswith("5 finished runs of tiny on this machine")
        assert all(o.startswith("where no run was like it: ") for o in found.origins[1:])
        made = Plan(done, SHAPE, done)
        assert plan.hours(made, found, work("target", "tag", "panx", 200)) == pytest.approx((2 + 1.25) / 3600)
        assert plan.hours(made, found, work("target", "span", "squad_v1", 200)) == 1e9 / found.training["span"] / 3600
        said = plan.lines(done, at_a_time=3)
        assert any(
            x.startswith("by the clock: ") and "with 3 at a time" in x and "beside their runs" in x for x in said
        )

    def test_a_machine_without_runs_is_taken_as_before(self, study, monkeypatch):
        monkeypatch.setattr(rates, "here", lambda study: ("some CPU", 1, "cpu"))
        found = rates.choose(study, SHAPE)
        assert found.timed is None
        assert "(assumed)" in found.origins[0]
        assert any("what notebooks take beside their runs is not counted" in x for x in plan.lines(study))

    def test_a_named_device_has_no_clock(self, done):
        assert not any(x.startswith("by the clock") for x in plan.lines(done, device="A100"))


class TestSchedule:
    @pytest.fixture
    def made(self, done):
        return Plan(done, SHAPE, done)

    @pytest.fixture
    def taken(self, done):
        """00 takes 1 s, 01 10 s, each 02 and 03 4 s, summaries nothing."""
        of = {"00": 1.0, "01": 10.0, "02": 4.0, "03": 4.0}
        return {j.name: of.get(j.name.partition(".")[0], 0.0) for j in graph.jobs(done)}

    def test_one_at_a_time_is_the_sum(self, made, taken):
        assert schedule.wall(made, taken, 1) == sum(taken.values()) == 27.0

    def test_two_at_a_time_by_hand(self, made, taken):
        # 00 until 1; 02.none and 03.none, which come first, until 5; 01.mnli alone until 15; 02.mnli and 03.mnli
        assert schedule.wall(made, taken, 2) == 19.0

    def test_no_more_than_the_longest_chain_can_be_saved(self, made, taken):
        assert schedule.wall(made, taken, 50) == 15.0

    def test_seconds_are_work_and_what_a_notebook_takes_beside(self, done, made):
        made.add(("mnli", 0), work("intermediate", "classify", "mnli", 2000))
        made.add(("mnli", "train", "en", 96), work("encode", "", "", 10))
        found = timings.of(done, SHAPE, "some CPU")
        timed = replace(rates.of_peak("A100", "float32"), timed=found)
        taken = schedule.seconds(made, timed)
        assert taken["01.mnli.s0"] == pytest.approx(5.0 + 15 + 1.25)
        assert taken["02.none.s0"] == 5.0
        assert taken["04"] == taken["05"] == 30.0  # one that never ran is as long as the others
        assert set(schedule.seconds(made, rates.of_peak("A100", "float32")).values()) != {0.0}
