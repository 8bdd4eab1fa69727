"""A study in parts: every job in exactly one, what belongs together together, the summary by the part that ends last."""

from __future__ import annotations

import sys

import pytest

from tests import tiny
from tests.test_batch import NAMES, project, run, stand_in, states, study_of  # noqa: F401 - fixtures
from xitt import batch, cli, graph, shards
from xitt.errors import JobError, ParameterError
from xitt.study import load_study


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 40])
def test_every_job_is_in_one_part_and_chains_stay_together(parts):
    study = load_study(tiny.ROOT / "params" / "pocket_full.yaml")
    everything = graph.jobs(study)
    split = [shards.part(everything, i, parts) for i in range(1, parts + 1)]
    last = shards.summaries(everything)
    assert sorted(n for part in split for n in part) == sorted(j.name for j in everything if j.name not in last)
    assert {"04", "07"} <= last
    by_name = {j.name: j for j in everything}
    for names in split:
        for name in names:
            here = [n for n in by_name[name].needs if by_name[n].parameters == by_name[name].parameters]
            assert names >= set(here)
    sizes = sorted(map(len, split))
    assert sizes[-1] - sizes[0] <= 3 or parts == 40
    assert split == [shards.part(graph.jobs(study), i, parts) for i in range(1, parts + 1)]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_a_wrong_part_is_refused(text):
    with pytest.raises(ParameterError, match=r"--shard .*from 1"):
        shards.parse(text)


@pytest.mark.parametrize(
    "more",
    [
        ["--shard", "3/2"],
        ["--shard", "1/2", "--dask", "tcp://127.0.0.1:1"],
        ["--jobs", "2", "--dask", "tcp://127.0.0.1:1"],
    ],
)
def test_the_command_line_refuses_it_with_exit_code_2(project, monkeypatch, capsys, more):  # noqa: F811
    monkeypatch.setattr(sys, "argv", ["xitt", "run", str(study_of(project).path), *more])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("xitt: --")


def test_parts_one_after_the_other_and_the_last_sums_up(project, stand_in):  # noqa: F811
    study = study_of(project)
    _, lines = run(study, shard=(1, 2))
    assert "the summary and the report wait for 2 jobs of other parts: 02.none.s0, 03.none.s0" in lines[-1]
    assert states(study)["04"] == "waiting"
    assert batch.all_done(study) is False
    run(study, shard=(2, 2))
    assert sorted(stand_in.tries()) == NAMES, "what both need is done once"
    assert batch.all_done(study) is True


def test_a_part_does_what_it_needs_of_others(project, stand_in):  # noqa: F811
    """The second part's machine comes first: it builds the backbone itself."""
    _, lines = run(study_of(project), shard=(2, 2))
    assert sorted(stand_in.tries()) == ["00", "02.none.s0", "03.none.s0"]
    assert "01.mnli.s0, 02.mnli.s0, 03.mnli.s0" in lines[-1]


def test_a_failed_job_is_named_by_its_part(project, stand_in):  # noqa: F811
    stand_in.plan(**{"02_none_s0": ["cell"]})
    lines: list[str] = []
    with pytest.raises(JobError, match=r"02\.none\.s0"):
        batch.run(study_of(project), 2, shard=(2, 2), say=lines.append)
    assert "02.none.s0 (failed here)" in lines[-1]
