"""What the tables of ``90_performance`` show, in sentences written from their numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: what the engine is held to (issue 4): ratio to Trainer on a CPU, share of the padding bound, difference of the loss, all but the first in %
LEAST, SHARE, LOSS, LABELS, LINEAR = 1.5, 90.0, 1.0, 99.5, 0.1
NOTHING = "Nothing of this kind has been measured yet; `xitt bench` does it, and `--store` keeps it for readers."


def machines(table: pd.DataFrame) -> str:
    """Which machines there are."""
    if not len(table):
        return NOTHING
    gpus = int(table["threads"].isna().sum())
    text = f"{len(table)} machine{'s' if len(table) > 1 else ''} measured so far, {gpus} of them with a GPU; the last on {table['measured on'].max()}."
    return (
        text
        if gpus
        else text + " No GPU has been measured: the command is `xitt bench training --store` on a machine that has one."
    )


def training(table: pd.DataFrame) -> str:
    """How training compares with Trainer, with its length grouping, with the bound; loss; utilisation."""
    if not len(table):
        return NOTHING
    known, lines = table.dropna(subset=["ratio"]), []
    for (machine, precision), part in known.groupby(["machine", "precision"], sort=False):
        worst = part.loc[part["ratio"].idxmin()]
        fast, near = (part["ratio"] >= LEAST).sum(), (part["share of bound (%)"] >= SHARE).sum()
        lines.append(
            f"{machine}, {precision}: {part['ratio'].min():.2f} to {part['ratio'].max():.2f} times the real tokens per second of Trainer with dynamic padding "
            f"(least on {worst['data']}); at least {LEAST} times on {fast} of {len(part)} kinds of data, at least {SHARE:.0f} % of the bound that its padding implies on {near}. "
            f"Against its own length grouping: {part['ratio to grouped'].min():.2f} to {part['ratio to grouped'].max():.2f}. "
            + _plain(part)
            + _used(part)
        )
    alone = len(table) - len(known)
    lines += (
        [f"{alone} measurement{'s' if alone > 1 else ''} without a peer (accelerate was not installed, or `--alone`)."]
        if alone
        else []
    )
    worst = table["loss against reference (%)"].abs().max()
    lines.append(
        f"The loss of the last tenth of the steps differs from the reference path's by at most {worst:.2g} % ({'within' if worst <= LOSS else 'over'} {LOSS:.0f} %)."
    )
    return "\n".join(lines)


def _plain(part: pd.DataFrame) -> str:
    own = part.dropna(subset=["ratio, torch's products"])
    if not len(own):
        return ""
    ratio = own["ratio, torch's products"]
    share = (100 * ratio / own["bound"]).min()
    return (
        f"With torch's own matrix products, as Trainer has them, it is {ratio.min():.2f} to {ratio.max():.2f} times "
        f"(at least {share:.0f} % of the bound); the rest is oneDNN. "
    )


def _used(part: pd.DataFrame) -> str:
    text = f"It reaches {part['MFU of matmul (%)'].min():.0f} to {part['MFU of matmul (%)'].max():.0f} % of the measured matmul rate"
    if part["MFU of nominal (%)"].notna().any():
        text += f" and {part['MFU of nominal (%)'].min():.0f} to {part['MFU of nominal (%)'].max():.0f} % of the nominal peak"
    return text + "."


def inference(table: pd.DataFrame) -> str:
    """How inference compares with ``Trainer.predict``."""
    if not len(table):
        return NOTHING
    lines = []
    for _, row in table.dropna(subset=["ratio"]).iterrows():
        lines.append(
            f"{row['machine']}, {row['test set']}, {row['precision']}: {row['ratio']:.2f} times Trainer.predict with its defaults; in the same precision "
            f"{row['ratio in the same precision']:.2f} times, {row['share of bound (%)']:.0f} % of what its padding allows; {row['equal labels (%)']:.2f} % equal labels."
        )
    return "\n".join(lines) or NOTHING


def retrieval(table: pd.DataFrame) -> str:
    """How exact search compares with FAISS."""
    if not len(table):
        return NOTHING
    lines = []
    for _, row in table.iterrows():
        peer = (
            ""
            if np.isnan(row["ratio to FAISS"])
            else f", {row['ratio to FAISS']:.2f} times as fast as FAISS flat search with {row['same neighbours (%)']:.3f} % the same neighbours"
        )
        lines.append(
            f"{row['machine']}: {row['vectors']} both ways in {row['seconds']:.1f} s{peer}, {row['beside the vectors (MiB)']:,.0f} MiB beside the vectors."
        )
    return "\n".join(lines)


def linearity(table: pd.DataFrame) -> str:
    """Whether cost per token stays the same."""
    if not len(table):
        return NOTHING
    steady = table[((table[["10x", "100x"]] - 1) <= LINEAR).all(axis=1)]
    text = f"Time per token at 10 and 100 times the examples is within {100 * LINEAR:.0f} % of (or below) that at 1 times for {len(steady)} of {len(table)} parts of the work"
    rest = table.drop(steady.index)
    return text + (
        "."
        if not len(rest)
        else "; not for "
        + ", ".join(f"{r['part']} ({r['10x']:.2f}, {r['100x']:.2f})" for _, r in rest.iterrows())
        + "."
    )


def cost(name: str, table: pd.DataFrame) -> str:
    """What a study costs, by device, in words."""
    devices = [c for c in table if c.endswith("(h)")]
    text = f"{name}: {table['tokens'].sum() / 1e6:,.0f} million tokens and {table['FLOPs'].sum():.2g} FLOPs in {int(table.loc[table['work'] != 'tokenising', 'runs'].sum()):,} runs. Hours of one device: "
    text += "; ".join(f"{d.removesuffix(' (h)')} {table[d].sum():,.3g}" for d in devices)
    measured = [d for d in devices if "assumed" not in d]
    return text + (
        "."
        if measured
        else ". No machine with a measured training stands behind these figures: they are nominal peaks at an assumed utilisation."
    )
