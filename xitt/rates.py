"""How fast a device does a study's work: measured (``xitt bench``), or from a peak at an assumed utilisation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from . import timings
from .bench import stored
from .bench.machine import matmul_rates, nominal
from .bench.work import Shape
from .errors import ParameterError, unknown
from .study import Study

#: share of the peak taken where nothing was measured: of training and scoring, and of searching (one large product)
ASSUMED, ASSUMED_SEARCH = 0.4, 0.5
#: tokens tokenised per second where nothing was measured
ENCODING = 200_000.0
#: kind of task → shape of the measured data that is nearest to its own
NEAREST = {
    "classify": "nli",
    "choose": "nli",
    "dual": "nli",
    "mlm": "nli",
    "caption": "nli",
    "bitext": "nli",
    "tag": "pos",
    "span": "squad",
}
#: devices by the names that ``--device`` takes, as CUDA calls them
NAMED = {
    "H200": "H200",
    "H100": "H100",
    "H100-PCIe": "H100 PCIe",
    "A100": "A100",
    "L40S": "L40S",
    "A10": "A10",
    "L4": "L4",
    "RTX-4090": "RTX 4090",
    "RTX-3090": "RTX 3090",
    "B200": "B200",
}


@dataclass(frozen=True)
class Rates:
    """Rates of one device.

    Attributes
    ----------
    training, scoring : dict
        Kind of task → FLOP/s of real work.
    search : float
        FLOP/s of exact search (float32).
    encoding : float
        Tokens tokenised per second.
    origins : tuple of str
        What each is from, in words.
    timed : Timings, optional
        What finished runs took on this device; goes before the rates above.
    """

    name: str
    training: dict[str, float]
    scoring: dict[str, float]
    search: float
    encoding: float
    origins: tuple[str, ...]
    timed: timings.Timings | None = None


def choose(study: Study, shape: Shape, device: str | None = None) -> Rates:
    """Rates of a named device, or of this one.

    Parameters
    ----------
    device : str, optional
        Short name of a measured machine, or of a GPU whose nominal peak is known; by default this machine: by the finished runs of this study
        and of those beside it, what none of them did as measured, else by its matmul rate, which is measured now.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    measured, precision = stored.machines(study.root), study.params.engine.precision
    if device is None:
        name, threads, kind = here(study)
        found = measured.get(stored.slug(name, threads))
        rates = (found and of_document(stored.slug(name, threads), found, shape, precision)) or _by_matmul(
            name, kind, shape, precision
        )
        timed = timings.of(study, shape, name)
        rest = tuple(f"where no run was like it: {text}" for text in rates.origins)
        return replace(rates, timed=timed, origins=(timed.origin, *rest)) if timed else rates
    plain = _plain(device)
    for name, document in measured.items():
        if _plain(name) == plain and (rates := of_document(name, document, shape, precision)):
            return rates
    for name in NAMED:
        if _plain(name) == plain:
            return of_peak(name, precision)
    raise ParameterError(unknown("device", device, [*measured, *NAMED]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("nvidia")


def here(study: Study) -> tuple[str, int | None, str]:
    """(name, threads, kind for torch) of the device that the study would run on."""
    from .runs import device as device_of
    from .store import provenance

    where = device_of(study)
    made = provenance(study.root, where.name, where.precision)
    return made["device"], made["threads"] if where.name == "cpu" else None, where.name


def of_document(name: str, document: dict, shape: Shape, precision: str) -> Rates | None:
    """Rates from what ``xitt bench`` has stored; ``None`` if training was not measured."""
    from .bench.tables import achieved

    by_part: dict[str, list[dict]] = {}
    for m in document["measurements"]:
        by_part.setdefault(m["part"], []).append(m)
    if "training" not in by_part:
        return None
    origins: list[str] = []

    def rate(part: str, kind: str) -> float:
        best = min(by_part[part], key=lambda m: _distance(m, NEAREST[kind], shape, precision))
        text = f"{part} of {kind}: measured on {best['shape']}, {best['size']} model, {best['precision']}, {best['made']['finished'][:10]}"
        text += (
            "" if Shape(**best["architecture"]) == shape else " (another size: the same share of the peak is assumed)"
        )
        origins.append(text + ("" if best["precision"] == precision else f" (the study asks for {precision})"))
        return achieved(best)

    training = {kind: rate("training", kind) for kind in NEAREST}
    scored = "inference" if "inference" in by_part else "training"
    scoring = {kind: rate(scored, kind) for kind in NEAREST}
    matmul = max(document["machine"]["matmul"]["float32"].values())
    search = achieved(by_part["retrieval"][-1]) if "retrieval" in by_part else ASSUMED_SEARCH * matmul
    origins.append(
        "search: measured"
        if "retrieval" in by_part
        else f"search: {ASSUMED_SEARCH:.0%} of the measured float32 matmul rate (assumed)"
    )
    encoding = _encoding(by_part.get("linearity"))
    origins.append("tokenising: measured" if encoding else f"tokenising: {ENCODING:,.0f} tokens/s (assumed)")
    return Rates(name, training, scoring, search, encoding or ENCODING, tuple(dict.fromkeys(origins)))


def _distance(measurement: dict, shape: str, size: Shape, precision: str) -> tuple:
    """How far a measurement is from what is asked: shape of data, precision, size of the model; the newest of equal ones."""
    apart = abs(math.log(Shape(**measurement["architecture"]).weights / size.weights))
    age = [-int(x) for x in re.findall(r"\d+", measurement["made"]["finished"])]
    return apart > 0.7, measurement["precision"] != precision, measurement["shape"] != shape, apart, age


def _encoding(measured: list[dict] | None) -> float | None:
    if not measured:
        return None
    found = measured[-1]["repeats"][-1]
    largest = found[max(found, key=int)]
    return largest["tokens"] / largest["seconds"]["encode"]


def of_peak(name: str, precision: str) -> Rates:
    """Rates of a GPU by its nominal peak."""
    device = NAMED[name]
    return _assumed(
        name, nominal(device, precision), nominal(device, "float32"), f"nominal peak of {device} in {precision}"
    )


def elsewhere(precision: str) -> list[Rates]:
    """Rates of a few GPUs by their nominal peaks."""
    return [of_peak(name, precision) for name in ("H100", "A100", "L4")]


def known(study: Study, shape: Shape) -> list[Rates]:
    """Rates of every machine measured so far, then of a few GPUs by their nominal peaks (their names say that it is assumed)."""
    precision = study.params.engine.precision
    found = [of_document(name, d, shape, precision) for name, d in stored.machines(study.root).items()]
    assumed = [replace(r, name=f"{r.name}, assumed") for r in elsewhere(precision)]
    return [r for r in found if r] + assumed


def _by_matmul(name: str, device: str, shape: Shape, precision: str) -> Rates:
    best = {p: max(matmul_rates(device, p, shape, 0.2).values()) for p in {precision, "float32"}}
    return _assumed(
        name,
        best[precision],
        best["float32"],
        f"matmul rate measured now in {precision}; xitt bench would measure this machine",
    )


def _assumed(name: str, peak: float, plain: float, origin: str) -> Rates:
    all_kinds = dict.fromkeys(NEAREST, ASSUMED * peak)
    return Rates(name, all_kinds, all_kinds, ASSUMED_SEARCH * plain, ENCODING, (
        f"training and scoring: {ASSUMED:.0%} (assumed) of the {origin}", f"search: {ASSUMED_SEARCH:.0%} (assumed) of the same in float32",
        f"tokenising: {ENCODING:,.0f} tokens/s (assumed)"))  # fmt: skip
