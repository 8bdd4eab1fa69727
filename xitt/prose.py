"""What tables show, in sentences written from their numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import tables
from .study import Study

STAR = "* corrected p < 0.05 (Benjamini-Hochberg over the table)."


def run_sentence(run) -> str:
    """How the training went, in words."""
    if run is None:
        return "Nothing was trained."
    t, log = run.record["training"], run.log
    loss, dev = log["loss"].dropna(), log["dev"].dropna() if "dev" in log else []
    text = (
        f"{t['steps']:,} steps took {t['seconds']:.0f} s; the loss went from {loss.iloc[0]:.2f} to {loss.iloc[-1]:.2f}"
    )
    if len(dev):
        text += f", the dev score from {dev.iloc[0]:.1f} at the first look to {t['best']['score']:.1f} at step {t['best']['step']:,}, whose weights were kept"
    return text + "."


def zero_shot_sentence(study: Study, zero: pd.DataFrame) -> str:
    """What the zero-shot table shows, in words."""
    lines = []
    for _, row in zero.iterrows():
        if not np.isfinite(row.get("English", np.nan)):
            above = "above" if row["others low"] > row["chance (others)"] else "not above"
            lines.append(
                f"{study.tasks[row['target']].title}: {row['others']:.1f} over {row['languages']} languages, {above} chance ({row['chance (others)']:.1f})."
            )
            continue
        margin = row["English"] - row["chance (English)"]
        text = f"{study.tasks[row['target']].title}: English {row['English']:.1f}, {margin:+.1f} against chance"
        if np.isfinite(row["others"]):
            above = "above" if row["others low"] > row["chance (others)"] else "not above"
            gap = "below" if row["gap low"] > 0 else "not clearly below"
            text += f"; the other languages {row['others']:.1f}, {above} chance ({row['chance (others)']:.1f}) and {gap} English"
        lines.append(text + ".")
    return "\n".join(lines)


def retrieval_sentence(study: Study, recipe: str, seed: int) -> str:
    """Best layer and layer used, in words."""
    lines = []
    for target in study.targets_of(recipe, trained=False):
        table = tables.layers(study, recipe, target, seed)
        mean, used = table.groupby("layer")["value"].mean(), int(table.loc[table["chosen"], "layer"].iloc[0])
        lines.append(
            f"{study.tasks[target].title}: {mean[used]:.1f} at layer {used}; the best layer is {mean.idxmax()} with {mean.max():.1f}."
        )
    return "\n".join(lines)


def matrix_caption(study: Study, table: pd.DataFrame) -> str:
    """Caption of the transfer matrix: units, metrics, kind of interval."""
    from .chance import about

    how = next((h for h in table["how"] if h), "")
    pairs = set(table.loc[table["second"].notna(), "target"]) if "second" in table else set()
    metrics = ", ".join(
        f"{study.tasks[t].title} {study.tasks[t].metrics[0]}{'/em' if t in pairs else ''}"
        for t in dict.fromkeys(table["target"])
    )
    what = f"Row none: score in percent; others: change against none in points; mean over languages ({metrics})"
    answers = " Of F1/EM the interval is F1's, and means take both." if pairs else ""
    return f"{about(study, what, interval=how, rings=bool(table['at_chance'].any()))}{answers} {STAR}"


def sentence(study: Study, table: pd.DataFrame) -> str:
    """What the transfer table shows, written from its numbers."""
    tested = table[table["intermediate"] != "none"]
    if not len(tested):
        return "No intermediate task has been scored yet."
    gains = tested[(tested["q"] < 0.05) & (tested["change"] > 0)]
    losses = tested[(tested["q"] < 0.05) & (tested["change"] < 0)]
    best, worst = tested.loc[tested["change"].idxmax()], tested.loc[tested["change"].idxmin()]
    flagged = int(table["at_chance"].sum())
    how = tested["how"].iloc[0]
    return (
        f"Of {len(tested)} cells, {len(gains)} are gains and {len(losses)} are losses at a false-discovery rate of 5 % "
        f"({how}). The largest gain is {best['change']:+.1f} points ({best['intermediate']} on {study.tasks[best['target']].title}, "
        f"95 % interval {best['low']:+.1f} to {best['high']:+.1f}), the largest loss {worst['change']:+.1f} "
        f"({worst['intermediate']} on {study.tasks[worst['target']].title}, {worst['low']:+.1f} to {worst['high']:+.1f}). "
        + (f"{flagged} scores are not above chance and are marked." if flagged else "Every score is above chance.")
    )


def means_sentence(mean: pd.DataFrame) -> str:
    """Which rows change the mean over targets, in words."""
    lines = []
    for scope, part in mean[mean["how"] != ""].groupby("scope", sort=False):
        sure = part[part["q"] < 0.05]
        best = part.loc[part["change"].idxmax()]
        text = f"{scope[0].upper()}{scope[1:]}, {best['targets']} targets: {len(sure)} of {len(part)} rows differ from none ({best['how']}); "
        lines.append(text + f"the best is {best['intermediate']} with {_changed(best)}.")
    return "\n".join(lines) or "No intermediate task has been scored on every target yet."


def _changed(row: pd.Series, name: str = "change") -> str:
    low, high = ("low", "high") if "low" in row else (f"{name} low", f"{name} high")
    return f"{row[name]:+.1f} points (95 % interval {row[low]:+.1f} to {row[high]:+.1f})"


def stability_sentence(study: Study, table: pd.DataFrame) -> str:
    """Whether seeds agree on the ranking of intermediate tasks, in words."""
    if len(study.seeds) < 2:
        return f"One seed ({study.seeds[0]}): whether another would rank the intermediate tasks alike cannot be said from this study."
    if np.isnan(table["Kendall"].iloc[0]):
        return "Fewer than three intermediate tasks have been scored with every seed: there is no ranking to compare."
    row = table.iloc[0]
    sure = "agree more than by chance" if row["Kendall low"] > 0 else "do not agree for certain"
    return (
        f"Ranked by their mean over targets, {row['recipes']} intermediate tasks have a Kendall correlation of {row['Kendall']:.2f} "
        f"({row['Kendall low']:.2f} to {row['Kendall high']:.2f}, over targets) and a Spearman correlation of {row['Spearman']:.2f} between "
        f"{row['seeds']} seeds: the seeds {sure}."
    )


def protocol_sentence(table: pd.DataFrame) -> str:
    """How far the two protocols are apart, in words."""
    if not len(table):
        return "The protocols do not differ on any target of this study."
    apart = (table["paper"] - table["strict"]).abs()
    flips = int((np.sign(table["change (paper)"]) * np.sign(table["change (strict)"]) < 0).sum())
    return (
        f"Tuning on what is scored is worth {apart.mean():.1f} points on average and {apart.max():.1f} at most over {len(table)} scores; "
        f"{flips} changes have another sign."
    )


def beside_sentence(table: pd.DataFrame) -> str:
    """How many published figures there are to compare with, in words."""
    there, both = table["published"].notna(), table[["published", "ours"]].notna().all(axis=1)
    return (
        f"{there.sum()} of the {len(table)} figures could be had with a source, {both.sum()} of them of something that this study has; the others are "
        "blank, since figures from memory are no reference."
    )


def benchmark_caption(study: Study, name: str, table: pd.DataFrame) -> str:
    """Caption of the benchmark table: units, over what, kind of interval."""
    from .chance import about

    how = ", ".join(dict.fromkeys(h for h in table["how"] if h)) if len(table) else ""
    what = f"{name}: scores in percent, question answering as F1/EM (its score is the mean of both), means over what is here; against none: change of the mean in points"
    return f"{about(study, what, interval=how, rings=True)} {STAR}"


def published_sentence(study: Study) -> str:
    """Best per target against ``none``, here and as published, in words."""
    from . import benchmark, published

    ours, theirs = benchmark.gain(study), published.find("X-STILTs", "mean", "change", "test", intermediate="best")
    here = len(benchmark.scores(study, "xtreme"))
    said = (
        f"Published: {theirs.value:+.1f} points on XTREME's nine tasks ({theirs.certainty}: {theirs.source}). "
        if theirs
        else ""
    )
    if ours is None:
        return said + "Here: not every target has been scored with an intermediate task yet."
    return f"{said}Here, {study.name}: {ours.value:+.1f} points (95 % interval {ours.low:+.1f} to {ours.high:+.1f}, {ours.how}) on {here} of the nine."


def benchmark_sentence(name: str, table: pd.DataFrame) -> str:
    """What the benchmark table shows, in words; ``name`` of the benchmark."""
    if not len(table):
        return f"{name}: no task of it has been scored yet."
    means = table.set_index("system")["mean"]
    tested = table[table["how"] != ""]
    text = f"{name}, mean over {table['tasks'].iloc[0]} tasks: none {means.get('none', np.nan):.1f}"
    if not len(tested):
        return text + "; no other row has all of them yet."
    one = tested[tested["rows"] != "chosen on dev"]
    parts = [f"{row['system']} {row['mean']:.1f}, {_changed(row)}" for row in
             [*([one.loc[one["change"].idxmax()]] if len(one) else []), *(r for _, r in tested[tested["rows"] == "chosen on dev"].iterrows())]]  # fmt: skip
    return f"{text}; " + "; ".join(parts) + f" ({tested['how'].iloc[0]})."
