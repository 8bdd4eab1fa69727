"""Parameters: what is read, what is refused, and how it is said."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from xitt import cli, data
from xitt.errors import DataError, ParameterError
from xitt.study import Study, expand, find_study, fingerprint, load_study, read_yaml

GOOD = """
name: small
title: a study for tests
designs: [two]
data: {source: pocket, limits: {train: 48, test: 12}}
backbone: {build: {text: pocket, architecture: {width: 32}}}
recipe: {lr: 1e-5, epochs: 2}
"""
DESIGN = """
name: two
question: does it load?
intermediates: [mnli, none, squad_v1]
targets: [xnli, tatoeba]
"""
few = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with one good study, ``small``."""
    (tmp_path / "params" / "designs").mkdir(parents=True)
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "params" / "designs" / "two.yaml").write_text(DESIGN)
    (tmp_path / "params" / "small.yaml").write_text(GOOD)
    return tmp_path


def write(project: Path, text: str | bytes, name: str = "bad") -> Path:
    file = project / "params" / f"{name}.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def variant(old: str, new: str) -> str:
    """The good study with one thing replaced."""
    assert old in GOOD
    return GOOD.replace(old, new)


# --- what is shipped -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["pocket", "pocket_full", "mini", "paper"])
def test_shipped_studies_load_without_data(root, name, monkeypatch):
    monkeypatch.delenv("XITT_DATA", raising=False)
    study = load_study(root / "params" / f"{name}.yaml")
    assert study.name == name
    assert study.root == root
    assert study.intermediates[0] == "none"
    assert set(study.trained_targets) | set(study.retrieval_targets) == set(study.targets)
    assert {"xnli", "udpos", "panx", "xquad", "tatoeba"} <= set(study.targets)


def test_a_design_by_its_name_in_the_form_that_the_study_has(root):
    pocket = load_study(root / "params" / "pocket.yaml")
    assert pocket.design("scaling") in pocket.designs
    assert pocket.design("scaling").whole is not None
    assert pocket.design("scaling.reduced") is None
    assert load_study(root / "params" / "mini.yaml").design("scaling") is None


def test_every_shipped_file_is_known_to_the_test_above(root):
    assert {p.stem for p in (root / "params").glob("*.yaml")} >= {"pocket", "pocket_full", "mini", "paper"}
    for file in (root / "params").glob("*.yaml"):
        load_study(file)


def test_pocket_full_builds_on_pocket(root):
    pocket, full = (load_study(root / "params" / f"{n}.yaml").params for n in ("pocket", "pocket_full"))
    assert full.backbone == pocket.backbone
    assert full.recipe == pocket.recipe
    assert full.data.task_limits["bucc2018"] == pocket.data.task_limits["bucc2018"]
    assert len(full.seeds) == 3
    assert full.data.limits != pocket.data.limits


def test_mini_needs_its_data_folder_only_when_data_are_read(root, monkeypatch):
    monkeypatch.delenv("XITT_DATA", raising=False)
    study = load_study(root / "params" / "mini.yaml")
    with pytest.raises(DataError, match="XITT_DATA"):
        data.load(study, "xnli", "test", "de")


def test_data_folder_that_is_not_there(root, monkeypatch, tmp_path):
    monkeypatch.setenv("XITT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        data.load(load_study(root / "params" / "mini.yaml"), "xnli", "test", "de")


# --- reading -------------------------------------------------------------------------------------------------------
def test_numbers_as_people_write_them(project):
    text = "a: 1e-5\nb: 3E4\nc: 1.5e+3\nd: .5\ne: 2.\nf: 4_000_000\ng: '1e-5'\nh: 1e-5x\ni: e5\nj: 7\n"
    assert read_yaml(write(project, text)) == {
        "a": 1e-5, "b": 3e4, "c": 1500.0, "d": 0.5, "e": 2.0, "f": 4_000_000, "g": "1e-5", "h": "1e-5x", "i": "e5", "j": 7,
    }  # fmt: skip
    assert load_study(project / "params" / "small.yaml").params.recipe.lr == 1e-5


def test_extends_merges_mapping_by_mapping(project):
    write(project, "extends: small\nname: child\ndata: {limits: {train: 99}}\nseeds: [1, 2]\n", "child")
    write(project, "extends: child\nname: grandchild\nrecipe: {epochs: 3}\n", "grandchild")
    study = load_study(project / "params" / "grandchild.yaml")
    assert study.name == "grandchild"
    assert study.params.title == "a study for tests"
    assert (study.params.data.limits.train, study.params.data.limits.test) == (99, 12)
    assert (study.params.recipe.lr, study.params.recipe.epochs) == (1e-5, 3)
    assert study.seeds == (1, 2)


def test_extends_replaces_lists_and_backbones_whole(project):
    write(project, "extends: small\nname: child\ndesigns: [two]\nbackbone: {hub: some/model}\n", "child")
    backbone = load_study(project / "params" / "child.yaml").params.backbone
    assert (backbone.hub, backbone.build) == ("some/model", None)


def test_extends_null_takes_a_value_back(project):
    write(project, "extends: small\nname: child\ndata: {limits: {train: null}}\n", "child")
    assert load_study(project / "params" / "child.yaml").params.data.limits.train is None


def test_rows_and_targets_of_a_study(project):
    study = load_study(project / "params" / "small.yaml")
    assert study.intermediates == ("none", "mnli", "squad_v1")
    assert study.trained_targets == ("xnli",)
    assert study.retrieval_targets == ("tatoeba",)
    write(project, GOOD + "intermediates: [squad_v1]\ntargets: [udpos]\n", "fewer")
    fewer = load_study(project / "params" / "fewer.yaml")
    assert (fewer.intermediates, fewer.targets) == (("none", "squad_v1"), ("udpos",))


def test_outputs_go_where_the_environment_says(project, monkeypatch, tmp_path):
    monkeypatch.delenv("XITT_OUTPUTS", raising=False)
    assert load_study(project / "params" / "small.yaml").out == project / "outputs" / "small"
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "elsewhere"))
    assert load_study(project / "params" / "small.yaml").out == tmp_path / "elsewhere" / "small"


# --- what is refused -----------------------------------------------------------------------------------------------
#: label → (content of params/bad.yaml, what the message must hold besides the file)
REFUSED: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "misspelt key": (
        variant("recipe:", "recipie:"),
        ("'recipie'", "did you mean 'recipe'?", "retrieval", "engine"),
    ),
    "misspelt nested key": (variant("lr:", "lrr:"), ("recipe.lrr", "did you mean 'lr'?", "warmup")),
    "misspelt key of a task": (
        GOOD + "recipes: {mnli: {epoch: 3}}",
        ("recipes.mnli.epoch", "did you mean 'epochs'?", "batch"),
    ),
    "misspelt key under an optional": (
        variant("width: 32", "widht: 32"),
        ("backbone.build.architecture.widht", "did you mean 'width'?", "heads"),
    ),
    "misspelt key of a limit": (
        variant("limits: {", "task_limits: {udpos: {tran: 3}}, limits: {"),
        ("data.task_limits.udpos.tran", "did you mean 'train'?", "dev"),
    ),
    "wrong type": (variant("epochs: 2", "epochs: many"), ("recipe.epochs", "number", "'many'")),
    "text for a list": (variant("[two]", "two"), ("designs", "'two'")),
    "text for a mapping": (variant("{lr: 1e-5, epochs: 2}", "fast"), ("recipe", "'fast'")),
    "yes for a rate": (variant("1e-5", "yes"), ("recipe.lr",)),
    "yes for a seed": (GOOD + "seeds: [yes]", ("seeds",)),
    "fraction for a count": (variant("train: 48", "train: 4.5"), ("data.limits.train", "4.5")),
    "negative rate": (variant("1e-5", "-1e-5"), ("recipe.lr", "greater than 0", "-1e-05")),
    "zero rate": (variant("1e-5", "0"), ("recipe.lr", "greater than 0")),
    "rate not a number": (variant("1e-5", ".nan"), ("recipe.lr",)),
    "endless rate": (variant("1e-5", ".inf"), ("recipe.lr",)),
    "warm-up over 1": (variant("epochs: 2", "warmup: 1.5"), ("recipe.warmup", "less than 1")),
    "value not among those of a key": (
        variant("source: pocket", "source: poket"),
        ("data.source", "'pocket'", "'folder'", "'hub'", "poket"),
    ),
    "unknown task as target": (GOOD + "targets: [xnlii]", ("targets", "did you mean 'xnli'?", "udpos")),
    "intermediate as target": (GOOD + "targets: [mnli]", ("targets", "'mnli'", "xnli", "udpos")),
    "unknown intermediate": (
        GOOD + "intermediates: [mnlii]",
        ("intermediates", "did you mean 'mnli'?", "hellaswag"),
    ),
    "target as intermediate": (GOOD + "intermediates: [xnli]", ("intermediates", "'xnli'", "hellaswag")),
    "recipe of an unknown task": (GOOD + "recipes: {mnly: {lr: 1}}", ("recipes", "did you mean 'mnli'?")),
    "limit of an unknown task": (
        variant("limits: {", "task_limits: {udposs: {train: 3}}, limits: {"),
        ("task_limits", "did you mean 'udpos'?"),
    ),
    "unknown design": (variant("[two]", "[twoo]"), ("designs", "did you mean 'two'?", "valid: two")),
    "missing key": (GOOD.replace("title: a study for tests", ""), ("title", "required")),
    "two backbones": (variant("{build:", "{hub: a/b, build:"), ("backbone", "`hub:`", "`build:`")),
    "no backbone": (variant("{build: {text: pocket, architecture: {width: 32}}}", "{}"), ("backbone", "`hub:`")),
    "folder without its path": (variant("source: pocket", "source: folder"), ("data", "folder:")),
    "name that is no file name": (variant("name: small", "name: ../small"), ("name", "../small")),
    "seed twice": (GOOD + "seeds: [1, 1]", ("seeds",)),
    "no seed": (GOOD + "seeds: []", ("seeds",)),
    "negative seed": (GOOD + "seeds: [-1]", ("seeds.0", "-1")),
    "key twice": (GOOD + "title: again", (":8", "'title'", "twice")),
    "nested key twice": (variant("epochs: 2", "lr: 2"), ("'lr'", "twice")),
    "extends a file that is not there": (variant("name: small", "name: x\nextends: smal"), ("extends", "'smal'")),
    "extends no name": (variant("name: small", "name: x\nextends: [small]"), ("extends", "small")),
    "empty": ("", ("empty",)),
    "only a comment": ("# nothing here yet\n", ("empty",)),
    "list": ("- name: small\n- title: t\n", ("mapping", "list")),
    "scalar": ("pocket\n", ("mapping", "str")),
    "number as key": (GOOD + "1: one\n", ()),
    "open bracket": ("name: [small\ntitle: t\n", (":2",)),
    "tab": ("name: x\ndata:\n\tsource: pocket\n", (":3", "\\t")),
    "two documents": ("a: 1\n---\nb: 2\n", (":2", "document")),
    "control character": ("name: \x00\n", ("character",)),
    "list as key": ("[a, b]: c\n", ()),
    "mapping as key": ("? {a: 1}\n: c\n", ()),
    "no such day": (variant("title: a study for tests", "title: 2020-99-99"), ()),
    "half a number": (variant("title: a study for tests", "title: ._"), ()),
    "half a hexadecimal number": (variant("title: a study for tests", "title: 0x_"), ()),
    "wrong tag": (variant("title: a study for tests", "title: !!int x"), ()),
    "code": ("name: !!python/object/apply:os.getcwd []\n", ("python/object",)),
    "deep": ("a: " + "[" * 1500, ("deep",)),
    "Latin-1": (GOOD.replace("tests", "tésts").encode("latin-1"), ("UTF-8",)),
    "UTF-16": (GOOD.encode("utf-16"), ("UTF-8",)),
}  # fmt: skip


@pytest.mark.parametrize("label", REFUSED)
def test_refused_with_a_message_that_helps(project, label):
    text, parts = REFUSED[label]
    file = write(project, text)
    with pytest.raises(ParameterError) as caught:
        load_study(file)
    for part in (str(file), *parts):
        assert part in str(caught.value)


def test_a_key_that_is_no_text_is_named(project):
    with pytest.raises(ParameterError, match=r"\b417\b"):
        load_study(write(project, GOOD + "417: one\n"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (DESIGN.replace("targets:", "target:"), ("'target'", "did you mean 'targets'?", "question")),
        (DESIGN.replace("tatoeba", "tatoba"), ("did you mean 'tatoeba'?", "udpos")),
        (DESIGN.replace("tatoeba", "mnli"), ("'mnli'", "udpos")),
        (DESIGN.replace("squad_v1", "squad"), ("did you mean 'squad_v2'?", "hellaswag")),
        ("", ("empty",)),
        ("- a", ("mapping",)),
    ],
)
def test_refused_designs(project, text, parts):
    design = project / "params" / "designs" / "two.yaml"
    design.write_text(text)
    with pytest.raises(ParameterError) as caught:
        load_study(project / "params" / "small.yaml")
    for part in (str(design), *parts):
        assert part in str(caught.value)


def test_all_faults_are_told_at_once(project):
    file = write(project, variant("lr: 1e-5", "lr: -1") + "retrieval: {lenght: 3}\n")
    with pytest.raises(ParameterError) as caught:
        load_study(file)
    assert "recipe.lr" in str(caught.value)
    assert "did you mean 'length'?" in str(caught.value)


@pytest.mark.parametrize("links", [("a", "a"), ("a", "b", "a"), ("a", "b", "c", "b")])
def test_circular_extends_shows_the_circle(project, links):
    for name, base in pairwise(links):
        write(project, f"extends: {base}\nname: {name}\n", name)
    with pytest.raises(ParameterError) as caught:
        load_study(project / "params" / f"{links[0]}.yaml")
    assert "circle" in str(caught.value)
    assert f"{links[-2]}.yaml -> {links[-1]}.yaml" in str(caught.value)


@few
@given(st.text(alphabet=" \n:-[]{}&*!#'\"?|>,%@`0123456789.eE+_xab~<=\t", max_size=30))
def test_any_text_is_read_or_refused(project, text):
    """Never another exception, and so never a traceback."""
    try:
        content = read_yaml(write(project, text))
    except ParameterError:
        pass
    else:
        assert all(isinstance(key, str) for key in content)


# --- finding -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("given_name", ["small", "params/small.yaml"])
@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/deep", "params/designs"])
def test_found_from_the_current_folder_upwards(project, monkeypatch, given_name, folder):
    monkeypatch.chdir(project / folder)
    assert find_study(given_name) == (project / "params" / "small.yaml").resolve()
    assert load_study(given_name).root == project


def test_the_nearest_file_wins(project, monkeypatch):
    (project / "notebooks" / "params").mkdir()
    (project / "notebooks" / "params" / "small.yaml").write_text(GOOD)
    monkeypatch.chdir(project / "notebooks" / "deep")
    assert find_study("small") == (project / "notebooks" / "params" / "small.yaml").resolve()


@pytest.mark.parametrize("given_name", ["params/smal.yaml", "smal.yaml", "smal", "smalll"])
def test_missing_file_names_the_nearest_one(project, monkeypatch, given_name):
    write(project, GOOD, "other")
    monkeypatch.chdir(project / "notebooks")
    with pytest.raises(ParameterError) as caught:
        find_study(given_name)
    assert repr(given_name) in str(caught.value)
    assert "did you mean 'small" in str(caught.value)
    assert "other" in str(caught.value)


def test_missing_file_outside_any_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="nope"):
        find_study("nope")


def test_a_folder_is_not_a_study(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(ParameterError, match="params"):
        find_study("params")


def test_variables_in_paths(monkeypatch):
    monkeypatch.setenv("XITT_HERE", "/data")
    monkeypatch.delenv("XITT_NOT_SET", raising=False)
    assert expand("${XITT_HERE}/hub", "x") == "/data/hub"
    assert expand("$XITT_HERE/hub", "x") == "/data/hub"
    assert expand("plain/$", "x") == "plain/$"
    with pytest.raises(DataError, match=r"data\.folder.*XITT_NOT_SET") as caught:
        expand("${XITT_NOT_SET}/hub", "data.folder")
    assert caught.value.exit_code == 3


# --- frozen --------------------------------------------------------------------------------------------------------
def test_params_and_designs_are_frozen(project):
    study = load_study(project / "params" / "small.yaml")
    for model, field in (
        (study.params, "seeds"),
        (study.params.recipe, "lr"),
        (study.params.data.limits, "train"),
        (study.designs[0], "targets"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, field, None)


@pytest.mark.parametrize("field", ["params", "designs", "out"])
def test_a_study_is_frozen(project, field):
    study = load_study(project / "params" / "small.yaml")
    with pytest.raises((AttributeError, TypeError)):
        setattr(study, field, None)


def test_a_study_is_passed_through(project):
    study = load_study(project / "params" / "small.yaml")
    assert isinstance(study, Study)
    assert load_study(study) is study


def test_check_of_recipe_target_and_seed(project):
    study = load_study(project / "params" / "small.yaml")
    assert study.check("mnli", ("xnli",), 3) == "mnli"
    with pytest.raises(ParameterError, match="did you mean 'xnli'"):
        study.check("mnli", ("xnl",))
    with pytest.raises(ParameterError, match="udpos"):
        study.check("mnli", ("squad_v1",))
    with pytest.raises(ParameterError, match="did you mean 'mnli'"):
        study.check("mnlii")
    for seed in (-1, 1.0, True, "0"):
        with pytest.raises(ParameterError, match="seed"):
            study.check("mnli", (), seed)


# --- fingerprints --------------------------------------------------------------------------------------------------
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def shuffled(value, rng: random.Random):
    """The same value with all its mappings in another order."""
    if isinstance(value, list):
        return [shuffled(v, rng) for v in value]
    if isinstance(value, dict):
        items = [(k, shuffled(v, rng)) for k, v in value.items()]
        rng.shuffle(items)
        return dict(items)
    return value


@few
@given(json_values, st.randoms(use_true_random=False))
def test_fingerprint_is_free_of_order_and_survives_json(value, rng):
    assert fingerprint(shuffled(value, rng)) == fingerprint(value)
    assert fingerprint(json.loads(json.dumps(value))) == fingerprint(value)


@few
@given(json_values, json_values)
def test_fingerprint_tells_values_apart(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (fingerprint(first) == fingerprint(second)) == same


def test_fingerprint_of_close_things():
    values = [
        {"lr": 1e-5}, {"lr": 1.0000001e-5}, {"lr": "1e-05"}, {"LR": 1e-5}, {"lr": [1e-5]}, {"lr": 1e-5, "x": None},
        {"a": {"b": 1}}, {"a": 1, "b": 1}, [1, 2], [2, 1], [[1], 2], "é", "e\u0301", 0, False, None, "", [], {},
    ]  # fmt: skip
    prints = [fingerprint(v) for v in values]
    assert len(set(prints)) == len(values)
    assert all(len(p) == 64 and set(p) <= set("0123456789abcdef") for p in prints)


def test_fingerprint_does_not_change_between_versions():
    """Finished runs are found by it: a change here throws every run away."""
    assert (
        fingerprint({"b": [1, 2.5, None, True], "a": "é"})
        == "0c187fb652afca8017b5ef38178eeef09a9dfef844316f80ba4207cdf1995ee5"
    )


# --- the command line ----------------------------------------------------------------------------------------------
def command(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of ``xitt``, in this process: a new one costs a second."""
    monkeypatch.setattr(sys, "argv", ["xitt", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "label",
    [
        "misspelt key", "unknown task as target", "unknown design", "wrong type", "negative rate", "missing key", "empty", "list",
        "key twice", "open bracket", "no such day", "Latin-1",
    ],
)  # fmt: skip
def test_command_line_refuses_with_2(project, monkeypatch, capsys, label):
    text, parts = REFUSED[label]
    code, err = command(monkeypatch, capsys, "status", str(write(project, text)))
    assert code == 2
    assert err.startswith("xitt: ")
    assert err.count("xitt: ") == 1
    assert "Traceback" not in err
    for part in ("bad.yaml", *parts):
        assert part in err


def test_command_line_missing_file_and_variable(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    code, err = command(monkeypatch, capsys, "status", "params/smal.yaml")
    assert (code, "small.yaml" in err) == (2, True)
    monkeypatch.delenv("XITT_NOT_SET", raising=False)
    code, err = command(monkeypatch, capsys, "status", "${XITT_NOT_SET}/small.yaml")
    assert (code, "XITT_NOT_SET" in err) == (3, True)


@pytest.mark.parametrize(
    "arguments", [("frobnicate",), ("run",), ("run", "small", "--jobs", "0"), ("status", "small", "--nope")]
)
def test_command_line_usage_errors(project, monkeypatch, capsys, arguments):
    monkeypatch.chdir(project)
    code, err = command(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """``xitt`` as a process of its own."""
    env = {k: v for k, v in os.environ.items() if k != "XITT_DATA"} | environment
    return subprocess.run(
        [sys.executable, "-m", "xitt.cli", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_process_bad_parameters(project):
    write(project, variant("lr:", "lrr:"))
    done = start(project / "notebooks", "status", "bad")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "recipe.lrr" in done.stderr
    assert "did you mean 'lr'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["skip", "error"])
def test_missing_data_are_found_out_before_anything_runs(root, project, monkeypatch, capsys, missing):
    shutil.copytree(
        root / "notebooks", project / "notebooks", dirs_exist_ok=True, ignore=shutil.ignore_patterns("kernel-*")
    )
    source = f"source: folder, folder: {project / 'nowhere'}, missing: {missing}"
    file = write(project, variant("source: pocket", source))
    monkeypatch.setattr("xitt.batch.run", lambda *_, **__: pytest.fail("it began to run"))
    code, err = command(monkeypatch, capsys, "run", str(file))
    assert code == 3
    assert "nowhere" in err
    assert len(err.strip().splitlines()) == 1


def test_process_variable_not_set(root, project):
    shutil.copytree(
        root / "notebooks", project / "notebooks", dirs_exist_ok=True, ignore=shutil.ignore_patterns("kernel-*")
    )
    write(project, variant("source: pocket", "source: folder, folder: '${XITT_DATA}', missing: skip"))
    done = start(project, "run", "bad")
    assert done.returncode == 3
    assert "XITT_DATA" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
