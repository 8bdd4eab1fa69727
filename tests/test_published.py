"""Published figures: each has a source and a certainty, and nothing from memory gets in."""

from __future__ import annotations

import pytest

from xitt import published
from xitt.errors import DataError
from xitt.tasks import TASKS

HEAD = "\t".join(published.COLUMNS)
GOOD = ["XLM-R Large", "none", "xnli", "accuracy", "test", "avg", "79.2", "percent", "a paper", "2nd", ""]
#: what the collector of the facts recalled without a source (split, target, metric, value): never a reference
FROM_MEMORY = [
    ("dev", "xnli", "accuracy", 80.1), ("dev", "pawsx", "accuracy", 86.5), ("dev", "udpos", "f1", 75.7), ("dev", "panx", "f1", 62.8),
    ("dev", "xquad", "f1", 76.1), ("dev", "xquad", "em", 60.0), ("dev", "mlqa", "f1", 70.1), ("dev", "mlqa", "em", 51.5),
    ("dev", "tydiqa", "f1", 65.6), ("dev", "tydiqa", "em", 48.2), ("test", "bucc2018", "f1", 71.9), ("test", "tatoeba", "accuracy", 81.2),
    ("test", "xcopa", "accuracy", 69.2), ("test", "lareqa", "map@20", 40.7), ("test", "mewslix", "map@20", 45.7),
    ("test", "tatoeba", "accuracy", 77.3), ("test", "udpos", "f1", 72.6), ("test", "udpos", "f1", 75.0),
]  # fmt: skip


def write(path, **changes) -> object:
    row = dict(zip(published.COLUMNS, GOOD, strict=True)) | changes
    path.write_text(HEAD + "\n" + "\t".join(row[c] for c in published.COLUMNS) + "\n", encoding="utf-8")
    return path


def test_every_figure_has_a_source_and_a_certainty():
    figures = published.read()
    assert len(figures) > 100
    for figure in figures:
        assert figure.certainty in published.CERTAINTY
        assert len(figure.source) > 8
        assert figure.target == "mean" or figure.target in TASKS
        assert "memory" not in f"{figure.source} {figure.note}".lower()


@pytest.mark.parametrize(("split", "target", "metric", "value"), FROM_MEMORY)
def test_no_recalled_figure_is_there(split, target, metric, value):
    there = [f for f in published.read() if (f.split, f.target, f.metric) == (split, target, metric)]
    assert value not in [f.value for f in there if "XLM-R" in f.system or "X-STILTs" in f.system]


@pytest.mark.parametrize("certainty", ["memory", "from memory, unverified", "not found", ""])
def test_a_figure_from_memory_is_refused(tmp_path, certainty):
    with pytest.raises(DataError, match="row 2: certainty"):
        published.read(write(tmp_path / "figures.tsv", certainty=certainty))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "-"}, "no source"),
        ({"target": "xnly"}, "did you mean 'xnli'"),
        ({"value": "about 79"}, "is no number"),
    ],
)
def test_a_bad_row_is_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=f"figures.tsv, row 2.*{message}"):
        published.read(write(tmp_path / "figures.tsv", **changes))


def test_a_figure_stands_once(tmp_path):
    path = write(tmp_path / "figures.tsv")
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match=r"row 3: .* stands in row 2"):
        published.read(path)


def test_figures_are_found_and_blanks_stay_blank():
    assert published.find("XLM-R Large", "xnli", "accuracy").value == 79.2
    assert published.find("X-STILTs", "mean", "change", "dev", intermediate="mnli").value == 7.5
    assert published.find("X-STILTs", "bucc2018", "f1") is None  # known from memory alone
    with pytest.raises(DataError, match="say which intermediate task"):
        published.find("X-STILTs", "mean", "change", "dev")
    with pytest.raises(DataError, match="did you mean 'XLM-R Large'"):
        published.find("XLM-R Larg", "xnli", "accuracy")


def test_the_derived_means_are_those_of_their_languages():
    for target, metric in (("bucc2018", "f1"), ("tatoeba", "accuracy")):
        rows = published.table(system="XLM-R Large (jiant)", target=target, metric=metric).set_index("language")[
            "value"
        ]
        assert rows.drop("avg").mean() == pytest.approx(rows["avg"], abs=0.06)
    assert len(rows) == 37


def test_sizes_are_those_of_the_sizes_module():
    from xitt.sizes import published as size

    for figure in published.read():
        if figure.metric == "size" and figure.target not in ("anli_plus", "ccg"):
            assert figure.value == size(figure.target, "train", "en"), figure.target


def test_table_keeps_what_is_asked_for():
    table = published.table(system="FILTER", metric="em")
    assert list(table["target"]) == ["xquad", "mlqa", "tydiqa"]
    with pytest.raises(DataError, match="column 'systm' is unknown"):
        published.table(systm="FILTER")
