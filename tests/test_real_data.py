"""``params/mini.yaml`` on the real data, cut down to seconds: the same phases, tasks and files as the full one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pandas as pd
import yaml

from tests import tiny


def test_mini_runs_on_real_text(tmp_path, real_data):
    tiny.make(tmp_path)
    shutil.copytree(tiny.ROOT / "params", tmp_path / "params", dirs_exist_ok=True)
    small = {
        "extends": "mini", "name": "micro", "title": "mini, cut down", "intermediates": ["none"], "designs": ["transfer.slices", "code_mixed.slices"],
        "data": {"limits": {"train": 16, "dev": 8, "test": 6},
                 "task_limits": {t: {"train": 16, "dev": 8, "test": 6} for t in (
                     "tatoeba", "udpos", "xquad", "squad_v1", "hellaswag", "xquad_cross", "xquad_roman", "sentimix")}},
        "backbone": {"build": {"text": "folder", "languages": ["en", "de", "hi"], "lines": 120, "tokens": 4000, "batch_tokens": 512,
                               "length": 32, "architecture": {"width": 32, "layers": 2, "heads": 2, "feed_forward": 32,
                                                              "vocabulary": 1200, "max_length": 256}}},
    }  # fmt: skip
    (tmp_path / "params" / "micro.yaml").write_text(yaml.safe_dump(small))
    environment = {k: v for k, v in os.environ.items() if k != "XITT_OUTPUTS"} | {"XITT_DATA": str(real_data)}
    done = subprocess.run([sys.executable, "-m", "xitt.cli", "run", "params/micro.yaml"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    frame = pd.read_csv(tmp_path / "outputs/micro/results.csv")
    found = (
        frame[(frame["language"] != "avg") & (frame["intermediate"] == "none")].groupby("target")["language"].nunique()
    )
    assert found["xquad"] == 9
    assert found["udpos"] >= 25
    assert found["tatoeba"] >= 25
    assert found["ntrex"] == 4
    assert found["xnli"] >= 3
    assert found[["xnli_cross", "xquad_cross", "xquad_roman", "udpos_mixed", "codemixed_qa", "sentimix"]].tolist() == [
        6,
        16,
        4,
        2,
        1,
        1,
    ]
