"""The notebooks: house form by counting, and every one executed by papermill on a tiny study."""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny

NOTEBOOKS = sorted((tiny.ROOT / "notebooks").glob("*.ipynb"))


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def code(path: Path) -> list[str]:
    return ["".join(c["source"]) for c in read(path)["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestForm:
    def test_stored_without_outputs(self, path):
        for cell in read(path)["cells"]:
            assert cell.get("outputs", []) == []
            assert cell.get("execution_count") is None

    def test_kernel_is_python3(self, path):
        assert read(path)["metadata"]["kernelspec"]["name"] == "python3"

    def test_one_parameters_cell_of_typed_commented_literals(self, path):
        tagged = [c for c in read(path)["cells"] if "parameters" in c["metadata"].get("tags", [])]
        assert len(tagged) == 1
        source = "".join(tagged[0]["source"])
        for line, statement in zip(source.splitlines(), ast.parse(source).body, strict=True):
            assert isinstance(statement, ast.AnnAssign)
            ast.literal_eval(statement.value)
            assert "  # " in line

    def test_thin(self, path):
        cells = code(path)
        lines = [len(c.splitlines()) for c in cells]
        for cell in cells:
            tree = ast.parse(cell)
            assert not any(isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Lambda)) for n in ast.walk(tree))
        assert statistics.median(lines) <= 5
        assert max(lines) <= 25
        assert sum(lines) <= 120

    def test_as_much_prose_as_code(self, path):
        kinds = [c["cell_type"] for c in read(path)["cells"]]
        assert kinds.count("markdown") >= 0.6 * kinds.count("code")
        assert kinds[0] == "markdown"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A tiny project; notebooks of this module share what they compute."""
    folder = tmp_path_factory.mktemp("notebooks")
    tiny.make(folder)
    return folder


PARAMETERS = {
    "01_intermediate": ["-p", "intermediate", "mnli"],
    "02_target": ["-p", "intermediate", "mnli", "-p", "targets", "xnli,panx"],
}


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem[:2] != "04"], ids=lambda p: p.stem)
def test_runs_by_papermill_from_the_command_line(path, project):
    """As a user types it, from the project's folder, before any batch run of that notebook."""
    output = project / f"executed-{path.name}"
    command = [
        sys.executable,
        "-m",
        "papermill",
        f"notebooks/{path.name}",
        str(output),
        "-p",
        "study",
        "params/tiny.yaml",
        "--no-progress-bar",
        *PARAMETERS.get(path.stem, []),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "XITT_OUTPUTS"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = read(output)["cells"]
    assert not [o for c in cells for o in c.get("outputs", []) if o["output_type"] == "error"]
    assert any("text/html" in o.get("data", {}) for c in cells for o in c.get("outputs", []))


def test_a_wrong_parameter_is_refused_with_the_valid_ones(project):
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/02_target.ipynb",
        str(project / "wrong.ipynb"),
        "-p",
        "study",
        "params/tiny.yaml",
        "-p",
        "targets",
        "xnly",
        "--no-progress-bar",
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "did you mean 'xnli'?" in done.stderr


def test_similarity_with_nothing_to_compare_ends_with_a_sentence(tmp_path):
    tiny.make(tmp_path, design="name: small\nquestion: none\nintermediates: [none]\ntargets: [xnli]\n")
    command = [sys.executable, "-m", "papermill", "notebooks/13_similarity.ipynb", str(tmp_path / "o.ipynb"), "-p", "study",
               "params/tiny.yaml", "--no-progress-bar"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = "".join(read(tmp_path / "o.ipynb")["cells"][-3]["outputs"][0]["text"])  # behind it the ledger's row
    assert said.startswith("There is nothing to compare: tiny has no intermediate task")


def test_the_matrix_alone_says_what_is_missing(tmp_path):
    """04 trains nothing; test_end_to_end executes it after the others."""
    tiny.make(tmp_path)
    command = [sys.executable, "-m", "papermill", "notebooks/04_transfer_matrix.ipynb", str(tmp_path / "o.ipynb"), "-p", "study",
               "params/tiny.yaml", "--no-progress-bar"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the row none has no scores yet" in done.stderr
