"""What a study will cost: what is counted, that it is counted once, and what it is estimated from."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests import tiny
from xitt import code_mixed, lengths, plan, rates, recipes
from xitt.bench import stored
from xitt.bench.work import Shape
from xitt.errors import DataError, ParameterError
from xitt.study import load_study


@pytest.fixture(scope="module")
def paper(root_folder):
    return load_study(root_folder / "params" / "paper.yaml")


@pytest.fixture(scope="module")
def root_folder():
    return tiny.ROOT


@pytest.fixture(scope="module")
def made(paper):
    return plan.plan(paper, "transfer")


def of(made, what):
    return {key[1:]: work for key, work in made.works.items() if key[0] == what}


class TestPaper:
    """The paper's matrix with neither data nor a GPU at hand."""

    def test_runs_are_those_of_the_matrix(self, made, paper):
        assert len(of(made, "intermediate")) == 10 * 3
        # pawsx udpos panx squad(xquad, mlqa) mnli tydiqa copa siqa lareqa mewslix
        assert len(of(made, "target")) == 10 * 11 * 3
        assert len(of(made, "score")) == 10 * 11 * 3
        assert len(of(made, "search")) == 2 * 11 * 3

    def test_shared_fine_tunings_are_counted_once(self, made):
        tasks = [key[1] for key in of(made, "target") if key[0] == "mnli" and key[2] == 0]
        assert tasks.count("squad_v1") == 1
        assert "xquad" not in tasks
        assert made.asked["target"] == 11 * 11 * 3

    def test_splits_are_tokenised_once_for_all_recipes_and_seeds(self, made):
        encoded = of(made, "encode")
        assert sum(key[:2] == ("squad_v1", "train") for key in encoded) == 1
        assert made.asked["encode"] > 20 * len(encoded)

    def test_mnli_by_hand(self, made):
        """392,702 examples, batch 32, 2 epochs: 2 x 12,272 steps; 168 characters at 4.2 and four special pieces: 44 tokens."""
        work = of(made, "intermediate")["mnli", 0]
        assert work.tokens == pytest.approx(2 * 12_272 * 32 * 44, rel=1e-9)
        training = 6 * Shape(24, 1024, 4096).weights * work.tokens + 12 * 24 * 1024 * 44 * work.tokens
        assert training < work.flops < 1.02 * training  # looks at the dev set come on top

    def test_multitask_takes_the_steps_of_its_parts(self, made):
        found = of(made, "intermediate")
        parts = [w.tokens for key, w in found.items() if key[1] == 0 and key[0] != "multitask"]
        assert found["multitask", 0].tokens == pytest.approx(sum(parts))

    def test_anli_plus_is_as_large_as_its_parts(self, made, paper):
        assert lengths.extent(paper, "anli_plus", "train", "en", 256).examples == 1_104_934

    def test_search_counts_every_layer_and_language(self, made):
        width, layers = 1024, 25
        sizes = [round(n / lengths.BUCC_GOLD) for n in (9580, 9086, 14435, 1899)]
        assert of(made, "search")["none", "bucc2018", 0].flops == pytest.approx(
            sum(2.0 * n * n * width for n in sizes) * layers
        )

    def test_everything_estimated_is_named(self, paper):
        said = "\n".join(plan.lines(paper, "transfer", "H100"))
        assert "lengths assumed (xitt.lengths)" in said
        assert "sizes as published" in said
        assert "40% (assumed) of the nominal peak of H100 in bfloat16" in said
        assert "left out, since neither data nor a published size are at hand: ccg dev" in said
        assert "100 notebooks" in said or "101 notebooks" in said  # with 90 where something was measured

    def test_hours_are_flops_over_the_rate(self, made):
        found = plan.table(made, rates.of_peak("A100", "bfloat16")).set_index("work")
        assert found.loc["fine-tuning", "hours"] == pytest.approx(
            found.loc["fine-tuning", "FLOPs"] / (0.4 * 312e12) / 3600
        )
        assert found.loc["searching", "hours"] == pytest.approx(
            found.loc["searching", "FLOPs"] / (0.5 * 19.5e12) / 3600
        )
        assert found.loc["tokenising", "hours"] == pytest.approx(
            found.loc["tokenising", "tokens"] / rates.ENCODING / 3600
        )

    def test_fewer_seeds_cost_less_but_tokenise_as_much(self, made, paper):
        from xitt.study import Study

        one = plan.plan(
            Study(paper.path, paper.params.model_copy(update={"seeds": (0,)}), paper.designs, paper.root, paper.tasks),
            "transfer",
        )
        assert sum(w.flops for w in of(one, "target").values()) * 3 == pytest.approx(
            sum(w.flops for w in of(made, "target").values())
        )
        assert len(of(one, "encode")) == len(of(made, "encode"))


DESIGNS = ("code", "scaling", "code_mixed", "similarity", "multimodal")


class TestQuestions:
    """The designs beside the paper's matrix, at full scale."""

    def test_the_paper_has_every_design_as_it_stands(self, paper, root_folder):
        assert {d.name for d in paper.designs} == {p.stem for p in (root_folder / "params" / "designs").glob("*.yaml")}
        for design in paper.designs:
            rows, columns = paper.grids[design.name]
            assert set(rows) == {"none", *design.intermediates}, design.name
            assert columns == design.targets, design.name
            # of code_mixed the sets that are made of published ones
            assert (design.whole is None) == (design.name not in ("transfer", "code_mixed")), design.name
        assert set(paper.main[0]) == {"none", *recipes.NINE, "multitask"}

    @pytest.mark.parametrize("design", DESIGNS)
    def test_each_question_is_costed_alone(self, paper, design):
        said = plan.lines(paper, design, "H100")
        rows, columns = paper.grids[design]
        assert said[0].startswith(f"paper: {len(rows)} intermediates x {len(columns)} targets x 3 seeds")
        assert any(x.startswith("jobs: ") for x in said)
        (line,) = [x for x in said if x.startswith("shared: with the design transfer: ")]
        trained = len(rows) - 1
        common = len(set(rows) & set(paper.main[0])) - 1
        assert f"{3 * common} of {3 * trained} runs of intermediate training" in line
        (total,) = [x for x in said if x.startswith("all ") and "tokenising" not in x]
        tokens, hours = total.split()[1], float(total.split()[-1].replace(",", ""))
        assert float(tokens.replace(",", "")) > 0
        assert hours > 0

    def test_what_only_reads_trains_nothing_of_its_own(self, paper):
        transfer = plan.plan(paper, "transfer").works
        for design in ("code_mixed", "similarity"):
            own = plan.plan(paper, design).works.keys() - transfer.keys()
            assert not {k for k in own if k[0] in ("intermediate", "target")}, design


class TestLengths:
    def test_long_contexts_are_cut_into_windows(self, paper):
        rows, mean = lengths.shape(paper.tasks["squad_v1"], (4.2 * 1000, 4.2 * 10), 384)
        from xitt.kinds.span import windows

        want = windows(1000, 384 - 14, 384)
        assert rows == len(want) > 1
        assert mean == pytest.approx(np.mean([b - a for a, b in want]) + 14)

    def test_choices_are_rows(self, paper):
        assert lengths.shape(paper.tasks["hellaswag"], (42,), 256, 4) == (4.0, 14.0)

    def test_nothing_is_longer_than_the_limit(self, paper):
        assert lengths.shape(paper.tasks["mnli"], (10_000,), 128)[1] == 128

    def test_every_task_of_the_package_has_a_length(self, paper):
        for task in paper.tasks.values():
            if not task.parts and task.source.layout not in code_mixed.KINDS:  # made of other sets, or of files at hand
                assert task.name in lengths.CHARACTERS, task.name

    def test_limits_hold(self, root_folder, tmp_path):
        shutil.copytree(root_folder / "params" / "designs", tmp_path / "designs")
        text = (
            (root_folder / "params" / "paper.yaml")
            .read_text()
            .replace("source: hub", "source: hub\n  limits: {train: 1000}")
        )
        (tmp_path / "some.yaml").write_text(text.replace("name: paper", "name: some"))
        assert lengths.extent(load_study(tmp_path / "some.yaml"), "mnli", "train", "en", 256).examples == 1000


class TestHere:
    """A study whose data are at hand: lengths are measured."""

    @pytest.fixture(scope="class")
    def study(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("plan")
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("XITT_OUTPUTS", raising=False)
            return load_study(tiny.make(folder))

    @pytest.fixture(scope="class")
    def made(self, study):
        return plan.plan(study)

    def test_the_number_of_examples_is_that_of_the_data(self, study):
        from xitt import data

        found = lengths.extent(study, "mnli", "train", "en", 96)
        assert found.examples == len(data.load(study, "mnli", "train")) == 48
        assert (found.origin, found.sized) == ("characters", "data")

    def test_measured_with_a_tokenizer(self, study):
        from xitt import data
        from xitt.build import train_tokenizer
        from xitt.kinds import kind

        examples = data.load(study, "squad_v1", "train").examples
        tokenizer = train_tokenizer({"en": [{"text": e["context"]} for e in examples]}, 300, 128, 1.0)
        found = lengths.extent(study, "squad_v1", "train", "en", 96, tokenizer)
        features = kind("span").encode(examples, tokenizer, 96, ())
        assert found.origin == "measured"
        assert found.tokens == pytest.approx(features.ids.lengths.sum())

    def test_the_backbone_is_built_once(self, made):
        (work,) = of(made, "build").values()
        assert work.tokens == 6000

    def test_steps_are_those_that_training_takes(self, made, study):
        from xitt.phases import hyper

        work = of(made, "intermediate")["mnli", 0]
        mean = lengths.extent(study, "mnli", "train", "en", 96).length
        assert work.tokens == pytest.approx(hyper(study, "mnli").steps(48) * 8 * mean)

    def test_a_design_that_the_study_lacks(self, study):
        with pytest.raises(ParameterError, match="did you mean 'small'"):
            plan.plan(study, "smal")
        assert plan.plan(study, "small").works.keys() == plan.plan(study).works.keys()

    def test_costs_are_shown_with_a_sum(self, study):
        frame = plan.costs(study)
        assert [c for c in frame if c.endswith("(h)")] == ["H100, assumed (h)", "A100, assumed (h)", "L4, assumed (h)"]
        assert plan.shown(frame).iloc[-1]["work"] == "in all"


class TestRates:
    @pytest.fixture
    def document(self):
        def one(part, shape, seconds, architecture, precision="float32", **more):
            return {"part": part, "shape": shape, "size": "x", "architecture": architecture, "precision": precision, "flops": 6e9, "threads": 2,
                    "made": {"finished": "2026-11-21T00:00:00Z"}, "repeats": [{"xitt": {"seconds": s, "tokens": 10}} for s in seconds], **more}  # fmt: skip

        small, large = (
            {"layers": 6, "width": 384, "feed_forward": 1536},
            {"layers": 24, "width": 1024, "feed_forward": 4096},
        )
        return {"schema": 1, "device": "Some CPU", "date": "2026-11-21", "machine": {"threads": 2, "matmul": {"float32": {"model": 1e9, "square": 2e9}}},
                "measurements": [one("training", "nli", [1.0, 2.0, 6.0], small), one("training", "squad", [3.0], small), one("training", "nli", [1.0], large, "bfloat16"),
                                 one("inference", "pos", [0.5], small)]}  # fmt: skip

    def test_the_nearest_measurement_counts(self, document):
        found = rates.of_document("some-cpu", document, Shape(6, 384, 1536), "float32")
        assert found.training["classify"] == 3e9  # median of the repeats
        assert found.training["span"] == 2e9
        assert found.training["tag"] == 3e9
        assert found.scoring["tag"] == 12e9
        assert found.search == 1e9
        assert any("search: 50%" in o and "assumed" in o for o in found.origins)

    def test_size_and_precision_go_before_shape(self, document):
        assert rates.of_document("x", document, Shape(24, 1024, 4096), "bfloat16").training["span"] == 6e9

    def test_another_size_is_said_to_be_an_assumption(self, document):
        found = rates.of_document("x", document, Shape(12, 768, 3072), "float32")
        assert any("another size" in o for o in found.origins)

    def test_a_measured_machine_by_name_and_an_unknown_one(self, document, tmp_path, paper, monkeypatch):
        monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
        stored.write_json(tmp_path / "docs" / "performance" / "x.json", document)

        class Here:
            root, params = tmp_path, paper.params

        assert rates.choose(Here, Shape(6, 384, 1536), "Some-CPU-2-threads").training["span"] == 2e9
        assert rates.choose(Here, Shape(6, 384, 1536), "h100").name == "H100"
        with pytest.raises(ParameterError, match="did you mean 'H100'"):
            rates.choose(Here, Shape(6, 384, 1536), "H10")

    def test_every_named_gpu_has_a_peak(self):
        assert all(
            rates.of_peak(name, p).training["span"] > 1e12 for name in rates.NAMED for p in ("float32", "bfloat16")
        )


def test_a_backbone_of_unknown_size_is_an_error(paper):
    from xitt.study import Study

    backbone = paper.params.backbone.model_copy(update={"hub": "somebody/some-encoder", "revision": None})
    other = Study(
        paper.path, paper.params.model_copy(update={"backbone": backbone}), paper.designs, paper.root, paper.tasks
    )
    with pytest.raises(DataError, match="somebody/some-encoder"):
        plan.plan(other)


def test_by_the_command_line(root_folder):
    done = subprocess.run(
        [sys.executable, "-m", "xitt.cli", "plan", "paper", "--device", "A100"],
        cwd=root_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fine-tuning" in done.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "xitt.cli", "plan", "paper", "--device", "A1000"],
        cwd=root_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert "did you mean 'A100'" in wrong.stderr
