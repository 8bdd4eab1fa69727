"""Layouts and checks of the newer tasks, on files made here: what every field becomes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_data import check, make_study, project, write  # noqa: F401 - fixtures too
from xitt import data, readers
from xitt.checks import locate
from xitt.errors import DataError
from xitt.pools import _right, sentence_spans

NLI = {"premise": "a", "hypothesis": "b"}
SNLI, MNLI = ("stanfordnlp/snli", "plain_text", "train"), ("nyu-mll/multi_nli", "default", "train")


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets_cache"))
    for cached in (data._load, data._pool, data._labels, readers._column, _right):
        cached.cache_clear()


@pytest.fixture
def folder(tmp_path, make_study):  # noqa: F811
    """Studies on a folder with these repositories."""

    def make(content: dict, **more):
        (tmp_path / "d" / "hub").mkdir(parents=True, exist_ok=True)
        return make_study(source="folder", folder=str(write(tmp_path / "d", content)), **more)

    return make


# --- NLI in parts ----------------------------------------------------------------------------------------------------
def anli_plus(sizes: dict[str, int]) -> dict:
    places = {
        "snli": SNLI,
        "mnli": MNLI,
        **{f"anli_r{i}": ("facebook/anli", "plain_text", f"train_r{i}") for i in (1, 2, 3)},
    }
    return {places[p]: [{**NLI, "premise": f"{p} {i}", "label": i % 3} for i in range(n)] for p, n in sizes.items()}


def test_anli_plus_is_its_parts_in_order(folder):
    study = folder(anli_plus({"snli": 4, "mnli": 3, "anli_r1": 2, "anli_r2": 1, "anli_r3": 2}))
    found = data.load(study, "anli_plus", "train")
    assert [e["id"] for e in found.examples][:5] == ["snli:0", "snli:1", "snli:2", "snli:3", "mnli:0"]
    assert [e["first"] for e in found.examples][-3:] == ["anli_r2 0", "anli_r3 0", "anli_r3 1"]
    assert (len(found), found.total, found.published) == (12, 12, 1_104_934)
    assert found.status == "slice 12 of 1,104,934"
    check("anli_plus", found)


def test_a_limit_keeps_every_part_in_proportion(folder):
    sizes = {"snli": 60, "mnli": 30, "anli_r1": 5, "anli_r2": 3, "anli_r3": 2}
    found = data.load(folder(anli_plus(sizes), limits={"train": 20}), "anli_plus", "train")
    parts = [e["id"].split(":")[0] for e in found.examples]
    assert {p: parts.count(p) for p in sizes} == {"snli": 12, "mnli": 6, "anli_r1": 1, "anli_r2": 1, "anli_r3": 1}
    assert found.total == 100


def test_rows_without_a_gold_label_are_dropped_before_the_limit(folder):
    rows = [{**NLI, "premise": f"p{i}", "label": label} for i, label in enumerate([-1, 0, -1, 2, 1])]
    study = folder({SNLI: rows}, limits={"train": 2})
    found = data.load(study, "snli", "train")
    assert [e["first"] for e in found.examples] == ["p1", "p3"]
    assert found.total == 3
    assert data.status(study, "snli").here["train"] == 3


# --- pairs ---------------------------------------------------------------------------------------------------------
PAWS = ("google/xtreme", "PAWS-X.en", "train")


def test_labels_as_numbers_in_strings(folder):
    study = folder({PAWS: [{"sentence1": "a", "sentence2": "b", "label": x} for x in "01"]})
    assert [e["label"] for e in data.load(study, "pawsx", "train").examples] == ["different", "paraphrase"]


def test_labels_that_are_all_one_are_dummies(folder):
    rows = [{"sentence1": "a", "sentence2": "b", "label": "0"}] * 20
    with pytest.raises(DataError, match=r"PAWS-X\.en train: every one of 20 labels is 'different': dummies"):
        data.load(folder({PAWS: rows}), "pawsx", "train")
    data._load.cache_clear()
    assert len(data.load(folder({PAWS: rows[:19]}), "pawsx", "train")) == 19


def test_a_handful_of_empty_texts_is_reported(folder):
    rows = [{"sentence1": f"a{i}", "sentence2": "b", "label": str(i % 2)} for i in range(2000)]
    rows[7]["sentence2"] = " "
    found = data.load(folder({PAWS: rows}), "pawsx", "train")
    assert found.problems == ("1 of 2,000 examples have an empty text (the first is row 7)",)
    data._load.cache_clear()
    with pytest.raises(DataError, match=r"PAWS-X\.en train row 7: the second text is empty"):
        data.load(folder({PAWS: rows[:900]}), "pawsx", "train")


# --- reading -------------------------------------------------------------------------------------------------------
def reading(name: str, **more) -> dict:
    answers = {"answer_start": [8], "text": ["Rom"]}
    return {"id": name, "title": "", "context": "Anna in Rom.", "question": "Wo?", "answers": answers, **more}


def test_tydiqa_languages_are_in_the_ids(folder):
    key = ("google/xtreme", "tydiqa", "validation")
    study = folder({key: [reading("finnish--7-0"), reading("english-3-1"), reading("finnish-2-0")]})
    assert [e["id"] for e in data.load(study, "tydiqa", "test", "fi").examples] == ["finnish--7-0", "finnish-2-0"]
    assert data.status(study, "tydiqa").state == "absent: google/xtreme tydiqa train"
    skipping = folder({key: [reading("finnish--7-0"), reading("english-3-1")]}, missing="skip")
    assert data.languages(skipping, "tydiqa") == ("en", "fi")


def test_a_tydiqa_id_that_names_no_language(folder):
    study = folder({("google/xtreme", "tydiqa", "validation"): [reading("english-1"), reading("x-2")]})
    with pytest.raises(DataError, match=r"google/xtreme tydiqa validation: id 'x-2' names none of the languages"):
        data.load(study, "tydiqa", "test", "en")


def test_questions_without_an_answer_are_squad_v2s_alone(folder):
    nothing = {"answer_start": [], "text": []}
    study = folder({
        ("rajpurkar/squad_v2", "squad_v2", "train"): [reading("a"), reading("b", answers=nothing)],
        ("rajpurkar/squad", "plain_text", "train"): [reading("a"), reading("b", answers=nothing)],
    })  # fmt: skip
    assert [e["answers"] for e in data.load(study, "squad_v2", "train").examples] == [["Rom"], []]
    with pytest.raises(DataError, match=r"rajpurkar/squad plain_text train row 1: there is no answer"):
        data.load(study, "squad_v1", "train")


@pytest.mark.parametrize(
    ("context", "text", "start", "found"),
    [
        ("in Rom. In Rom!", "Rom", 3, ("Rom", 3)),
        ("in Rom. In Rom!", "Rom", 9, ("Rom", 11)),
        ("um 10\u00a0Uhr", "10 Uhr", 3, ("10\u00a0Uhr", 3)),
        ("der ﬁnale Zug", "finale", 4, ("ﬁnale", 4)),
        ("ＡＢＣ社の本", "ABC社", 0, ("ＡＢＣ社", 0)),
    ],
)
def test_answers_are_found_as_tokenizers_read_them(context, text, start, found):
    """Compatibility forms and unusual spaces are equal after normalisation; the answer is then as its context writes it."""
    assert locate(context, text, start) == found
    answer, at = found
    assert context[at : at + len(answer)] == answer


# --- multiple choice -----------------------------------------------------------------------------------------------
def test_copa_asks_for_cause_or_effect(folder):
    rows = [{"premise": "It rained.", "choice1": "a", "choice2": "b", "question": q, "label": i, "idx": i, "changed": False}
            for i, q in enumerate(("cause", "effect"))]  # fmt: skip
    study = folder({("cambridgeltl/xcopa", "et", "test"): rows})
    assert data.load(study, "xcopa", "test", "et").examples == [
        {"id": "0", "prompt": "It rained. What was the cause?", "choices": ["a", "b"], "label": 0},
        {"id": "1", "prompt": "It rained. What was the effect?", "choices": ["a", "b"], "label": 1},
    ]
    bad = folder({("cambridgeltl/xcopa", "et", "test"): [{**rows[0], "question": "couse"}]})
    data._load.cache_clear()
    with pytest.raises(DataError, match=r"question 'couse' is unknown.*did you mean 'cause'"):
        data.load(bad, "xcopa", "test", "et")


def test_choices_from_columns(folder):
    cosmos = {
        "id": "x",
        "context": "It rained.",
        "question": "Why?",
        "label": 2,
        **{f"answer{i}": f"a{i}" for i in range(4)},
    }
    social = {"context": "It rained.", "question": "Why?", "label": "3", **{f"answer{c}": c for c in "ABC"}}
    study = folder(
        {("allenai/cosmos_qa", "default", "train"): [cosmos], ("allenai/social_i_qa", "default", "train"): [social]}
    )
    assert data.load(study, "cosmosqa", "train").examples == [
        {"id": "x", "prompt": "It rained. Why?", "choices": ["a0", "a1", "a2", "a3"], "label": 2}
    ]
    assert data.load(study, "siqa", "train").examples[0]["label"] == 2
    hidden = folder({("allenai/cosmos_qa", "default", "train"): [{**cosmos, "label": -1}]})
    data._load.cache_clear()
    with pytest.raises(DataError, match=r"allenai/cosmos_qa default train row 0: label -1 is unknown"):
        data.load(hidden, "cosmosqa", "train")


# --- supertags -----------------------------------------------------------------------------------------------------
@pytest.fixture
def ccg(folder, tmp_path):
    def make(train: str, dev: str = "Go\tS\n"):
        study = folder({})
        place = tmp_path / "d" / "local" / "ccgbank"
        place.mkdir(exist_ok=True)
        (place / "train.txt").write_text(train)
        (place / "dev.txt").write_text(dev)
        return study

    return make


def test_supertags_from_the_users_copy(ccg):
    study = ccg("A\tNP/N\ndog\tN\n\nIt\tNP\n\n\n")
    found = data.load(study, "ccg", "train")
    assert found.examples == [
        {"id": "0", "tokens": ["A", "dog"], "tags": ["NP/N", "N"], "text": ["A", "dog"]},
        {"id": "1", "tokens": ["It"], "tags": ["NP"], "text": ["It"]},
    ]  # fmt: skip
    assert found.published == 38_015
    assert data.labels(study, "ccg") == ("N", "NP", "NP/N", "S")
    assert data.labels(study, "udpos")[0] == "ADJ"


def test_supertags_in_another_form(ccg):
    with pytest.raises(DataError, match=r"train\.txt:2: a word and its category, separated by one tab, are expected"):
        data.load(ccg("A\tNP/N\ndog N\n"), "ccg", "train")


def test_absent_supertags_say_what_is_needed(make_study, ccg):  # noqa: F811
    with pytest.raises(
        DataError, match=r"ccg: CCGbank \(LDC2005T13\) needs a licence.*local/ccgbank/\{train,dev,test\}\.txt"
    ):
        data.load(make_study(source="hub"), "ccg", "train")
    with pytest.raises(DataError, match=r"test\.txt is not there\n.*LDC2005T13"):
        data.load(ccg("A\tN\n"), "ccg", "test")


# --- LAReQA --------------------------------------------------------------------------------------------------------
def paragraph(texts: list[str], questions: list[tuple[str, int]]) -> dict:
    context, breaks, at = " ".join(texts), [], 0
    for text in texts:
        breaks.append([at, at + len(text)])
        at += len(text) + 1
    starts = [breaks[k][0] for _, k in questions]
    return {"title": "t", "paragraph": 0, "context": context, "sentence_breaks": breaks,
            "qas": {"id": [q for q, _ in questions], "question": [f"{q}?" for q, _ in questions], "answer_start": starts,
                    "answer": ["x"] * len(questions)}}  # fmt: skip


@pytest.fixture
def lareqa(folder, tmp_path):
    squad = {"id": "s", "title": "", "context": "Dr. Ann is here. She sings. Why?", "question": "Who sings?",
             "answers": {"text": ["She"], "answer_start": [17]}}  # fmt: skip
    study = folder({("rajpurkar/squad", "plain_text", "train"): [squad]}, languages=["de", "en"], limits={"test": 1})
    content = {("", "en", "validation"): [paragraph(["One.", "Two."], [("q1", 0), ("q2", 1)])],
               ("", "de", "validation"): [paragraph(["Eins.", "Zwei, drei."], [("q1", 0), ("q2", 1)])]}  # fmt: skip
    write(tmp_path / "l", {("lareqa_sentences", c, s): rows for (_, c, s), rows in content.items()})
    (tmp_path / "l" / "hub" / "lareqa_sentences").rename(tmp_path / "d" / "local" / "lareqa_sentences")
    return study


def test_lareqa_finds_the_answers_sentence_in_every_language(lareqa):
    pool = data.pool(lareqa, "lareqa")
    text = {e["id"]: e for e in pool.examples}
    assert len(text) == len(pool) == pool.total == 4
    (query,) = data.load(lareqa, "lareqa", "test", "de").examples  # the limit cuts queries, not the pool
    assert query["first"] == "q1?"
    assert [(text[g]["language"], text[g]["second"]) for g in query["gold"]] == [("de", "Eins."), ("en", "One.")]
    assert text[query["gold"][0]]["context"] == "Eins. Zwei, drei."
    assert data.load(lareqa, "lareqa", "test", "de").total == 2


def test_lareqa_is_trained_on_squads_sentences(lareqa):
    assert data.load(lareqa, "lareqa", "train").examples == [
        {"id": "s", "first": "Who sings?", "second": "She sings.", "context": "Dr. Ann is here. She sings. Why?"}
    ]


def test_sentence_spans_cover_the_text():
    text = 'He met J. Smith at 5 p.m. in St. Louis. "Was it so?" It was. 40 came, e.g. Ann. no capital here.'
    spans = sentence_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert [text[a:b].strip() for a, b in spans] == [
        "He met J. Smith at 5 p.m. in St. Louis.", '"Was it so?"', "It was.", "40 came, e.g. Ann. no capital here."
    ]  # fmt: skip


# --- Mewsli-X ------------------------------------------------------------------------------------------------------
def mention(name: str, entity: str, text: str, of: str) -> dict:
    start = text.index(of)
    return {
        "example_id": name,
        "entity_id": entity,
        "mention_span": {"start": start, "end": start + len(of), "text": of},
    }


@pytest.fixture
def mewslix(folder, tmp_path) -> Path:
    study = folder({}, languages=["de", "en"])
    place = tmp_path / "d" / "local" / "mewslix"
    place.mkdir(parents=True)
    text = "Erst dies. Dann {so} ging\nAnna fort."
    spans = [{"start": 0, "end": 10}, {"start": 11, "end": len(text)}]
    context = {"language": "de", "text": text, "sentence_spans": spans}
    entity = {"entity_id": "Q1", "description": "Ann is. She was.", "description_language": "en",
              "sentence_spans": [{"start": 0, "end": 7}, {"start": 8, "end": 16}]}  # fmt: skip
    files = {
        "wikinews_mentions-test": [{"context": context, "mentions": [mention("m1", "Q1", text, "Anna")]},
                                   {"context": {**context, "language": "en"}, "mentions": [mention("m2", "Q2", text, "dies")]}],
        "wikipedia_pairs-train": [{"contextual_mention": {"context": context, "mention": mention("p", "Q1", text, "Anna")},
                                   "entity": entity}],
        "candidate_set_entities": [entity, {**entity, "entity_id": "Q2", "description_language": "fr"}],
    }  # fmt: skip
    for name, rows in files.items():
        (place / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return study, place


def test_mewslix_marks_the_mention_in_its_sentence(mewslix):
    study, _ = mewslix
    query = "Anna: Dann (so) ging { Anna } fort."
    assert data.load(study, "mewslix", "test", "de").examples == [{"id": "m1", "first": query, "gold": ["Q1"]}]
    assert data.load(study, "mewslix", "train").examples == [
        {"id": "p", "first": query, "second": "Ann is. She was.", "context": ""}
    ]
    assert [(e["id"], e["language"]) for e in data.pool(study, "mewslix").examples] == [("Q1", "en"), ("Q2", "fr")]
    there = data.status(study, "mewslix")
    assert there.here == {"train": 1, "dev": 0, "test": 2}


def test_mewslix_with_faults(mewslix):
    study, place = mewslix
    text = (place / "wikinews_mentions-test.jsonl").read_text()
    (place / "wikinews_mentions-test.jsonl").write_text(text.replace('"text": "Anna"', '"text": "Anne"'))
    with pytest.raises(DataError, match=r"wikinews_mentions-test\.jsonl:1: mention m1: its offsets do not give 'Anne'"):
        data.load(study, "mewslix", "test", "de")
    (place / "wikipedia_pairs-train.jsonl").write_text('{"entity": 1}\n{"x"\n')
    with pytest.raises(DataError, match=r"wikipedia_pairs-train\.jsonl:1: contextual_mention"):
        data.load(study, "mewslix", "train")
    with pytest.raises(DataError, match=r"wikipedia_pairs-dev\.jsonl is not there\n"):
        data.load(study, "mewslix", "dev")


def test_a_study_on_the_hub_learns_early_that_files_are_missing(make_study):  # noqa: F811
    for task, words in (("bucc2018", "gold pairs"), ("lareqa", "sentence breaks"), ("mewslix", "get-mewsli-x.sh")):
        with pytest.raises(DataError, match=words):
            data.check_there(make_study(source="hub"), task, "test", "de")
    data.check_there(make_study(source="hub"), "xnli", "test", "de")


def test_only_dual_encoders_have_a_pool(make_study):  # noqa: F811
    with pytest.raises(DataError, match=r"xnli has no pool of candidates"):
        data.pool(make_study(source="pocket"), "xnli")
