"""Sentences of two languages, text in Latin letters, and test sets made of parallel ones."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests import tiny
from xitt import crossed, data, languages, mixed_sets, readers
from xitt.errors import DataError
from xitt.pocket import hub, mixing
from xitt.pocket.languages import grammar
from xitt.pocket.meaning import NP, Clause, Sentence
from xitt.roman import RULES, roman, roman_answer, spell
from xitt.study import Study, load_study
from xitt.tasks import TASKS

KITCHEN = Clause(
    "act", NP("per:anna"), "eat", NP("banana", "indef", adjective="big"), relation="in", place=NP("kitchen")
)
PAIRS = mixing.languages("xnli_mixed50")


@cache
def meanings() -> list[Sentence]:
    return [s for p, h, _ in hub.meanings("xnli", "test", 60) for s in (p, h)]


def words(pair: str, rate: int, sentence) -> list[mixing.Word]:
    return mixing.mixed(pair, rate).words(sentence if isinstance(sentence, Sentence) else Sentence(sentence))


def said(pair: str, sentence, rate: int = 100) -> str:
    return mixing.mixed(pair, rate).sentence(sentence if isinstance(sentence, Sentence) else Sentence(sentence)).text


# --- codes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "parts", "spoken"),
    [("en-de", ("en", "de"), ("en", "de")), ("tr+de", ("tr", "de"), ("tr", "de")), ("hi-Latn", ("hi-Latn",), ("hi",)),
     ("hi-Latn+en", ("hi-Latn", "en"), ("hi", "en")), ("en", ("en",), ("en",))],
)  # fmt: skip
def test_languages_of_a_code(code, parts, spoken):
    assert (languages.parts(code), languages.spoken(code)) == (parts, spoken)


# --- switching -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ("de+en", "Anna eats in der kitchen eine big banana."),  # German order, article and preposition
        ("es+en", "Ana eats un banana big en la kitchen."),  # the adjective stays behind
        (
            "tr+en",
            "Anna mutfakta big bir banana eats.",
        ),  # the place keeps its ending, so its word stays; the verb is last
        ("hi+en", "अन्ना kitchen में एक big banana eats है।"),
        ("zh+en", "安娜在 kitchen 里 eats 一根 big 的 banana。"),  # spaces only where scripts meet
        ("en+de", "Anna isst a große Banane in the Küche."),  # German nouns keep their capitals
    ],
)
def test_the_matrix_language_keeps_order_and_function_words(pair, text):
    assert said(pair, KITCHEN) == text


def test_names_numbers_and_what_endings_say_stay():
    thanks = Clause("act", NP("per:anna"), "thank", NP("baker"), negated=True)
    assert "teşekkür etmiyor" in said("tr+en", thanks)  # the verb's form denies
    assert "не thank пекаря" in said("ru+en", thanks)  # the noun's form says who is thanked; the denial is a word
    several = Clause("act", NP("per:anna"), "see", NP("dog", "three", plural=True))
    assert said("de+en", several) == "Anna sees drei dogs."


@pytest.mark.parametrize("pair", PAIRS)
def test_no_word_at_rate_0_and_all_that_can_at_rate_100(pair):
    matrix = grammar(pair.partition("+")[0])
    for m in meanings()[:40]:
        assert said(pair, m, 0) == matrix.sentence(m).text
    switched = [w for m in meanings() for w in words(pair, 100, m) if w.switched]
    assert {w.language for w in switched} == {"en"}
    assert not {w.tok.pos for w in switched if w.tok.slot is None or "time" not in w.tok.slot} & {
        "PROPN",
        "NUM",
        "PUNCT",
    }


@pytest.mark.parametrize("pair", ["de+en", "zh+en", "tr+en"])
def test_a_higher_rate_switches_the_same_words_and_more(pair):
    """By concept: the words that switch at a rate are among those that switch at a higher one; shares rise with the rate."""
    shares = []
    for m in meanings():
        found = [[(w.tok.concept, w.tok.slot) for w in words(pair, r, m) if w.switched] for r in (0, *mixing.RATES)]
        assert all(set(a) <= set(b) for a, b in pairwise(found))
        shares.append([len(f) for f in found])
    totals = [sum(column) for column in zip(*shares, strict=True)]
    assert totals == sorted(totals)
    assert totals[0] == 0
    assert abs(totals[2] / totals[4] - 0.5) < 0.1


def test_function_words_stay_in_place():
    """Without the content words, the mixed sentence is the matrix sentence without its."""
    for pair in PAIRS:
        for m in meanings()[:60]:
            mine = [t.text.lower() for t in grammar(pair[:2]).sentence(m).tokens if t.concept is None]
            assert [
                w.tok.text.lower() for w in words(pair, 100, m) if w.tok.concept is None and w.language == pair[:2]
            ] == mine


def test_every_word_finds_its_counterpart():
    """Two languages may word a thing differently; nearly always they do not."""
    for pair in PAIRS:
        g = mixing.mixed(pair, 100)
        units = [(u, p) for m in meanings() for own in [mixing._units(g.matrix.sentence(m).tokens)]
                 for p in [mixing._counterparts(own, mixing._units(g.embedded.sentence(m).tokens))] for u in own]  # fmt: skip
        assert sum(u in p for u, p in units) > 0.9 * len(units), pair
        assert all(u.concept == p[u].concept for u, p in units if u in p)


def test_the_code_mixing_index_by_hand():
    """Six words that count (Anna and the stop do not): ein, in, der of German; sees, big, dog ... of English."""
    w = words("de+en", 100, KITCHEN)
    counted = [x.language for x in w if x.tok.pos not in ("PUNCT", "PROPN", "NUM")]
    assert (counted.count("de"), counted.count("en")) == (3, 4)
    assert mixing.index(w) == pytest.approx(100 * (1 - 4 / 7))
    assert mixing.index(words("de+en", 0, KITCHEN)) == 0.0
    assert mixing.index([]) == 0.0


def test_measured_shares_rise_with_the_rate():
    at = [mixing.measured(f"xnli_mixed{r}", "de+en", 30) for r in mixing.RATES]
    assert [s for s, _ in at] == sorted(s for s, _ in at)
    assert 30 < at[-1][0] < 60


@pytest.mark.parametrize(("pair", "rate"), [("de", 50), ("de+de", 50), ("de+en", 101), ("de+xx", 50)])
def test_wrong_pairs(pair, rate):
    with pytest.raises(ValueError, match="pocket"):
        mixing.mixed(pair, rate)


def test_rows_say_the_same_as_unmixed():
    plain, _ = hub.rows("xnli", "test", "de", 30)
    mixed, total = hub.rows("xnli_mixed50", "test", "de+en", 30)
    assert (total, len(mixed)) == (hub.SIZES["test"], 30)
    assert [r["gold_label"] for r in mixed] == [r["gold_label"] for r in plain]
    assert sum(a["sentence1"] != b["sentence1"] for a, b in zip(plain, mixed, strict=True)) > 20
    for row in hub.rows("xquad_mixed100", "test", "tr+en", 20)[0]:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
    for row in hub.rows("udpos_mixed", "test", "tr+de", 20)[0]:
        assert len(row["tokens"]) == len(row["pos_tags"])
    with pytest.raises(ValueError, match="no xnli_mixed50"):
        hub.rows("xnli_mixed50", "train", "de+en", 5)


def test_the_pockets_vocabulary_knows_mixed_and_romanised_text():
    from xitt.backbone import load_tokenizer

    tokenizer = load_tokenizer(Path(mixing.__file__).parent / "backbone")
    texts = [said(pair, m) for pair in PAIRS for m in meanings()[:30]]
    texts += [roman(grammar(x).sentence(m).text, x) for x in ("hi", "ru") for m in meanings()]
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(texts)["input_ids"])


# --- Latin letters -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("hi", "वह लड़की पुस्तक पढ़ती है।", "vah larki pustak parhti hai."),  # silent vowels within and at the end
        ("hi", "समझना कमल अन्ना न", "samajhna kamal anna na"),  # the only vowel of a word stays
        ("hi", "सिंह ज़मीन १२", "sinh zamin 12"),
        ("hi", "\u0932\u095c\u0915\u0940", "larki"),  # a dotted letter in one character
        ("ru", "Ёжик ест объект. Семья!", "Yozhik yest obyekt. Semya!"),
        ("el", "Η ούτε Αθήνα;", "I oute Athina?"),
        ("ar", "كِتَاب؟", "ktab?"),
    ],
)
def test_romanised(language, text, expected):
    assert roman(text, language) == expected
    assert len(spell(text, language)) == len(text)


def test_answers_are_carried_over():
    context, answer = "अन्ना बड़े घर में रहती है।", "बड़े घर"
    text, start = roman_answer(context, answer, context.index(answer), "hi")
    assert roman(context, "hi")[start : start + len(text)] == text == "bare ghar"


def test_a_language_without_a_rule():
    with pytest.raises(DataError, match="language 'zh' is unknown"):
        roman("中文", "zh")


# --- sets made of parallel ones ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    design = "name: small\nquestion: q\nintermediates: [none]\ntargets: [xnli, xnli_cross, xquad_cross, mlqa_cross, pawsx_cross, xquad_roman]\n"
    text = tiny.TINY.replace("languages: [en, de, zh]\nback", "languages: [en, de, zh, hi]\nback")
    return load_study(tiny.make(tmp_path_factory.mktemp("project"), text, design))


def test_pairs_are_english_with_each_and_each_with_english(study):
    assert data.languages(study, "xnli_cross") == ("de-en", "en-de", "en-hi", "en-zh", "hi-en", "zh-en")
    assert data.languages(study, "xquad_roman") == ("hi-Latn",)
    every = study.params.data.model_copy(update={"pairs": "all"})
    row = TASKS["xnli_cross"]
    assert len(crossed.languages(every, row, ("de", "en", "zh"))) == 6
    some = study.params.data.model_copy(update={"pairs": ("de-zh",)})
    assert crossed.languages(some, row, ("de", "en", "zh")) == ("de-zh",)
    wrong = study.params.data.model_copy(update={"pairs": ("de+zh",)})
    with pytest.raises(DataError, match=r"data\.pairs: pair 'de\+zh' is unknown"):
        crossed.languages(wrong, row, ("de", "en", "zh"))


@pytest.mark.parametrize("target", ["xnli_cross", "pawsx_cross"])
def test_first_text_in_one_language_second_in_the_other(study, target):
    of = TASKS[target].source.of
    mixed, first, second = (
        data.load(study, t, "test", x).examples for t, x in ((target, "de-en"), (of, "de"), (of, "en"))
    )
    assert [e["first"] for e in mixed] == [e["first"] for e in first]
    assert [e["second"] for e in mixed] == [e["second"] for e in second]
    assert [(e["id"], e["label"]) for e in mixed] == [(e["id"], e["label"]) for e in second]


@pytest.mark.parametrize("target", ["xquad_cross", "mlqa_cross"])
def test_question_in_one_language_context_in_the_other(study, target):
    of = TASKS[target].source.of
    mixed, asked, told = (
        data.load(study, t, "test", x).examples for t, x in ((target, "en-de"), (of, "en"), (of, "de"))
    )
    assert [e["question"] for e in mixed] == [e["question"] for e in asked]
    assert [(e["context"], e["answers"], e["starts"]) for e in mixed] == [
        (e["context"], e["answers"], e["starts"]) for e in told
    ]


def test_romanised_answers_stand_in_their_contexts(study):
    for e in data.load(study, "xquad_roman", "test", "hi-Latn").examples:
        assert e["context"].isascii()
        assert e["context"][e["starts"][0] :].startswith(e["answers"][0])


def test_sides_that_are_not_parallel_are_refused():
    row, rows = TASKS["xnli_cross"], {"en": [("a", "neutral")], "de": [("b", "entailment")], "fr": []}

    def reader(settings, base, split, language, limit):
        found = [{"sentence1": t, "sentence2": t, "gold_label": y} for t, y in rows[language]]
        return readers.Raw(found, len(found), language)

    settings = load_study(tiny.ROOT / "params" / "pocket.yaml").params.data
    with pytest.raises(DataError, match="xnli_cross test en-de row 0: gold_label is 'neutral' and 'entailment'"):
        crossed.read(settings, row, "test", "en-de", None, reader)
    with pytest.raises(DataError, match="1 and 0 examples; the two sides are not parallel"):
        crossed.read(settings, row, "test", "en-fr", None, reader)


def test_mlqas_own_pairs_are_read_as_they_are():
    """Its configs name the context first, our codes the question."""
    ((row, language),) = crossed.sources(TASKS["mlqa_cross"], "en-de")
    assert readers.describe(row, "test", language) == "google/xtreme MLQA.de.en test"
    assert [readers.describe(r, "test", x) for r, x in crossed.sources(TASKS["xquad_cross"], "en-de")] == [
        "google/xtreme XQuAD.en validation", "google/xtreme XQuAD.de validation",
    ]  # fmt: skip


# --- sets of a data folder ---------------------------------------------------------------------------------------------
def local(folder: Path, name: str, text: str) -> Path:
    file = folder / "local" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def own(tmp_path, study):
    """Settings of a study whose data folder is the test's, and who reads them."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "local").mkdir()
    settings = study.params.data.model_copy(update={"source": "folder", "folder": str(tmp_path), "languages": None})
    return tmp_path, lambda task, language: readers.read(settings, TASKS[task], "test", language)


def test_gluecos_and_lince_from_a_users_folder(own):
    folder, read = own
    local(
        folder,
        "gluecos/NLI_EN_HI/XNLI-MT-1.0/multinli/multinli.train.en.tsv",
        "A : kya hai ## \twoh hai\tentailment\nB\tnahi\tcontradictory\n",
    )
    local(
        folder,
        "lince/pos_spaeng/dev.conll",
        "# sent_enum = 1\nhola\tlang2\tINTJ\nno\tlang2\tPART_NEG\n\n# sent_enum = 2\nok\tlang1\tINTJ\n",
    )
    quad = '{"data": [{"paragraphs": [{"context": "Mera naam", "qas": [{"id": 7, "question": "kya?", "answers": [{"text": "naam", "answer_start": 5}]},'
    local(folder, "gluecos/QA_EN_HI/dev-v2.0.json", quad + ' {"id": 8, "question": "kab?", "answers": []}]}]}]}')
    assert [r["label"] for r in read("gluecos_nli", "hi-Latn+en").rows] == ["entailment", "contradiction"]
    tagged = read("lince_pos", "es+en").rows
    assert [r["pos_tags"] for r in tagged] == [["INTJ", "PART"], ["INTJ"]]
    asked = read("gluecos_qa", "hi-Latn+en")
    assert [(r["id"], r["answers"]["answer_start"]) for r in asked.rows] == [
        ("7", [5])
    ]  # a question without an answer is left out


@pytest.mark.parametrize(
    ("task", "language", "name", "text", "said"),
    [
        (
            "gluecos_nli",
            "hi-Latn+en",
            "gluecos/NLI_EN_HI/XNLI-MT-1.0/multinli/multinli.train.en.tsv",
            "a\tb\n",
            "tsv:1: premise, hypothesis and label",
        ),
        (
            "lince_pos",
            "es+en",
            "lince/pos_spaeng/dev.conll",
            "hola\tINTJ\n",
            "dev.conll:1: a word, its language and its tag",
        ),
        ("gluecos_qa", "hi-Latn+en", "gluecos/QA_EN_HI/dev-v2.0.json", '{"data": [{}]}', "not in SQuAD's form"),
    ],
)
def test_damaged_files_are_named(own, task, language, name, text, said):
    folder, read = own
    with pytest.raises(DataError, match=r"is not there\n.*xitt\.mixed_sets says how"):
        read(task, language)
    local(folder, name, text)
    with pytest.raises(DataError, match=said):
        read(task, language)


def test_words_are_switched_in_the_pocket_alone(own):
    _, read = own
    with pytest.raises(DataError, match="which the pocket alone has"):
        read("xnli_mixed50", "de+en")


def test_free_answers_are_found_in_their_context():
    rows = [
        {"language": "Hindi", "context": "RTGS aur NEFT", "question": "q", "answer": "neft "},
        {"language": "Hindi", "context": "general", "question": "q", "answer": "x"},
    ]
    made = [mixed_sets._shaped("span", r) for r in rows]
    assert made[0]["answers"] == {"text": ["NEFT"], "answer_start": [9]}
    assert [mixed_sets.answerable("span", r) for r in made] == [True, False]


def test_every_rule_has_a_test():
    assert set(RULES) == {"hi", "ru", "el", "ar"}
