"""Rings at chance and the map of languages by tasks."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import xitt
from xitt import chance, differences, results, stats, tables
from xitt.report import sanitise
from xitt.show import Raw, show

RIGHT = {"en": 0.9, "de": 0.7, "hi": 0.5}  # share of right answers of 400; chance is 50
TARGETS = ("xnli", "pawsx")


def accuracy(shares: dict[str, float], n: int = 400) -> stats.Counts:
    """Counts of an accuracy: right answers and answers."""
    ids = np.array([str(i) for i in range(n)])
    return stats.Counts(
        {x: (ids, np.stack([np.arange(n) < share * n, np.ones(n)], axis=1).astype(float)) for x, share in shares.items()},
        lambda c: 100 * c[..., 0] / c[..., 1],
    )  # fmt: skip


@pytest.fixture
def study(root, tmp_path, monkeypatch):
    """Row none of two targets: xnli as in RIGHT, pawsx right by a coin everywhere."""
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path))
    found = xitt.load_study(root / "params" / "pocket.yaml")
    held = {"xnli": accuracy(RIGHT), "pawsx": accuracy(dict.fromkeys(RIGHT, 0.5))}

    def counts(study, recipe, target, seed, metric=None):
        return held.get(target) if recipe == "none" else None

    def resampled(study, target, metrics=None, recipes=None, without=()):
        drawn = stats.resampled(held[target]).mean(axis=1)
        return differences.Resampled({("none", 0): held[target].mean()}, {("none", 0): drawn})

    rows = [
        ("none", t, x, "test", 0, "accuracy", 100 * RIGHT[x] if t == "xnli" else 50.0, 400)
        for t in TARGETS
        for x in RIGHT
    ]
    rows += [("none", t, "avg", "test", 0, "accuracy", 70.0 if t == "xnli" else 50.0, 1200) for t in TARGETS]
    rows += [("baseline:majority", t, x, "test", 0, "accuracy", 50.0, 400) for t in TARGETS for x in (*RIGHT, "avg")]
    tidy = pd.DataFrame(rows, columns=list(results.COLUMNS))
    monkeypatch.setattr(tables, "counts", counts)
    monkeypatch.setattr(differences, "resampled", resampled)
    monkeypatch.setattr(results, "collect", lambda study, baselines=True: tidy)
    monkeypatch.setattr(results, "chance", lambda study, target: tidy[tidy["intermediate"].str.startswith("baseline")])
    return found


def test_a_score_whose_interval_reaches_chance_has_a_ring(study):
    assert chance.flags(study, "none", "xnli") == {"en": False, "de": False, "hi": True, "avg": False}
    assert set(chance.flags(study, "none", "pawsx", seed=0).values()) == {True}
    assert chance.flags(study, "mnli", "xnli") == {}  # not there


def test_the_map_is_coloured_from_chance_and_grey_at_chance(study):
    cells = chance.scores(study).set_index(["target", "language"])
    assert cells.loc[("xnli", "en"), "share"] == pytest.approx(0.8)
    assert cells.loc[("xnli", "hi"), "at_chance"]
    text = sanitise.clean(chance.LanguageMap(study).html())
    rows = dict(re.findall(r"<tr><th[^>]*><code>(\w+)</code></th>(.*?)</tr>", text))
    assert list(rows) == ["avg", "en", "de", "hi"]
    strength = [int(x, 16) for x in re.findall(r"background:#0072b2(..)", "".join(rows[x] for x in ("de", "en")))]
    assert strength[0] < strength[1]
    assert "#888888" in rows["hi"]
    assert rows["hi"].count("°") == 2
    assert "°" not in rows["en"].split("</td>")[0]
    assert "in percent" in text
    assert "test split; seed 0" in text


def test_tables_per_language_carry_rings(study):
    frame = chance.by_language(study)
    assert list(frame.columns) == ["target", "intermediate", "avg", "en", "de", "hi"]
    assert isinstance(frame.loc[0, "hi"], Raw)
    assert frame.loc[0, "en"] == 90.0
    assert show(frame).html().count('title="at chance"') == 5
    wide = pd.DataFrame(results.collect(study)[lambda t: t["intermediate"] == "none"])
    marked = chance.marked(study, {t: wide[wide["target"] == t] for t in TARGETS}, "none", 0)
    assert show(marked).html().count('title="at chance"') == 5


def test_unlike_seeds_are_averaged_over_one_draw(study, monkeypatch):
    vars(study)["_frozen"] = False
    study.params = study.params.model_copy(update={"seeds": (0, 1)})
    half = {0: accuracy({"en": 0.4}), 1: accuracy({"en": 0.9})}
    monkeypatch.setattr(tables, "counts", lambda study, recipe, target, seed, metric=None: half[seed])
    assert chance.flags(study, "none", "xnli")["en"] is False  # the mean is 65
    assert chance.flags(study, "none", "xnli", seed=0)["en"] is True
