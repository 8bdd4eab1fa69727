"""Tables of ``90_performance``: from stored documents to frames. Ratios and their intervals are computed here, from the raw figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..study import Study
from . import stored
from .repeats import Ratio, rates, ratio
from .settings import PLAIN

#: what a measurement is called in tables
SHAPES = {"nli": "NLI", "squad": "SQuAD", "pos": "POS"}


def measured(study: Study) -> dict[str, dict]:
    """Every machine measured so far (published, and on this disk), by short name."""
    return stored.machines(study.root)


def machines(study: Study) -> pd.DataFrame:
    """One row per machine: what it is, what it does at most, when it was measured."""
    rows = []
    for name, document in measured(study).items():
        about = document["machine"]
        best = {p: max(r.values()) / 1e12 for p, r in about["matmul"].items()}
        peak = about["nominal"]
        rows.append({
            "machine": name, "device": about["device"], "threads": about["threads"], "matmul float32 (TFLOP/s)": best.get("float32"),
            "matmul bfloat16 (TFLOP/s)": best.get("bfloat16"), "nominal bfloat16 (TFLOP/s)": (peak.get("bfloat16") or np.nan) / 1e12,
            "measured on": document["date"], "measurements": len(document["measurements"]),
            "torch": ", ".join(sorted({m["made"]["versions"]["torch"] for m in document["measurements"]})),
            "commit": ", ".join(sorted({m["made"]["commit"] or "not a checkout" for m in document["measurements"]})),
        })  # fmt: skip
    columns = (
        "machine",
        "device",
        "threads",
        "matmul float32 (TFLOP/s)",
        "matmul bfloat16 (TFLOP/s)",
        "nominal bfloat16 (TFLOP/s)",
        "measured on",
        "measurements",
        "torch",
        "commit",
    )
    return pd.DataFrame(rows, columns=list(columns))


def _each(study: Study, *parts: str):
    for name, document in measured(study).items():
        for m in document["measurements"]:
            if m["part"] in parts:
                yield name, document["machine"], m


def _median_rate(measurement: dict, side: str = "xitt") -> float:
    return float(np.median(rates(measurement["repeats"], side)))


def achieved(measurement: dict) -> float:
    """FLOP/s of real work that the engine reached: median over repeats."""
    return float(measurement["flops"] / np.median([r["xitt"]["seconds"] for r in measurement["repeats"]]))


def utilisation(machine: dict, measurement: dict) -> tuple[float, float]:
    """MFU in percent: of the measured matmul rate, and of the nominal peak (``nan`` where none is known)."""
    precision = measurement["precision"]
    best, peak = max(machine["matmul"][precision].values()), machine["nominal"].get(precision)
    done = 100 * achieved(measurement)
    return done / best, done / peak if peak else np.nan


def against(measurement: dict, side: str, engine: str = "xitt") -> Ratio | None:
    """Real tokens per second of the engine over those of a peer; ``None`` where the peer was not there."""
    if side not in measurement["repeats"][0]:
        return None
    return ratio(rates(measurement["repeats"], engine), rates(measurement["repeats"], side))


def _columns(name: str, found: Ratio | None) -> dict[str, float]:
    keys = (name, f"{name} low", f"{name} high")
    return dict(zip(keys, (found.value, found.low, found.high) if found else (np.nan,) * 3, strict=True))


def _peak(measurement: dict, side: str) -> float:
    sizes = [r[side]["peak_bytes"] for r in measurement["repeats"] if side in r and r[side]["peak_bytes"] is not None]
    return max(sizes) / 2**20 if sizes else np.nan


def training(study: Study) -> pd.DataFrame:
    """Training: rate, ratios to Trainer (usual collator; length grouping), the padding bound and the share of it, MFU, memory, loss."""
    rows = []
    for name, machine, m in _each(study, "training"):
        matmul, nominal = utilisation(machine, m)
        usual, grouped = against(m, "Trainer"), against(m, "Trainer grouped")
        bound = m["batches"].get("Trainer", {}).get("bound", np.nan)
        plain = against(m, "Trainer", PLAIN) if PLAIN in m["repeats"][0] else None
        rows.append({
            "machine": name, "data": SHAPES[m["shape"]], "rows from": m["source"], "model": m["size"], "precision": m["precision"], "attention": m["attention"],
            "tokens/s": _median_rate(m), **_columns("ratio", usual), "bound": bound, "share of bound (%)": 100 * usual.value / bound if usual else np.nan,
            **_columns("ratio to grouped", grouped), "ratio, torch's products": plain.value if plain else np.nan, "MFU of matmul (%)": matmul, "MFU of nominal (%)": nominal, "peak (MiB)": _peak(m, "xitt"),
            "Trainer's peak (MiB)": _peak(m, "Trainer"), "loss against reference (%)": 100 * m["loss"]["difference"], "repeats": len(m["repeats"]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def steps(study: Study) -> pd.DataFrame:
    """Where the time of a training step goes, in percent."""
    rows = []
    for name, _, m in _each(study, "training"):
        seconds = {k: v for k, v in m["breakdown"]["seconds"].items() if k != "data beside"}
        whole = sum(seconds.values())
        parts = {k: 100 * seconds.get(k, 0.0) / whole for k in ("data", "forward", "backward", "optimizer", "other")}
        rows.append({"machine": name, "data set": SHAPES[m["shape"]], "precision": m["precision"], **parts,
                     "padding computed (%)": 100 * (1 - m["breakdown"]["tokens"] / m["breakdown"]["computed_tokens"])})  # fmt: skip
    return pd.DataFrame(rows)


def inference(study: Study) -> pd.DataFrame:
    """Inference: rate, ratio to ``Trainer.predict`` with its defaults and in the same precision, bound and share of it, equal labels."""
    rows = []
    for name, machine, m in _each(study, "inference"):
        usual, bound = against(m, "Trainer"), m["batches"]["Trainer"]["bound"]
        same = against(m, "Trainer bfloat16") if m["precision"] == "bfloat16" else usual
        rows.append({
            "machine": name, "test set": m["set"], "rows": m["rows"], "rows from": m["source"], "model": m["size"], "precision": m["precision"], "tokens/s": _median_rate(m),
            **_columns("ratio", usual), **_columns("ratio in the same precision", same), "bound": bound, "share of bound (%)": 100 * same.value / bound if same else np.nan,
            "equal labels (%)": np.nan if m["equal_labels"] is None else 100 * m["equal_labels"], "MFU of matmul (%)": utilisation(machine, m)[0],
            "repeats": len(m["repeats"]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def retrieval(study: Study) -> pd.DataFrame:
    """Exact search both ways: seconds, ratio to FAISS, share of the matmul rate, memory beside the vectors, equal neighbours."""
    rows = []
    for name, machine, m in _each(study, "retrieval"):
        rows.append({
            "machine": name, "vectors": f"{m['rows']:,} x {m['rows']:,} x {m['width']:,}", "seconds": float(np.median([r["xitt"]["seconds"] for r in m["repeats"]])),
            **_columns("ratio to FAISS", against(m, "FAISS")), "of float32 matmul (%)": 100 * achieved(m) / max(machine["matmul"]["float32"].values()),
            "beside the vectors (MiB)": _peak(m, "xitt"), "FAISS (MiB)": _peak(m, "FAISS"),
            "same neighbours (%)": 100 * m["same"]["neighbours"] if m["same"] else np.nan, "repeats": len(m["repeats"]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def embedding(study: Study) -> pd.DataFrame:
    """Sentences and tokens per second from text to vectors of one layer."""
    rows = []
    for name, machine, m in _each(study, "embedding"):
        rate = _median_rate(m)
        rows.append({"machine": name, "model": m["size"], "precision": m["precision"], "layer": m["layer"], "sentences/s": rate / m["mean_length"],
                     "tokens/s": rate, "MFU of matmul (%)": utilisation(machine, m)[0], "repeats": len(m["repeats"])})  # fmt: skip
    return pd.DataFrame(rows)


def linearity(study: Study) -> pd.DataFrame:
    """Time per token at 10× and 100× the examples over that at 1×, by part of the work, with intervals over repeats."""
    rows = []
    for name, _, m in _each(study, "linearity"):
        for part in m["repeats"][0]["1"]["seconds"]:
            base = _per_token(m, "1", part)
            row = {
                "machine": name,
                "precision": m["precision"],
                "part": part,
                "examples at 1x": m["unit"],
                "us per token at 1x": 1e6 * float(np.median(base)),
            }
            for factor in ("10", "100"):
                row |= _columns(f"{factor}x", ratio(_per_token(m, factor, part), base))
            rows.append(row)
    return pd.DataFrame(rows)


def _per_token(measurement: dict, factor: str, part: str) -> list[float]:
    return [r[factor]["seconds"][part] / r[factor]["tokens"] for r in measurement["repeats"]]


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose ratios stand in one cell with their interval; columns without any value are left out."""
    made = frame.copy()
    for name in [c.removesuffix(" low") for c in frame if c.endswith(" low")]:
        made[name] = [_cell(*v) for v in frame[[name, f"{name} low", f"{name} high"]].itertuples(index=False)]
        made = made.drop(columns=[f"{name} low", f"{name} high"])
    return (
        made.dropna(axis=1, how="all")
        if len(made)
        else pd.DataFrame({"nothing yet": ["xitt bench measures this machine"]})
    )


def _cell(value: float, low: float, high: float) -> str | None:
    if np.isnan(value):
        return None
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
