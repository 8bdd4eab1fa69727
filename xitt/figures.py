"""Figures of the report. Colours are safe for colour-blind readers, backgrounds are transparent so that both themes can hold
them (in the report, axes and text take the theme's own ink), legends stand outside the data; each figure has a text alternative.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import tables
from .study import Study

INK = "#808890"  # axes and text: readable on white and on near-black
BLUE, ORANGE = "#3b82c4", "#e08a2e"
# Okabe and Ito's colours without yellow, which a light page swallows; series differ in their marks as well
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#808890")
MARKS = "os^DvPX<>dph"  # one for each row of the paper's table, and one more
_THEMED = {INK: "--plot-ink", BLUE: "--plot-blue", ORANGE: "--plot-orange"}  # set by the report's style sheet


class Figure:
    """A drawn figure with its text alternative; shows itself as SVG in notebooks."""

    def __init__(self, figure, alt: str):
        self.figure, self.alt = figure, alt

    def _repr_mimebundle_(self, include=None, exclude=None):
        import html
        import io

        import matplotlib.pyplot as plt

        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
        plt.close(self.figure)
        svg = buffer.getvalue()
        svg = _compact(svg[svg.index("<svg") :])
        svg = svg.replace(
            "<svg ", f'<svg role="img" aria-label="{html.escape(self.alt)}" style="font-family:sans-serif" ', 1
        )
        return {
            "text/html": f'<figure class="plot">{svg}<figcaption>{html.escape(self.alt)}</figcaption></figure>',
            "text/plain": self.alt,
        }

    def save(self, path) -> None:
        """Write the figure as a file (PNG on white, for READMEs)."""
        self.figure.savefig(path, dpi=130, bbox_inches="tight", facecolor="white")


def _compact(svg: str) -> str:
    """An SVG at half its size: coordinates to a hundredth of a point, the font named once, no blanks between elements."""
    import re

    svg = re.sub(r'style="[^"]*"', _themed, svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size:\1px", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    svg = re.sub(r"(?<=[\s\"(,])(-?\d+\.\d{3,})(?=[\s\"),])", lambda m: f"{float(m[1]):.2f}", svg)
    return re.sub(r">\s+<", "><", re.sub(r" ?\n", " ", svg))


def _themed(style) -> str:
    """A style attribute with this module's inks as variables of the page, which fall back to the inks themselves."""
    text = style[0]
    for colour, name in _THEMED.items():
        text = text.replace(colour, f"var({name}, {colour})")
    return text


def palette(count: int) -> list[tuple[str, str]]:
    """Colour and mark of each of ``count`` series: told apart without colour too."""
    return [(PALETTE[i % len(PALETTE)], MARKS[i % len(MARKS)]) for i in range(count)]


def _axes(width: float, height: float, **options):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="ticks", rc={
        "svg.fonttype": "none", "svg.hashsalt": "xitt", "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False,  # a title may hold a dollar sign
    })  # fmt: skip
    return plt.subplots(figsize=(width, height), **options)


def transfer_map(study: Study, table: pd.DataFrame | None = None) -> Figure:
    """Heat map of the change against ``none``, in points; a star marks cells whose corrected p is below 0.05."""
    import seaborn as sns

    table = tables.transfer(study) if table is None else table
    rows = [r for r in dict.fromkeys(table["intermediate"]) if r != "none"] if len(table) else []
    columns = [t for t in study.targets if t in set(table["target"])] if rows else []
    if not rows:
        return nothing("No intermediate task has been scored yet")
    change = table.pivot(index="intermediate", columns="target", values="change").loc[rows, columns]
    q = table.pivot(index="intermediate", columns="target", values="q").loc[rows, columns]
    base = table[table["intermediate"] == "none"].set_index("target")["value"]
    ring = table.pivot(index="intermediate", columns="target", values="at_chance").loc[rows, columns] == True  # noqa: E712
    label = change.map(lambda v: f"{v:+.1f}".replace("-", "−")) + q.map(lambda v: "*" if v < 0.05 else "")
    label += ring.map(lambda v: "°" if v else "")
    limit = max(1.0, float(np.nanmax(np.abs(change.to_numpy()))))
    figure, axis = _axes(1.9 + 1.05 * len(columns), 1.5 + 0.5 * len(rows))
    sns.heatmap(
        change,
        annot=label,
        fmt="",
        cmap="PuOr_r",
        center=0,
        vmin=-limit,
        vmax=limit,
        ax=axis,
        linewidths=1.5,
        linecolor="none",
        annot_kws={"size": 10},
        cbar_kws={"label": "change in points", "shrink": 0.8},
    )
    axis.set_xticklabels(
        [f"{_narrow(study.tasks[t].title)}\n{base.get(t, np.nan):.1f}" for t in columns],
        rotation=0,
        fontsize=9,
    )
    axis.set_yticklabels(rows, rotation=0)
    axis.set(ylabel="")
    axis.set_xlabel("target, and the score of row none (%)", fontsize=9)
    axis.tick_params(length=0)
    kinds = table.drop_duplicates("intermediate").set_index("intermediate")["group"][rows]
    for place in np.flatnonzero(kinds.to_numpy()[1:] != kinds.to_numpy()[:-1]) + 1:  # the paper's groups of rows
        axis.axhline(place, color=INK, lw=1.2)
    if (hows := set(table["how"]) - {""}) == {"examples only"}:
        axis.set_title(
            "examples only: intervals and stars hold for these trained models", loc="left", fontsize=9, color=INK
        )
    best = table[table["how"] != ""].sort_values("change")
    alt = (
        (
            f"Change in points against no intermediate training, mean over languages. Largest gain: {_cell(study, best.iloc[-1])}; largest loss: "
            f"{_cell(study, best.iloc[0])}. A star marks corrected p below 0.05 ({', '.join(sorted(hows))}), a ring a score at chance."
        )
        if len(best)
        else "No cell yet."
    )
    return Figure(figure, alt)


def _narrow(title: str) -> str:
    """A title on two lines where it is wider than a cell of the heat map."""
    return title.replace("-", "-\n", 1) if len(title) > 10 else title


def _cell(study: Study, row: pd.Series) -> str:
    return f"{row['intermediate']} on {study.tasks[row['target']].title} {row['change']:+.1f}"


def languages_panel(study: Study, target: str, recipes: list[str] | None = None, seed: int | None = None) -> Figure:
    """Scores of one target per language, one line of dots per intermediate recipe, chance as a bar."""
    from . import results
    from .chance import flags

    row = study.tasks[target]
    chance = results.chance(study, target)
    tidy = results.of_target(study, target, recipes or study.main[0], study.seeds if seed is None else (seed,))
    rows = tidy[(tidy["target"] == target) & (tidy["metric"] == row.metrics[0]) & (tidy["language"] != "avg")]
    means = rows.groupby(["intermediate", "language"], sort=False)["value"].mean().reset_index()
    order = (
        means[means["intermediate"] == means["intermediate"].iloc[0]]
        .sort_values("value", ascending=False)["language"]
        .tolist()
    )
    floor = results.chance_levels(chance, study.tasks)
    recipes = list(dict.fromkeys(means["intermediate"]))
    figure, axis = _axes(max(5.0, 1.6 + (0.36 + 0.06 * len(recipes)) * len(order)), 3.0)
    places = np.linspace(-0.3, 0.3, len(recipes)) if len(recipes) > 1 else [0.0]
    for recipe, place, (colour, mark) in zip(recipes, places, palette(len(recipes)), strict=True):
        part = means[means["intermediate"] == recipe].set_index("language").reindex(order)["value"]
        ring = flags(study, recipe, target, seed, floor)
        sure = np.array([not ring.get(x, False) for x in order])
        at = np.arange(len(order)) + place
        axis.plot(at[sure], part[sure], mark, ms=5.5, color=colour, label=recipe)
        axis.plot(at[~sure], part[~sure], mark, ms=5.5, color=colour, mfc="none", label=None if sure.any() else recipe)
    for i, language in enumerate(order):
        axis.hlines(
            floor.get((target, language), np.nan),
            i - 0.4,
            i + 0.4,
            color=INK,
            lw=1.5,
            label="chance" if i == 0 else None,
        )
    axis.set_xticks(range(len(order)), order)
    axis.set(ylabel=f"{row.metrics[0]} (%)", ylim=(0, 102))
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    axis.set_title(row.title, loc="left", fontsize=11, color=INK)
    low, high = means.loc[means["value"].idxmin()], means.loc[means["value"].idxmax()]
    alt = (
        f"{row.title}, {row.metrics[0]} per language: from {low['value']:.1f} ({low['language']}, {low['intermediate']}) to "
        f"{high['value']:.1f} ({high['language']}, {high['intermediate']}); bars are chance, hollow marks are scores at chance."
    )
    return Figure(figure, alt)


def learning_curve(log: pd.DataFrame, title: str) -> Figure:
    """Training loss (of each part of a mixture too) and dev score over steps."""
    figure, axis = _axes(6, 2.6)
    loss = log.dropna(subset=["loss"])
    axis.plot(loss["step"], loss["loss"], color=BLUE, lw=1.6)
    parts = [c for c in log if c.startswith("loss:")]
    for i, (column, (colour, _)) in enumerate(zip(parts, palette(len(parts) + 1)[1:], strict=True)):
        part = log.dropna(subset=[column])
        axis.plot(part["step"], part[column], color=colour, lw=1, ls=("--", ":", "-.")[i % 3], label=column.removeprefix("loss:"))  # fmt: skip
    if parts:
        axis.legend(bbox_to_anchor=(1.2, 1), loc="upper left", fontsize="x-small", frameon=False, title="loss of", title_fontsize="x-small")  # fmt: skip
    axis.set(xlabel="step", ylim=(0, None))
    axis.set_ylabel("loss", color=BLUE)
    text = f"{title}: training loss from {loss['loss'].iloc[0]:.2f} to {loss['loss'].iloc[-1]:.2f}"
    if "dev" in log and log["dev"].notna().any():
        dev = log.dropna(subset=["dev"])
        other = axis.twinx()
        other.plot(dev["step"], dev["dev"], "o-", color=ORANGE, ms=5, lw=1.2)
        other.set_ylabel("dev score (%)", color=ORANGE)
        other.set_ylim(0, 102)
        text += f"; best dev score {dev['dev'].max():.1f} at step {int(dev.loc[dev['dev'].idxmax(), 'step']):,}"
    return Figure(figure, text + ".")


def layer_sweep(study: Study, recipe: str, target: str, seed: int = 0) -> Figure:
    """Retrieval score by layer, one thin line per language and the mean."""
    table = tables.layers(study, recipe, target, seed)
    figure, axis = _axes(6, 2.8)
    for _, part in table.groupby("language"):
        first = not axis.lines
        axis.plot(part["layer"], part["value"], color=INK, lw=0.8, alpha=0.6, label="a language" if first else None)
    mean = table.groupby("layer")["value"].mean()
    axis.plot(mean.index, mean, "o-", color=BLUE, lw=2, label="mean")
    chosen = int(table.loc[table["chosen"], "layer"].iloc[0])
    axis.axvline(chosen, color=ORANGE, lw=1.2, ls="--", label="layer used")
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    axis.set(xlabel="layer (0 = embeddings)", ylabel=f"{study.tasks[target].metrics[0]} (%)", ylim=(0, None))
    axis.set_xticks(mean.index)
    alt = (
        f"{study.tasks[target].title} by layer, encoder {recipe}: the mean over languages is best at layer {mean.idxmax()} ({mean.max():.1f}) and "
        f"{mean[chosen]:.1f} at the layer used, {chosen} (dashed)."
    )
    return Figure(figure, alt)


def best_per_target(study: Study, version: str, protocol: str = "strict") -> Figure:
    """Test score of ``none`` and of the intermediate recipe chosen on dev, per task and for the mean."""
    from . import benchmark

    name, table = benchmark.NAMES[version], benchmark.table(study, version, protocol)
    there = table.set_index("system") if len(table) else table
    if not {"none", benchmark.BEST} <= set(there.index):
        return nothing(f"{name}: none and an intermediate task have not been scored yet")
    chosen = {t: c.recipe for t, c in benchmark.choose(study, version, protocol).items()}
    both = there.loc[["none", benchmark.BEST], list(chosen)].astype(float).dropna(axis=1)
    if both.empty:
        return nothing(f"{name}: no task has been scored with and without an intermediate task yet")
    tasks = list(both)
    rings = {t for r, t in benchmark.at_chance(study, version) if t in chosen and r in ("none", chosen[t])}
    labels = [f"{study.tasks[t].title}{'°' * (t in rings)}: {chosen[t]}" for t in tasks]
    if there.loc[["none", benchmark.BEST], "mean"].notna().all():
        both["mean"] = there["mean"]
        labels.append(f"mean over {table['tasks'].iloc[0]} of {len(benchmark.TASKS[version])}")
    figure, axis = _axes(6.4, 0.8 + 0.32 * len(labels))
    places = np.arange(len(labels))[::-1]
    axis.hlines(places, both.loc["none"], both.loc[benchmark.BEST], color=INK, lw=1.2)
    axis.plot(both.loc["none"], places, "o", color=INK, mfc="none", ms=6, label="none")
    axis.plot(both.loc[benchmark.BEST], places, "o", color=BLUE, ms=6, label="best on dev")
    axis.set_yticks(places, labels)
    axis.set(xlabel="test score (%)", xlim=(0, 102))
    axis.set_title(name, loc="left", fontsize=11, color=INK)
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    gains = (both.loc[benchmark.BEST] - both.loc["none"])[tasks]
    said = [f"{study.tasks[t].title} with {chosen[t]} {gains[t]:+.1f}" for t in (gains.idxmax(), gains.idxmin())]
    return Figure(
        figure,
        f"{name}: test scores of none and of the intermediate task that is best on dev; highest change {said[0]}, lowest {said[1]}."
        + (" A ring marks targets where one of the two is at chance." if rings else ""),
    )


def nothing(text: str) -> Figure:
    """A line of text in place of a figure that has nothing to show yet."""
    figure, axis = _axes(5, 1)
    axis.set_axis_off()
    axis.text(0, 0.5, text, color=INK)
    return Figure(figure, text if text.endswith(".") else f"{text}.")
