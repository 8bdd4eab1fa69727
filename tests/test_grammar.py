"""Grammars of the pocket world: exact sentences of each language, and what holds of every sentence."""

from __future__ import annotations

import unicodedata
from functools import cache
from random import Random

import pytest

from xitt.pocket import nli, qa, world
from xitt.pocket.languages import LANGUAGES, grammar
from xitt.pocket.meaning import LINKS, MODALS, NP, NUMERALS, RELATIONS, ROLES, Clause, Sentence
from xitt.pocket.sample import SIMPLE_FRAMES, Sampler
from xitt.tasks import UPOS


def act(subject: NP | str, verb: str, obj: NP | str | None = None, **more) -> Clause:
    """An act; a string is a definite singular or a name."""
    roles = {k: NP(v) if k in ROLES and isinstance(v, str) else v for k, v in more.items()}
    return Clause("act", as_np(subject), verb, as_np(obj), **roles)


def be(subject: NP | str, adjective: str, **more) -> Clause:
    return Clause("be_adj", as_np(subject), adjective=adjective, **more)


def as_np(value: NP | str | None) -> NP | None:
    return NP(value) if isinstance(value, str) else value


def some(head: str, adjective: str | None = None) -> NP:
    return NP(head, "indef", adjective=adjective)


def the(head: str, adjective: str | None = None) -> NP:
    """Definite plural."""
    return NP(head, plural=True, adjective=adjective)


def count(number: str, head: str, adjective: str | None = None) -> NP:
    return NP(head, number, plural=True, adjective=adjective)


def text(meaning: Clause | Sentence, language: str) -> str:
    return grammar(language).sentence(meaning if isinstance(meaning, Sentence) else Sentence(meaning)).text


#: one meaning, its sentence in every language
# fmt: off
PARALLEL: dict[str, tuple[Clause | Sentence, dict[str, str]]] = {
    "articles and case": (act(some("teacher"), "read", "book"), {
        "en": "A teacher reads the book.", "de": "Ein Lehrer liest das Buch.",
        "es": "Un maestro lee el libro.", "hi": "एक शिक्षक किताब पढ़ता है।", "ru": "Учитель читает книгу.",
        "sw": "Mwalimu anasoma kitabu.", "tr": "Bir öğretmen kitabı okuyor.", "zh": "有一位老师读书。",
    }),
    "plural and adjective": (act(the("woman"), "buy", the("apple", "big")), {
        "en": "The women buy the big apples.", "de": "Die Frauen kaufen die großen Äpfel.",
        "es": "Las mujeres compran las manzanas grandes.", "hi": "औरतें बड़े सेब खरीदती हैं।",
        "ru": "Женщины покупают большие яблоки.", "sw": "Wanawake wananunua matufaha makubwa.",
        "tr": "Kadınlar büyük elmaları satın alıyor.", "zh": "这些女人买这些大的苹果。",
    }),
    "two, animate object": (act("per:anna", "see", count("two", "dog", "small")), {
        "en": "Anna sees two small dogs.", "de": "Anna sieht zwei kleine Hunde.",
        "es": "Ana ve dos perros pequeños.", "hi": "अन्ना दो छोटे कुत्ते देखती है।",
        "ru": "Анна видит двух маленьких собак.", "sw": "Anna anawaona mbwa wadogo wawili.",
        "tr": "Anna iki küçük köpek görüyor.", "zh": "安娜看到两只小的狗。",
    }),
    "five": (act("per:ivan", "buy", count("five", "book")), {
        "en": "Ivan buys five books.", "de": "Iwan kauft fünf Bücher.", "es": "Iván compra cinco libros.",
        "hi": "इवान पाँच किताबें खरीदता है।", "ru": "Иван покупает пять книг.",
        "sw": "Ivan ananunua vitabu vitano.", "tr": "İvan beş kitap satın alıyor.", "zh": "伊万买五本书。",
    }),
    "every": (act(NP("bird", "every"), "fly"), {
        "en": "Every bird flies.", "de": "Jeder Vogel fliegt.", "es": "Cada pájaro vuela.",
        "hi": "हर पक्षी उड़ता है।", "ru": "Каждая птица летает.", "sw": "Kila ndege anapaa.",
        "tr": "Her kuş uçuyor.", "zh": "每只鸟都飞。",
    }),
    "negation": (act("boy", "drink", some("milk"), negated=True), {
        "en": "The boy does not drink milk.", "de": "Der Junge trinkt keine Milch.",
        "es": "El muchacho no bebe leche.", "hi": "लड़का दूध नहीं पीता।", "ru": "Мальчик не пьёт молоко.",
        "sw": "Mvulana hanywi maziwa.", "tr": "Oğlan süt içmiyor.", "zh": "男孩不喝牛奶。",
    }),
    "recipient": (act("king", "give", "letter", recipient="queen"), {
        "en": "The king gives the letter to the queen.", "de": "Der König gibt der Königin den Brief.",
        "es": "El rey da la carta a la reina.", "hi": "राजा रानी को चिट्ठी देता है।",
        "ru": "Король даёт королеве письмо.", "sw": "Mfalme anampa malkia barua.",
        "tr": "Kral mektubu kraliçeye veriyor.", "zh": "国王把信给女王。",
    }),
    "source": (act("woman", "buy_from", some("bread"), recipient="baker"), {
        "en": "The woman buys bread from the baker.", "de": "Die Frau kauft vom Bäcker Brot.",
        "es": "La mujer compra pan al panadero.", "hi": "औरत नानबाई से रोटी खरीदती है।",
        "ru": "Женщина покупает хлеб у пекаря.", "sw": "Mwanamke ananunua mkate kutoka kwa mwokaji.",
        "tr": "Kadın, fırıncıdan ekmek satın alıyor.", "zh": "女人从面包师那里买面包。",
    }),
    "company": (act("per:maria", "dance", companion="per:peter"), {
        "en": "Maria dances with Peter.", "de": "Maria tanzt mit Peter.", "es": "María baila con Peter.",
        "hi": "मारिया पीटर के साथ नाचती है।", "ru": "Мария танцует с Петром.",
        "sw": "Maria anacheza dansi pamoja na Peter.", "tr": "Maria, Peter ile dans ediyor.",
        "zh": "玛丽亚跟彼得一起跳舞。",
    }),
    "instrument": (act("cook", "cut", "meat", instrument=some("knife")), {
        "en": "The cook cuts the meat with a knife.",
        "de": "Der Koch schneidet das Fleisch mit einem Messer.",
        "es": "El cocinero corta la carne con un cuchillo.", "hi": "बावर्ची चाकू से मांस काटता है।",
        "ru": "Повар режет мясо ножом.", "sw": "Mpishi anakata nyama kwa kisu.",
        "tr": "Aşçı eti bıçakla kesiyor.", "zh": "厨师用一把刀切肉。",
    }),
    "goal": (act("doctor", "go", relation="to", place="hospital"), {
        "en": "The doctor goes to the hospital.", "de": "Der Arzt geht ins Krankenhaus.",
        "es": "El médico va al hospital.", "hi": "डॉक्टर अस्पताल जाता है।", "ru": "Врач идёт в больницу.",
        "sw": "Daktari anaenda hospitalini.", "tr": "Doktor hastaneye gidiyor.", "zh": "医生去医院。",
    }),
    "time first": (act("per:peter", "work", time="monday", time_first=True), {
        "en": "On Monday, Peter works.", "de": "Am Montag arbeitet Peter.",
        "es": "Los lunes, Peter trabaja.", "hi": "सोमवार को पीटर काम करता है।",
        "ru": "В понедельник Пётр работает.", "sw": "Jumatatu, Peter anafanya kazi.",
        "tr": "Pazartesi günü Peter çalışıyor.", "zh": "星期一彼得工作。",
    }),
    "possessor": (be(NP("dog", owner="per:anna"), "big"), {
        "en": "Anna's dog is big.", "de": "Annas Hund ist groß.", "es": "El perro de Ana es grande.",
        "hi": "अन्ना का कुत्ता बड़ा है।", "ru": "Собака Анны большая.", "sw": "Mbwa wa Anna ni mkubwa.",
        "tr": "Anna'nın köpeği büyük.", "zh": "安娜的狗很大。",
    }),
    "coordinated subject": (be(NP("per:anna", other=NP("per:ivan")), "tired"), {
        "en": "Anna and Ivan are tired.", "de": "Anna und Iwan sind müde.",
        "es": "Ana e Iván están cansados.", "hi": "अन्ना और इवान थके हुए हैं।", "ru": "Анна и Иван устали.",
        "sw": "Anna na Ivan wamechoka.", "tr": "Anna ve İvan yorgun.", "zh": "安娜和伊万很疲倦。",
    }),
    "comparison": (Clause("compare", NP("per:maria"), adjective="tall", standard=NP("per:ivan")), {
        "en": "Maria is taller than Ivan.", "de": "Maria ist größer als Iwan.",
        "es": "María es más alta que Iván.", "hi": "मारिया इवान से ज़्यादा लंबी है।",
        "ru": "Мария выше, чем Иван.", "sw": "Maria ni mrefu zaidi kuliko Ivan.",
        "tr": "Maria, İvan'dan daha uzun.", "zh": "玛丽亚比伊万更高。",
    }),
    "profession and gender": (Clause("be_noun", NP("per:anna"), noun="teacher"), {
        "en": "Anna is a teacher.", "de": "Anna ist Lehrerin.", "es": "Ana es maestra.",
        "hi": "अन्ना शिक्षिका है।", "ru": "Анна — учительница.", "sw": "Anna ni mwalimu.",
        "tr": "Anna öğretmen.", "zh": "安娜是一位老师。",
    }),
    "place, negated": (Clause("be_at", NP("book"), relation="on", place=NP("table"), negated=True), {
        "en": "The book is not on the table.", "de": "Das Buch ist nicht auf dem Tisch.",
        "es": "El libro no está sobre la mesa.", "hi": "किताब मेज़ पर नहीं है।", "ru": "Книга не на столе.",
        "sw": "Kitabu hakiko juu ya meza.", "tr": "Kitap masanın üstünde değil.", "zh": "书不在桌子上。",
    }),
    "existence": (Clause("exist", count("three", "chair"), relation="in", place=NP("kitchen")), {
        "en": "There are three chairs in the kitchen.", "de": "In der Küche gibt es drei Stühle.",
        "es": "Hay tres sillas en la cocina.", "hi": "रसोई में तीन कुर्सियाँ हैं।",
        "ru": "На кухне есть три стула.", "sw": "Kuna viti vitatu jikoni.",
        "tr": "Mutfakta üç sandalye var.", "zh": "厨房里有三把椅子。",
    }),
    "possession": (Clause("have", NP("man"), object=some("car", "red")), {
        "en": "The man has a red car.", "de": "Der Mann hat ein rotes Auto.",
        "es": "El hombre tiene un coche rojo.", "hi": "आदमी के पास एक लाल कार है।",
        "ru": "У мужчины есть красная машина.", "sw": "Mwanamume ana gari jekundu.",
        "tr": "Adamın kırmızı bir arabası var.", "zh": "男人有一辆红色的汽车。",
    }),
    "want": (act("per:ivan", "buy", some("hat", "new"), modal="want"), {
        "en": "Ivan wants to buy a new hat.", "de": "Iwan will einen neuen Hut kaufen.",
        "es": "Iván quiere comprar un sombrero nuevo.", "hi": "इवान एक नई टोपी खरीदना चाहता है।",
        "ru": "Иван хочет купить новую шляпу.", "sw": "Ivan anataka kununua kofia mpya.",
        "tr": "İvan yeni bir şapka satın almak istiyor.", "zh": "伊万想买一顶新的帽子。",
    }),
    "cannot": (act("per:anna", "swim", modal="can", negated=True), {
        "en": "Anna cannot swim.", "de": "Anna kann nicht schwimmen.", "es": "Ana no puede nadar.",
        "hi": "अन्ना नहीं तैर सकती।", "ru": "Анна не может плавать.", "sw": "Anna hawezi kuogelea.",
        "tr": "Anna yüzemiyor.", "zh": "安娜不能游泳。",
    }),
    "must": (act("student", "help", "teacher", modal="must"), {
        "en": "The student must help the teacher.", "de": "Der Student muss dem Lehrer helfen.",
        "es": "El estudiante debe ayudar al maestro.", "hi": "छात्र को शिक्षक की मदद करनी चाहिए।",
        "ru": "Студент должен помочь учителю.", "sw": "Lazima mwanafunzi amsaidie mwalimu.",
        "tr": "Öğrenci, öğretmene yardım etmeli.", "zh": "学生必须帮助老师。",
    }),
    "because": (Sentence(act("child", "cry"), "because", act("dog", "bite", "cat")), {
        "en": "The child cries because the dog bites the cat.",
        "de": "Das Kind weint, weil der Hund die Katze beißt.",
        "es": "El niño llora porque el perro muerde al gato.",
        "hi": "बच्चा रोता है क्योंकि कुत्ता बिल्ली को काटता है।",
        "ru": "Ребёнок плачет, потому что собака кусает кошку.",
        "sw": "Mtoto analia kwa sababu mbwa anamuuma paka.",
        "tr": "Çocuk ağlıyor, çünkü köpek kediyi ısırıyor.", "zh": "孩子哭，因为狗咬猫。",
    }),
    "so": (Sentence(be("shop", "closed"), "so", act("per:anna", "cry")), {
        "en": "The shop is closed, so Anna cries.", "de": "Der Laden ist geschlossen, deshalb weint Anna.",
        "es": "La tienda está cerrada, así que Ana llora.", "hi": "दुकान बंद है, इसलिए अन्ना रोती है।",
        "ru": "Магазин закрыт, поэтому Анна плачет.", "sw": "Duka limefungwa, kwa hiyo Anna analia.",
        "tr": "Dükkân kapalı, bu yüzden Anna ağlıyor.", "zh": "商店是关着的，所以安娜哭。",
    }),
    "say": (Sentence(act("per:anna", "live", relation="in", place="loc:paris"), "say", speaker=NP("per:peter")), {
        "en": "Peter says that Anna lives in Paris.", "de": "Peter sagt, dass Anna in Paris lebt.",
        "es": "Peter dice que Ana vive en París.", "hi": "पीटर कहता है कि अन्ना पेरिस में रहती है।",
        "ru": "Пётр говорит, что Анна живёт в Париже.", "sw": "Peter anasema kwamba Anna anaishi Paris.",
        "tr": "Peter diyor ki Anna Paris'te yaşıyor.", "zh": "彼得说安娜在巴黎生活。",
    }),
    "polar question": (Sentence(act("cat", "sleep", relation="in", place="kitchen"), ask="polar"), {
        "en": "Does the cat sleep in the kitchen?", "de": "Schläft die Katze in der Küche?",
        "es": "¿Duerme el gato en la cocina?", "hi": "क्या बिल्ली रसोई में सोती है?",
        "ru": "Кошка спит на кухне?", "sw": "Je, paka analala jikoni?", "tr": "Kedi mutfakta uyuyor mu?",
        "zh": "猫在厨房里睡觉吗？",
    }),
    "who": (Sentence(act("teacher", "read", "newspaper", time="evening"), ask="subject"), {
        "en": "Who reads the newspaper in the evening?", "de": "Wer liest am Abend die Zeitung?",
        "es": "¿Quién lee el periódico por la tarde?", "hi": "शाम को अख़बार कौन पढ़ता है?",
        "ru": "Кто читает газету вечером?", "sw": "Nani anasoma gazeti jioni?",
        "tr": "Akşam gazeteyi kim okuyor?", "zh": "谁晚上读报纸？",
    }),
    "what": (Sentence(act("per:maria", "write", "letter"), ask="object"), {
        "en": "What does Maria write?", "de": "Was schreibt Maria?", "es": "¿Qué escribe María?",
        "hi": "मारिया क्या लिखती है?", "ru": "Что пишет Мария?", "sw": "Maria anaandika nini?",
        "tr": "Maria ne yazıyor?", "zh": "玛丽亚写什么？",
    }),
    "where": (Sentence(act(the("child"), "play", relation="in", place="park"), ask="place"), {
        "en": "Where do the children play?", "de": "Wo spielen die Kinder?",
        "es": "¿Dónde juegan los niños?", "hi": "बच्चे कहाँ खेलते हैं?", "ru": "Где играют дети?",
        "sw": "Watoto wanacheza wapi?", "tr": "Çocuklar nerede oynuyor?", "zh": "这些孩子在哪里玩耍？",
    }),
}
#: what only some languages have to get right
OWN: dict[str, dict[str, Clause | Sentence]] = {
    "en": {
        "The children see an owl.": act(the("child"), "see", some("owl")),
        "There is a mouse under the bed.": Clause("exist", some("mouse"), relation="under", place=NP("bed")),
        "Three mice sleep.": act(count("three", "mouse"), "sleep"),
        "The car is more expensive than the bicycle.":
            Clause("compare", NP("car"), adjective="expensive", standard=NP("bicycle")),
        "Who does Anna work for?": Sentence(act("per:anna", "work_for", "org:lumex"), ask="object"),
        "The man waits at the station.": act("man", "wait", relation="in", place="station"),
    },
    "de": {
        "Der Junge zeigt dem armen Studenten den Löwen.":
            act("boy", "show", "lion", recipient=NP("student", adjective="poor")),
        "Ein kleines Kind verfolgt die schwarze Katze.":
            act(some("child", "small"), "chase", NP("cat", adjective="black")),
        "Die Frauen ruhen sich aus.": act(the("woman"), "rest"),
        "Die Gäste dürfen nicht im Garten schlafen.":
            act(the("guest"), "sleep", relation="in", place="garden", modal="must", negated=True),
        "Der Lehrer dankt den Kindern.": act("teacher", "thank", the("child")),
        "Am Abend kann Anna das Buch lesen.":
            act("per:anna", "read", "book", modal="can", time="evening", time_first=True),
        "Anna weint, weil Maria größer ist als Iwan.":
            Sentence(act("per:anna", "cry"), "because", Clause("compare", NP("per:maria"), adjective="tall", standard=NP("per:ivan"))),
        "Das Pferd frisst einen Apfel.": act("horse", "eat", some("apple")),
    },
    "es": {
        "El agua está fría.": be("water", "cold"),
        "El maestro viene del parque.": act("teacher", "come", relation="from", place="park"),
        "Las puertas están cerradas.": be(the("door"), "closed"),
        "Los hombres no se sientan.": act(the("man"), "sit", negated=True),
        "Peter vive en El Cairo.": act("per:peter", "live", relation="in", place="loc:cairo"),
        "Hay cuatro peces en el río.":
            Clause("exist", count("four", "fish"), relation="in", place=NP("river")),
        "La muchacha saluda al médico.": act("girl", "greet", "doctor"),
    },
    "hi": {
        "शिक्षक लड़कों को देखता है।": act("teacher", "see", the("boy")),
        "लड़कियाँ थकी हुई हैं।": be(the("girl"), "tired"),
        "अन्ना की चाबी डिब्बे में है।":
            Clause("be_at", NP("key", owner="per:anna"), relation="in", place=NP("box")),
        "इवान को किताब पढ़नी चाहिए।": act("per:ivan", "read", "book", modal="must"),
        "औरतें नहीं तैरतीं।": act(the("woman"), "swim", negated=True),
        "अन्ना और इवान गाते हैं।": act(NP("per:anna", other=NP("per:ivan")), "sing"),
        "मारिया दो बच्चों के साथ खेलती है।": act("per:maria", "play", companion=count("two", "child")),
    },
    "ru": {
        "Анна видит две новые книги.": act("per:anna", "see", count("two", "book", "new")),
        "Иван танцует с женщинами.": act("per:ivan", "dance", companion=the("woman")),
        "У Марии нет собаки.": Clause("have", NP("per:maria"), object=some("dog"), negated=True),
        "Кошки спят в саду.": act(the("cat"), "sleep", relation="in", place="garden"),
        "Учитель даёт детям книги.": act("teacher", "give", the("book"), recipient=the("child")),
        "Женщина должна работать.": act("woman", "work", modal="must"),
        "На площади есть пять человек.":
            Clause("exist", count("five", "person"), relation="in", place=NP("square")),
        "Мария не богата.": be("per:maria", "rich", negated=True),
    },
    "sw": {
        "Milango miwili ni mikubwa.": be(count("two", "door"), "big"),
        "Kuna nyumba mpya nne kijijini.":
            Clause("exist", count("four", "house", "new"), relation="in", place=NP("village")),
        "Ufagio ni mchafu.": be("broom", "dirty"),
        "Funguo za Anna ziko juu ya meza.":
            Clause("be_at", NP("key", plural=True, owner="per:anna"), relation="on", place=NP("table")),
        "Mtoto hali wali.": act("child", "eat", some("rice"), negated=True),
        "Watoto wanakula ndizi tatu.": act(the("child"), "eat", count("three", "banana")),
        "Mbwa mwenye njaa analala.": act(NP("dog", adjective="hungry"), "sleep"),
        "Mwalimu anawasaidia wanafunzi.": act("teacher", "help", the("student")),
        "Madirisha yamefungwa.": be(the("window"), "closed"),
    },
    "tr": {
        "Anna çocuğu seviyor.": act("per:anna", "love", "child"),
        "Oğlan resmi görüyor.": act("boy", "see", "picture"),
        "İvan'ın kedisi masanın altında.":
            Clause("be_at", NP("cat", owner="per:ivan"), relation="under", place=NP("table")),
        "Bahçede çiçekler var.":
            Clause("exist", NP("flower", "indef", plural=True), relation="in", place=NP("garden")),
        "Peter Paris'ten gelmiyor.":
            act("per:peter", "come", relation="from", place="loc:paris", negated=True),
        "Hemşire, doktora yardım ediyor.": act("nurse", "help", "doctor"),
        "Anna beklememeli.": act("per:anna", "wait", modal="must", negated=True),
        "Mühendis saati onarıyor.": act("engineer", "repair", "clock"),
    },
    "zh": {
        "安娜有两条鱼。": Clause("have", NP("per:anna"), object=count("two", "fish")),
        "门是开着的。": be("door", "open"),
        "伊万没有狗。": Clause("have", NP("per:ivan"), object=some("dog"), negated=True),
        "玛丽亚没有生病。": be("per:maria", "sick", negated=True),
        "彼得晚上在图书馆里读报纸。":
            act("per:peter", "read", "newspaper", relation="in", place="library", time="evening"),
        "猫坐在椅子上。": act("cat", "sit", relation="on", place="chair"),
        "安娜戴一顶红色的帽子。": act("per:anna", "wear", some("hat", "red")),
        "安娜每天都唱歌。": act("per:anna", "sing", time="every_day"),
        "安娜为卢梅克斯集团工作。": act("per:anna", "work_for", "org:lumex"),
    },
}
# fmt: on


@pytest.mark.parametrize("language", LANGUAGES)
def test_exact_sentences(language):
    expected = {name: (meaning, texts[language]) for name, (meaning, texts) in PARALLEL.items()}
    expected |= {sentence: (meaning, sentence) for sentence, meaning in OWN[language].items()}
    assert len(expected) >= 30
    wrong = {name: (text(m, language), t) for name, (m, t) in expected.items() if text(m, language) != t}
    assert not wrong


def orders(language: str) -> tuple[str, str, str]:
    """Order of subject, verb and object in a main clause, behind a time that stands first, and behind "because"."""
    clause = act("teacher", "read", "book")
    sentences = (
        Sentence(clause),
        Sentence(clause.but(time="evening", time_first=True)),
        Sentence(be("shop", "closed"), "because", clause),
    )
    found = []
    for sentence in sentences:
        letters = {"subject": "S", "object": "O", "second.subject": "S", "second.object": "O"}
        tokens = grammar(language).sentence(sentence).tokens
        order = [letters.get(t.slot) or ("V" if t.concept == "read" else "") for t in tokens]
        found.append("".join(dict.fromkeys(order)))
    return tuple(found)


def test_word_orders():
    found = {language: orders(language) for language in LANGUAGES}
    rigid = ("SVO",) * 3
    assert found == {
        "en": rigid,
        "es": rigid,
        "ru": rigid,
        "sw": rigid,
        "zh": rigid,
        "de": ("SVO", "VSO", "SOV"),  # verb second, and last in subordinate clauses
        "hi": ("SOV",) * 3,
        "tr": ("SOV",) * 3,
    }
    assert len(set(found.values())) >= 3


def test_place_of_adverbials_and_numerals():
    """Where languages of one basic order differ: "at the market" before or behind the verb, "two" and the noun."""

    def before(language, meaning, first, second):
        concepts = [t.concept for t in grammar(language).sentence(Sentence(meaning)).tokens]
        return concepts.index(first) < concepts.index(second)

    clause = act(count("two", "man"), "sing", relation="in", place="market")
    assert {x for x in LANGUAGES if before(x, clause, "market", "sing")} == {"hi", "tr", "zh"}
    assert {x for x in LANGUAGES if before(x, clause, "man", "two")} == {"sw"}
    assert {x for x in LANGUAGES if before(x, act(the("man", "poor"), "sing"), "man", "poor")} == {"es", "sw"}


# --- what holds of every sentence ----------------------------------------------------------------------------------
@cache
def meanings(number: int = 320) -> tuple[Sentence, ...]:
    """Sentences, questions, and those of the data sets, from all names and concepts."""
    s = Sampler(Random("test_grammar"))
    found = [Sentence(s.location()) for _ in range(40)]  # what is rare otherwise
    found += [Sentence(s.profession(), ask="noun") for _ in range(5)]
    for draw, ask in ((s.companion, "companion"), (s.instrument, "instrument"), (s.ditransitive, "recipient")):
        found += [Sentence(draw(), ask=ask) for _ in range(3)]
    while len(found) < number:
        hypothesis, premises = nli.triple(s)
        reading, completion = qa.reading(s), qa.completion(s)
        found += [s.sentence() for _ in range(12)] + [s.question() for _ in range(4)]
        found += [hypothesis, premises["neutral"], premises["contradiction"]]
        found += [reading.sentences[0], reading.question, qa.knowledge(s).question]
        found += [Sentence(c) for c in (completion.context[0], completion.endings[0])]
    return tuple(found)


def concepts_of(meaning: Sentence) -> set[str]:
    """Everything a meaning mentions that has a word."""
    found = {meaning.speaker.head} if meaning.speaker else set()
    for clause in meaning.clauses:
        phrases = [p for np in clause.roles().values() for p in (np, np.other) if p]
        for np in phrases:
            found |= {np.head, np.adjective, np.owner, np.det if np.det in NUMERALS else None}
        found |= {clause.verb, clause.adjective, clause.noun, clause.time}
    return found - {None}


def test_random_meanings_use_everything():
    clauses = [c for m in meanings() for c in m.clauses]
    assert {c.frame for c in clauses} == {"act", "be_adj", "be_noun", "be_at", "exist", "have", "compare"}
    assert {c.relation for c in clauses if c.relation} == set(RELATIONS)
    assert {c.modal for c in clauses if c.modal} == set(MODALS)
    assert {m.link for m in meanings() if m.link} == set(LINKS)
    asked = {m.ask for m in meanings() if m.ask}
    assert asked >= {"polar", "subject", "object", "recipient", "companion", "instrument", "place", "time", "noun"}
    assert any(c.negated for c in clauses)
    assert any(c.time_first for c in clauses)
    assert len(SIMPLE_FRAMES) == len(set(SIMPLE_FRAMES))


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines(language):
    g = grammar(language)
    for meaning in meanings():
        line = g.sentence(meaning)
        assert line.text.endswith(g.question_mark if meaning.ask else g.stop), line.text
        assert line.text == unicodedata.normalize("NFC", line.text).strip()
        assert "  " not in line.text
        assert g.spaces or " " not in line.text, line.text
        assert not g.capitalise or line.text.lstrip("¿")[0].isupper(), line.text
        assert len(line.spans) == len(line.tokens)
        for token, (start, end) in zip(line.tokens, line.spans, strict=True):
            assert token.text
            assert not any(c.isspace() for c in token.text), line.text
            assert line.text[start:end] == token.text
            assert token.pos in UPOS, (token, line.text)
        for slot in {t.slot for t in line.tokens} - {None}:
            start, end = line.span(slot)  # raises where the words of a role are not adjacent
            assert line.text[start:end].strip(" .,?!。？，।") == line.text[start:end]


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_said_and_nothing_else(language):
    """The concepts of the tokens are those of the meaning: sentences of two languages say the same."""
    g = grammar(language)
    for meaning in meanings():
        line = g.sentence(meaning)
        said = {t.concept for t in line.tokens} - {None}
        mentioned = concepts_of(meaning)
        assert said <= mentioned | {"person"}, line.text
        if meaning.ask is None:
            assert said == mentioned, line.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_entities(language):
    g = grammar(language)
    for meaning in meanings():
        line = g.sentence(meaning)
        previous = "O"
        for token in line.tokens:
            kind = token.entity[2:]
            assert token.entity == "O" or kind in ("PER", "LOC", "ORG")
            if token.entity.startswith("I-"):
                assert previous[2:] == kind, line.text
            assert (token.entity != "O") == (token.concept in world.NAMES), line.text
            assert token.entity == "O" or (token.pos == "PROPN" and token.concept.startswith(kind.lower()))
            previous = token.entity


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_concept_has_a_word_of_its_own_kind(language):
    """No empty forms anywhere: every noun, adjective, verb and time in a sentence of its own."""
    g = grammar(language)
    plural = [NP(n, "two", plural=True) for n in world.NOUNS if n not in world.MASS]
    sentences = [Clause("be_at", np, relation="in", place=NP("house")) for np in (*map(NP, world.NOUNS), *plural)]
    sentences += [be("man", a) for a in world.ADJECTIVES]
    sentences += [act(NP("man", adjective=a), "sleep", time=t) for a in world.ADJECTIVES for t in world.TIMES[:1]]
    sentences += [act("per:anna", "sleep", time=t) for t in world.TIMES]
    for clause in sentences:
        line = g.sentence(Sentence(clause))
        assert concepts_of(Sentence(clause)) <= {t.concept for t in line.tokens}, line.text
        assert all(t.text for t in line.tokens), line.text


def test_scripts_of_names_and_words():
    """The script of every letter is the language's own."""
    script = {"hi": {"DEVANAGARI"}, "ru": {"CYRILLIC"}, "zh": {"CJK"}}
    for language in LANGUAGES:
        found = {
            unicodedata.name(c).split()[0]
            for m in meanings()
            for c in grammar(language).sentence(m).text
            if unicodedata.category(c)[0] in "LM"
        }
        assert found == script.get(language, {"LATIN"})
    assert len({"LATIN"}.union(*script.values())) >= 3
