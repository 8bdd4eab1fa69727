"""Figures of ``90_performance``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..figures import BLUE, INK, ORANGE, Figure, _axes, nothing

PARTS = ("data", "forward", "backward", "optimizer", "other")


def ratios(table: pd.DataFrame, what: str = "training") -> Figure:
    """Real tokens per second against Trainer: one dot with its interval per measurement, the padding bound as a bar, even as a dashed line."""
    table = table.dropna(subset=["ratio"]) if len(table) else table
    if not len(table):
        return nothing(f"No {what} has been measured beside Trainer yet.")
    name = "data" if what == "training" else "test set"
    labels = [f"{r['machine']}: {r[name]}, {r['precision']}" for _, r in table.iterrows()]
    figure, axis = _axes(6.5, 1.0 + 0.42 * len(table))
    place = np.arange(len(table))[::-1]
    axis.axvline(1, color=INK, lw=1, ls="--")
    axis.vlines(table["bound"], place - 0.3, place + 0.3, color=ORANGE, lw=2.5, label="bound by padding")
    spread = np.abs(table[["ratio low", "ratio high"]].to_numpy(float).T - table["ratio"].to_numpy())
    axis.errorbar(
        table["ratio"],
        place,
        xerr=np.nan_to_num(spread),
        fmt="o",
        color=BLUE,
        ms=6,
        capsize=3,
        label="Trainer, dynamic padding",
    )
    if "ratio to grouped" in table:
        axis.plot(table["ratio to grouped"], place, "s", mfc="none", color=INK, ms=5, label="Trainer, length grouping")
    axis.set_yticks(place, labels)
    axis.set(xlabel="times the real tokens per second of", xlim=(0, None))
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    low, high = table["ratio"].min(), table["ratio"].max()
    return Figure(figure, f"{what.capitalize()} against Trainer with dynamic padding: {low:.2f} to {high:.2f} times its real tokens per second in {len(table)} "
                  f"measurements, with 95 % intervals over repeats; bars are what leaving out padding alone allows.")  # fmt: skip


def breakdown(table: pd.DataFrame) -> Figure:
    """Shares of a training step as stacked bars."""
    if not len(table):
        return nothing("No training has been measured yet.")
    import seaborn as sns

    labels = [f"{r['machine']}: {r['data set']}, {r['precision']}" for _, r in table.iterrows()]
    figure, axis = _axes(6.5, 1.0 + 0.42 * len(table))
    place, left = np.arange(len(table))[::-1], np.zeros(len(table))
    for part, colour in zip(PARTS, sns.color_palette("colorblind", len(PARTS)), strict=True):
        axis.barh(place, table[part], left=left, color=colour, label=part, height=0.65)
        left += table[part].to_numpy()
    axis.set_yticks(place, labels)
    axis.set(xlabel="share of a step (%)", xlim=(0, 100))
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    beside = 100 - table["forward"] - table["backward"]
    return Figure(
        figure,
        f"Where a training step's time goes: all but forward and backward take {beside.min():.0f} to {beside.max():.0f} % of it.",
    )


def linearity(table: pd.DataFrame) -> Figure:
    """Time per token at 10× and 100× the examples, over that at 1×."""
    if not len(table):
        return nothing("How cost grows has not been measured yet.")
    import seaborn as sns

    figure, axis = _axes(5.5, 2.6)
    axis.axhspan(0.9, 1.1, color=INK, alpha=0.15, lw=0)
    for (_, row), colour in zip(table.iterrows(), sns.color_palette("colorblind", len(table)), strict=True):
        axis.plot(
            [1, 10, 100],
            [1, row["10x"], row["100x"]],
            "o-",
            color=colour,
            lw=1.2,
            ms=4,
            label=f"{row['machine']}: {row['part']}, {row['precision']}",
        )
    axis.set(xscale="log", xlabel="times the examples", ylabel="time per token (1x = 1)", ylim=(0, None))
    axis.set_xticks([1, 10, 100], ["1", "10", "100"])
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=8)
    worst = table.loc[(table[["10x", "100x"]] - 1).abs().max(axis=1).idxmax()]
    return Figure(figure, f"Time per token by number of examples; the grey band is 10 %. Furthest from even: {worst['part']} with {worst['10x']:.2f} at 10 times and "
                  f"{worst['100x']:.2f} at 100 times the examples.")  # fmt: skip


def cost(table: pd.DataFrame, name: str) -> Figure:
    """Hours of a study by what they are spent on, on the device where it takes least (``xitt.plan.costs``)."""
    devices = [c for c in table if c.endswith("(h)")]
    device = min(devices, key=lambda c: table[c].sum())
    part = table[table[device] > 0]
    if not len(part):
        return nothing(f"{name} has nothing to compute.")
    figure, axis = _axes(6, 0.9 + 0.36 * len(part))
    place = np.arange(len(part))[::-1]
    axis.barh(place, part[device], color=BLUE, height=0.65)
    axis.set_yticks(place, [f"{r['phase']} {r['work']}" for _, r in part.iterrows()])
    axis.set(xlabel=f"hours on {device.removesuffix(' (h)')}")
    most = part.loc[part[device].idxmax()]
    return Figure(
        figure,
        f"{name} on {device.removesuffix(' (h)')}: {part[device].sum():,.2g} hours in all, most of them ({most[device]:,.2g}) for {most['work']} in phase {most['phase']}.",
    )
