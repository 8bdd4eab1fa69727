"""Facts about languages: complete where they are needed, each with a source, distances by hand."""

from __future__ import annotations

import pytest

from tests import tiny
from xitt import languages, typology
from xitt.errors import DataError, ParameterError
from xitt.pocket.languages import LANGUAGES
from xitt.published import CERTAINTY
from xitt.study import load_study


def test_every_language_of_the_benchmarks_is_there():
    benchmarks = {x for d in (languages.XTREME, languages.XTREME_R) for codes in d.values() for x in codes}
    assert len(benchmarks) == 50
    assert benchmarks | set(LANGUAGES) <= set(typology.known())
    assert len(typology.known()) == 60
    for code in benchmarks:
        facts = typology.find(code)
        assert facts.name
        assert facts.family
        assert len(facts.script) == 4
        assert len(facts.iso639_3) == 3
        assert facts.gib is not None
        assert facts.syntax
    # what the sources lack stays blank: Kazakh and Javanese share too few features with English
    assert {x for x in benchmarks if typology.distance(x) is None} == {"jv", "kk"}
    assert {x for x in benchmarks if not typology.find(x).order} == {"af"}


def test_every_value_has_a_source_and_a_certainty():
    for row in typology.rows():
        assert row["source"] in typology.SOURCES
        assert row["certainty"] in CERTAINTY
        assert row["value"]
    assert {r["source"] for r in typology.rows()} == set(typology.SOURCES)
    assert len({(r["language"], r["fact"], r["source"]) for r in typology.rows()}) == len(typology.rows())


@pytest.mark.parametrize(
    ("code", "family", "script", "order"),
    [("tr", "Turkic", "Latn", "SOV"), ("hi", "Indo-European", "Deva", "SOV"), ("sw", "Atlantic-Congo", "Latn", "SVO"), ("zh", "Sino-Tibetan", "Hans", "SVO"),
     ("de", "Indo-European", "Latn", "SOV/SVO"), ("eu", "Basque", "Latn", "SOV"), ("ar", "Afro-Asiatic", "Arab", "SVO/VSO")],
)  # fmt: skip
def test_some_facts_that_anyone_can_check(code, family, script, order):
    facts = typology.find(code)
    assert (facts.family, facts.script, facts.order) == (family, script, order)


def test_sizes_are_those_of_the_table():
    for code, tokens, gib in (
        ("en", 55608, 300.8),
        ("sw", 275, 1.6),
        ("zh", 259 + 176, 63.5),
        ("my", 71, 2.0),
        ("yo", 0, 0),
    ):
        assert (typology.find(code).tokens, typology.find(code).gib) == (tokens, pytest.approx(gib))


# --- distance --------------------------------------------------------------------------------------------------------
SMALL = """language\tfact\tvalue\tsource\tcertainty
*\tfeatures\ta b c d\tURIEL\tdata
en\tname\tEnglish\tCLDR\tdata
en\tsyntax\t0011\tWALS\tdata
xx\tname\tExample\tCLDR\tdata
xx\tsyntax\t01--\tWALS\tdata
xx\tsyntax\t1-0-\tSSWL\tdata
"""


def test_a_distance_by_hand(tmp_path, monkeypatch):
    """a: WALS goes before SSWL and agrees; b differs (WALS), c differs (SSWL), d is not known: 2 of 3."""
    (tmp_path / "t.tsv").write_text(SMALL)
    small = typology.read(tmp_path / "t.tsv")
    monkeypatch.setattr(typology, "known", lambda: small)
    assert small["xx"].syntax == {"a": (0, "WALS"), "b": (1, "WALS"), "c": (0, "SSWL")}
    assert typology.distance("xx", enough=3) == typology.Distance(2 / 3, 3)
    assert typology.distance("xx") is None
    assert typology.distance("unheard", enough=1) is None
    assert small["xx"].gib is None


def test_distances_are_distances():
    near = {x: typology.distance(x).value for x in LANGUAGES}
    assert near["en"] == 0
    assert near["de"] < near["hi"] < near["tr"]
    for a, b in (("de", "tr"), ("hi", "zh")):
        assert typology.distance(a, b) == typology.distance(b, a)


# --- sizes and tables ------------------------------------------------------------------------------------------------
def test_the_pocket_s_encoder_has_read_as_much_of_each_language():
    size, unit = typology.pretraining(load_study(tiny.ROOT / "params" / "pocket.yaml"))
    assert (set(size), len(set(size.values())), unit) == (set(LANGUAGES), 1, "lines")
    size, unit = typology.pretraining(load_study(tiny.ROOT / "params" / "paper.yaml"))
    assert (size["en"], unit) == (300.8, "GiB of CC-100")


def test_the_table_of_a_study_s_languages():
    frame = typology.table(["tr", "en", "de", "xx", "tr"])
    assert list(frame["language"]) == ["en", "de", "tr", "xx"]
    assert frame["distance"].isna().tolist() == [False, False, False, True]
    assert frame.loc[0, "features"] == 103
    assert "CC-100" in typology.caption()


def test_the_languages_that_a_study_scores():
    pocket = load_study(tiny.ROOT / "params" / "pocket.yaml")
    assert set(typology.used(pocket)) == set(LANGUAGES)
    assert list(typology.table(typology.used(pocket), pocket)["language"])[:2] == ["en", "de"]


# --- errors ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("xx\tname", "xx\tnmae", "line 5: fact 'nmae' is unknown - did you mean 'name'"), ("CLDR\tdata", "memory\tdata", "line 3: source 'memory' is unknown"),
     ("01--", "01-", "line 6: syntax is 4 of 0, 1 and -"), ("\tcertainty", "\tsure", "the columns are language, fact"),
     ("CLDR\tdata\nen\ts", "CLDR\tguess\nen\ts", "certainty 'guess' is unknown"), ("xx\tname\tExample", "xx\tcc100-gib\tmany", "a number from 0")],
)  # fmt: skip
def test_a_bad_file_is_refused(tmp_path, old, new, said):
    assert old in SMALL
    (tmp_path / "t.tsv").write_text(SMALL.replace(old, new, 1))
    with pytest.raises(DataError, match=said):
        typology.read(tmp_path / "t.tsv")


def test_an_unknown_language_is_named():
    with pytest.raises(ParameterError, match="language 'swa' is unknown"):
        typology.find("swa")
