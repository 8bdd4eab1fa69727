"""Facts about languages, each with its source: family, script, word order, size in XLM-R's pre-training, syntax (``reference/typology.tsv``).

The file has one row per fact: language, fact, value, source, how certain it is. What no source at hand gives is not there and shows as a blank;
nothing is from memory. Distance from English is Gower's (1971) over the binary syntactic features of URIEL (Littell et al. 2017) that are
known of both languages: the share of them that differ. WALS goes before Ethnologue and both before SSWL where several have a feature; URIEL's
predicted values are not taken. With fewer than :data:`ENOUGH` shared features there is no distance.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import DataError, ParameterError, unknown
from .published import CERTAINTY

if TYPE_CHECKING:
    import pandas as pd

    from .study import Study

FILE = Path(__file__).parent / "reference" / "typology.tsv"
COLUMNS = ("language", "fact", "value", "source", "certainty")
#: source as named in the file → what it is
SOURCES = {
    "CLDR": "Unicode CLDR as shipped with Babel 2.18.0: English names, likely scripts (ISO 15924)",
    "URIEL": "URIEL (Littell et al. 2017) as shipped with lang2vec 1.1.2, CC BY-SA 4.0",
    "Glottolog": "Glottolog's tree as held by URIEL (lang2vec 1.1.2); for Chinese and Quechua that of cmn and quz",
    "WALS": "World Atlas of Language Structures (CC BY 4.0) as held by URIEL (lang2vec 1.1.2)",
    "Ethnologue": "Ethnologue's typological remarks as held by URIEL (lang2vec 1.1.2)",
    "SSWL": "Syntactic Structures of the World's Languages as held by URIEL (lang2vec 1.1.2)",
    "WALS genealogy": "raw/genus.csv of cldf-datasets/wals: the genus is in a family of its own",
    "CC-100": "Conneau et al. 2020 (arXiv 1911.02116), table 6, as quoted in cc-100.csv of mayhewsw/multilingual-data-stats; Chinese and Burmese "
    "are sums of two rows; 0: not in the table",
}  # fmt: skip
FACTS = ("name", "iso639-3", "family", "branch", "script", "order", "cc100-tokens", "cc100-gib", "syntax")
#: shared features that a distance needs at least: with fewer it hangs on a handful of word orders
ENOUGH = 30
ENGLISH = "en"


@dataclass(frozen=True)
class Language:
    """What is known of a language; ``None`` or empty where no source says.

    Attributes
    ----------
    code, name, iso639_3 : str
        BCP 47, English name, ISO 639-3.
    family, branch : str
        Top of Glottolog's tree, and a node below it (in Indo-European: Germanic, Romance, Slavic, Eastern Baltic, Indo-Aryan, Iranian, Greek).
    script : str
        ISO 15924 code of the usual script.
    order : str
        Dominant order of subject, object and verb; two of them where neither is dominant.
    tokens, gib : float or None
        Tokens in millions and uncompressed size in GiB of the language in CC-100, which XLM-R was trained on; 0 if it has none. Tokens are
        few in scripts without spaces.
    syntax : dict
        Feature → (0 or 1, source).
    """

    code: str
    name: str = ""
    iso639_3: str = ""
    family: str = ""
    branch: str = ""
    script: str = ""
    order: str = ""
    tokens: float | None = None
    gib: float | None = None
    syntax: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Distance:
    """How far apart two languages are (0 to 1), and how many features that rests on."""

    value: float
    features: int


# --- reading -------------------------------------------------------------------------------------------------------
def rows(path: Path = FILE) -> list[dict[str, str]]:
    """The file's rows as they stand: :data:`COLUMNS`.

    Raises
    ------
    DataError
        If a column, fact, source or certainty is not known, or a value is not what its fact needs.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DataError(
                f"{path.name}: the columns are {', '.join(COLUMNS)}, not {', '.join(reader.fieldnames or ())}"
            )
        found = list(reader)
    features = next((r["value"].split() for r in found if r["fact"] == "features"), [])
    for number, row in enumerate(found, 2):
        if wrong := _wrong(row, len(features)):
            raise DataError(f"{path.name}, line {number}: {wrong}")
    return found


def _wrong(row: dict[str, str], features: int) -> str:
    """What is wrong with a row, or empty."""
    if row["fact"] not in (*FACTS, "features"):
        return unknown("fact", row["fact"], FACTS)
    if row["source"] not in SOURCES:
        return unknown("source", row["source"], SOURCES)
    if row["certainty"] not in CERTAINTY:
        return unknown("certainty", row["certainty"], CERTAINTY)
    if row["fact"] == "syntax" and (len(row["value"]) != features or set(row["value"]) - set("01-")):
        return f"syntax is {features} of 0, 1 and -, not {row['value']!r}"
    if row["fact"].startswith("cc100") and not row["value"].replace(".", "", 1).isdecimal():
        return f"{row['fact']} is a number from 0, not {row['value']!r}"
    return ""


def read(path: Path = FILE) -> dict[str, Language]:
    """Languages of a file by code; errors as of :func:`rows`."""
    found = rows(path)
    features = next((r["value"].split() for r in found if r["fact"] == "features"), [])
    plain: dict[str, dict[str, str]] = {}
    syntax: dict[str, dict[str, tuple[int, str]]] = {}
    for row in found:
        if row["fact"] == "syntax":
            known = syntax.setdefault(row["language"], {})
            bits = ((f, int(b)) for f, b in zip(features, row["value"], strict=True) if b != "-")
            known.update({f: (b, row["source"]) for f, b in bits if f not in known})
        elif row["fact"] != "features":
            plain.setdefault(row["language"], {})[row["fact"]] = row["value"]
    return {code: _language(code, facts, syntax.get(code, {})) for code, facts in plain.items()}


def _language(code: str, facts: dict[str, str], syntax: dict[str, tuple[int, str]]) -> Language:
    number = {k: float(facts[f"cc100-{k}"]) if f"cc100-{k}" in facts else None for k in ("tokens", "gib")}
    words = {k: facts.get(k, "") for k in ("name", "family", "branch", "script", "order")}
    return Language(code, iso639_3=facts.get("iso639-3", ""), **words, **number, syntax=syntax)


@cache
def known() -> dict[str, Language]:
    """Languages of the package's own file."""
    return read()


def find(code: str) -> Language:
    """A language by its code.

    Raises
    ------
    ParameterError
        If nothing is known of it.
    """
    if code not in known():
        raise ParameterError(unknown("language", code, known()))
    return known()[code]


# --- distance and pre-training -------------------------------------------------------------------------------------
def distance(code: str, base: str = ENGLISH, enough: int = ENOUGH) -> Distance | None:
    """Share of the shared syntactic features in which two languages differ; ``None`` if fewer than ``enough`` are shared."""
    if code not in known():
        return None
    a, b = find(code).syntax, find(base).syntax
    shared = [f for f in a if f in b]
    if len(shared) < max(1, enough):
        return None
    return Distance(sum(a[f][0] != b[f][0] for f in shared) / len(shared), len(shared))


def pretraining(study: Study) -> tuple[dict[str, float], str]:
    """How much text of each language the study's encoder was pre-trained on, and in what unit.

    Returns
    -------
    tuple of dict and str
        GiB of CC-100 for an XLM-R from elsewhere; for an encoder that is built here lines, the same number for each of its languages. Empty,
        with the reason, for any other encoder.
    """
    from .pocket.languages import LANGUAGES

    b = study.params.backbone
    if b.build is not None:
        names = b.build.languages or (LANGUAGES if b.build.text == "pocket" else ())
        if b.build.lines is None or not names:
            return {}, "not recorded for this encoder"
        return {x: float(b.build.lines) for x in names}, "lines"
    if "xlm-r" in (b.hub or b.folder or "").lower():
        return {x: v.gib for x, v in known().items() if v.gib is not None}, "GiB of CC-100"
    return {}, "not known for this encoder"


def used(study: Study) -> tuple[str, ...]:
    """Languages that a study scores, sorted: those of its targets, of pairs and mixtures each part, whatever the script."""
    from . import data
    from .languages import spoken

    return tuple(
        sorted({x for target in study.targets for code in data.languages(study, target) for x in spoken(code)})
    )


# --- as people read it ---------------------------------------------------------------------------------------------
def table(codes: Iterable[str], study: Study | None = None) -> pd.DataFrame:
    """Languages with their facts, nearest to English first.

    Parameters
    ----------
    study : Study, optional
        Its encoder's own pre-training sizes stand in place of CC-100's.

    Returns
    -------
    DataFrame
        ``language, name, family, branch, script, order, distance, features, pre-training``; blanks where no source says.
    """
    import pandas as pd

    size, _ = ({x: v.gib for x, v in known().items()}, "") if study is None else pretraining(study)
    lines = []
    for code in dict.fromkeys(codes):
        facts, d = known().get(code, Language(code)), distance(code)
        lines.append((code, facts.name, facts.family, facts.branch, facts.script, facts.order, d.value if d else float("nan"),
                      d.features if d else 0, size.get(code, float("nan"))))  # fmt: skip
    columns = ["language", "name", "family", "branch", "script", "order", "distance", "features", "pre-training"]
    return pd.DataFrame(lines, columns=columns).sort_values("distance", kind="stable", ignore_index=True)


def caption(study: Study | None = None) -> str:
    """What the columns are, and where they are from."""
    unit = "GiB of CC-100" if study is None else pretraining(study)[1]
    return (
        f"Family and branch: Glottolog. Distance from English: share of the syntactic features known of both (their number beside it) that differ; "
        f"WALS, Ethnologue and SSWL through URIEL; blank with fewer than {ENOUGH}. Pre-training: {unit}."
    )
