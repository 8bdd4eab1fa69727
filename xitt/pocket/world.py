"""The small world: its concepts, how they are kinds of one another, and what usually goes with what.

Everything here is free of language. Concept ids are English words chosen for readability; the English grammar has
its own lexicon. ``KINDS`` holds the taxonomy, ``VERBS`` the selection of arguments, ``TYPICAL`` the associations
that commonsense tasks ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: kind -> concepts directly of that kind. A kind that is itself a noun (``animal``) is a concept too.
KINDS: dict[str, tuple[str, ...]] = {
    "person": _words(
        "teacher doctor farmer cook student driver singer painter baker nurse soldier king queen child man woman "
        "boy girl writer musician fisherman hunter judge guard merchant carpenter tailor scientist engineer dancer "
        "neighbour friend guest"
    ),
    "animal": _words(
        "dog cat horse cow sheep goat pig rabbit mouse bear wolf fox lion tiger elephant monkey camel donkey snake "
        "frog fish turtle crocodile deer"
    ),
    "bird": _words("hen duck goose eagle owl crow dove"),
    "insect": _words("bee ant butterfly fly_insect"),
    "vehicle": _words("car bus train bicycle boat ship airplane"),
    "music_instrument": _words("guitar violin piano flute drum"),
    "clothing": _words("coat shirt hat dress shoe"),
    "furniture": _words("table chair bed shelf"),
    "tool": _words("knife axe saw hammer broom rope ladder"),
    "container": _words("box bag basket bottle cup plate bowl pot bucket"),
    "reading": _words("book letter newspaper map"),
    "object": _words(
        "pen paper picture lamp door window key clock mirror spoon ball doll phone radio camera umbrella blanket "
        "candle coin flag wheel stone gift"
    ),
    "fruit": _words("apple orange banana pear lemon"),
    "vegetable": _words("tomato potato onion carrot cabbage"),
    "food": _words("bread rice soup cheese egg meat cake honey"),
    "drink": _words("water milk tea coffee juice"),
    "plant": _words("tree rose flower grass"),
    "building": _words(
        "house school hospital museum temple theatre restaurant station airport factory office bank hotel castle "
        "library shop tower"
    ),
    "room": _words("kitchen bathroom bedroom cellar"),
    "outside": _words(
        "garden street market forest mountain river lake sea beach island field farm bridge park village harbour "
        "cave desert square"
    ),
}

#: kinds that are nouns a sentence can use, and the kind each belongs to
HYPERNYM: dict[str, str] = {
    **{
        c: k
        for k in (
            "person",
            "animal",
            "bird",
            "insect",
            "vehicle",
            "music_instrument",
            "clothing",
            "tool",
            "fruit",
            "vegetable",
            "plant",
            "building",
        )
        for c in KINDS[k]
    },
    "bird": "animal",
    "insect": "animal",
}
#: kinds above that are concepts of their own (they have words)
KIND_NOUNS = tuple(dict.fromkeys(HYPERNYM.values()))

#: nouns without plural and number
MASS = frozenset(_words("bread rice soup cheese meat honey water milk tea coffee juice grass"))

#: adjective -> its opposite (both ways)
ANTONYMS: dict[str, str] = {}
for _a, _b in (
    pair.split("/")
    for pair in _words(
        "big/small old/new hot/cold clean/dirty heavy/light strong/weak rich/poor happy/sad fast/slow tall/short "
        "cheap/expensive beautiful/ugly healthy/sick angry/calm brave/cowardly loud/quiet wet/dry full/empty "
        "open/closed clever/stupid hard/soft thick/thin"
    )
):
    ANTONYMS[_a], ANTONYMS[_b] = _b, _a
COLOURS = _words("red blue green white black yellow brown")
STATES = _words("hungry thirsty tired")
ADJECTIVES = (*ANTONYMS, *COLOURS, *STATES)

#: which nouns an adjective suits (kinds or concepts)
THINGS = ("vehicle", "music_instrument", "clothing", "furniture", "tool", "container", "reading", "object")
ANIMALS = ("animal", "bird", "insect")
PLACES = ("building", "room", "outside")
EDIBLE = ("fruit", "vegetable", "food")
ADJECTIVE_SUITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_words("big small"), (*ANIMALS, *THINGS, *PLACES, "fruit", "vegetable", "plant")),
    **dict.fromkeys(_words("old new"), (*THINGS, "building")),
    **dict.fromkeys(_words("beautiful ugly"), ("animal", "bird", *THINGS, *PLACES)),
    **dict.fromkeys(_words("hot cold"), ("food", "drink")),
    **dict.fromkeys(
        _words("clean dirty"), ("animal", "clothing", "container", "furniture", "vehicle", "room", "building")
    ),
    **dict.fromkeys(_words("heavy light"), ("furniture", "tool", "container", "reading", "music_instrument")),
    **dict.fromkeys(
        _words("strong weak happy sad healthy sick angry calm brave cowardly clever stupid"),
        ("person", "animal"),
    ),
    **dict.fromkeys(_words("rich poor"), ("person",)),
    **dict.fromkeys(_words("fast slow"), ("vehicle", "animal")),
    **dict.fromkeys(_words("tall short"), ("person",)),
    **dict.fromkeys(_words("cheap expensive"), (*THINGS, *EDIBLE)),
    **dict.fromkeys(_words("loud quiet"), ("person", "animal", "bird", "outside")),
    **dict.fromkeys(_words("wet dry"), ("clothing", "object", "furniture")),
    **dict.fromkeys(_words("full empty"), ("container", "room", "building")),
    **dict.fromkeys(_words("open closed"), ("building", "door", "window", "box", "bag")),
    **dict.fromkeys(_words("hard soft"), ("furniture", "fruit", "vegetable")),
    **dict.fromkeys(_words("thick thin"), ("reading", "rope", "blanket", "paper", "clothing")),
    **dict.fromkeys(COLOURS, (*THINGS, "bird", "flower", "rose", "house", "tower")),
    **dict.fromkeys(STATES, ("person", "animal")),
}


@dataclass(frozen=True)
class Verb:
    """Selection of a verb: who does it, to what, and what else it takes."""

    subjects: tuple[str, ...]
    objects: tuple[str, ...] = ()
    recipient: bool = False
    instruments: tuple[str, ...] = ()
    motion: bool = False


_P, _A = ("person",), ANIMALS
_PA = (*_P, "animal")
VERBS: dict[str, Verb] = {
    # one participant
    "sleep": Verb(_PA),
    "run": Verb(_PA),
    "swim": Verb(_PA),
    "sing": Verb((*_P, "bird")),
    "dance": Verb(_P),
    "cry": Verb(_P),
    "laugh": Verb(_P),
    "work": Verb(_P),
    "play": Verb((*_P, "animal")),
    "rest": Verb(_PA),
    "wait": Verb(_P),
    "jump": Verb(_PA),
    "smile": Verb(_P),
    "sit": Verb(_PA),
    "stand": Verb(_PA),
    "think": Verb(_P),
    "shout": Verb(_P),
    "pray": Verb(_P),
    "fly": Verb(("bird", "insect")),
    "live": Verb(_PA),
    # motion: with place and relation `to` or `from`
    "go": Verb(_P, motion=True),
    "come": Verb(_P, motion=True),
    "walk": Verb(_PA, motion=True),
    "travel": Verb(_P, motion=True),
    # two participants
    "eat": Verb(_PA, EDIBLE),
    "drink": Verb(_PA, ("drink",)),
    "buy": Verb(_P, (*THINGS, *EDIBLE, "animal")),
    "read": Verb(_P, ("reading",)),
    "write": Verb(_P, ("book", "letter"), instruments=("pen",)),
    "paint": Verb(_P, ("picture", "house", "door", "table", "flower", "animal")),
    "see": Verb(_P, ("person", *ANIMALS, *THINGS, "building", "plant")),
    "hear": Verb(_P, ("person", "animal", "bird")),
    "follow": Verb(_PA, ("person", "animal")),
    "help": Verb(_P, ("person",)),
    "love": Verb(_P, ("person", "animal")),
    "fear": Verb(_P, ("animal", "insect", "person")),
    "find": Verb(_P, (*THINGS, "animal")),
    "carry": Verb(_P, ("furniture", "container", "tool", "reading", "object", "music_instrument")),
    "wash": Verb(_P, ("clothing", "container", "vehicle", "window", "dog", "horse", "fruit")),
    "cut": Verb(_P, ("bread", "meat", "cheese", "cake", "paper", "rope", "fruit", "vegetable"), instruments=("knife",)),
    "build": Verb(_P, ("house", "tower", "bridge", "boat", "ship", "table", "shelf"), instruments=("hammer", "saw")),
    "repair": Verb(_P, ("vehicle", "clock", "radio", "furniture", "phone"), instruments=("hammer",)),
    "open_up": Verb(_P, ("door", "window", "box", "bottle", "bag", "shop"), instruments=("key",)),
    "close": Verb(_P, ("door", "window", "box", "bottle", "bag", "shop")),
    "cook_food": Verb(_P, ("rice", "soup", "meat", "egg", "vegetable", "fish")),
    "throw": Verb(_P, ("ball", "stone", "paper", "coin", "shoe")),
    "catch": Verb(_PA, ("fish", "mouse", "rabbit", "ball", "butterfly", "fly_insect")),
    "push": Verb(_P, ("vehicle", "furniture", "box", "cow", "donkey")),
    "feed": Verb(_P, ANIMALS),
    "visit": Verb(_P, ("person", "building")),
    "call": Verb(_P, ("person", "dog", "cat")),
    "greet": Verb(_P, ("person",)),
    "thank": Verb(_P, ("person",)),
    "wear": Verb(_P, ("clothing",)),
    "drive": Verb(_P, ("car", "bus", "train")),
    "ride": Verb(_P, ("horse", "camel", "donkey", "bicycle")),
    "play_music": Verb(_P, ("music_instrument",)),
    "steal": Verb(_P, (*THINGS, "fruit", "animal")),
    "hide": Verb(_P, (*THINGS,)),
    "lose": Verb(_P, ("container", "tool", "reading", "object", "clothing")),
    "hunt": Verb((*_P, "wolf", "lion", "tiger"), ("rabbit", "deer", "bird", "bear")),
    "bite": Verb(("dog", "cat", "snake", "wolf", "fox", "lion", "tiger", "crocodile", "monkey"), ("person", "animal")),
    "chase": Verb(("dog", "cat", "wolf", "fox", "lion", "tiger", "child", "boy", "girl"), ("animal", "bird")),
    "break": Verb(
        _P,
        ("window", "container", "chair", "clock", "mirror", "lamp", "egg"),
        instruments=("hammer", "stone"),
    ),
    "count": Verb(_P, ("coin", "animal", "reading", "egg")),
    # three participants (object + recipient)
    "give": Verb(_P, (*THINGS, "fruit", "flower"), recipient=True),
    "send": Verb(_P, ("letter", "book", "picture", "gift", "flower", "box"), recipient=True),
    "show": Verb(_P, (*THINGS, "animal"), recipient=True),
    "sell": Verb(_P, (*THINGS, *EDIBLE, "animal"), recipient=True),
    "bring": Verb(_P, (*EDIBLE, "drink", "object", "reading"), recipient=True),
    "lend": Verb(_P, ("reading", "tool", "vehicle", "music_instrument", "object"), recipient=True),
    # converses: the giver, seller or lender is the place-like `recipient` role, said as "from Z"
    "receive": Verb(_P, (*THINGS, "fruit", "flower"), recipient=True),
    "buy_from": Verb(_P, (*THINGS, *EDIBLE, "animal"), recipient=True),
    # the place is an organisation name
    "work_for": Verb(_P, ("org",)),
}
#: X verb Y to Z  <->  Z converse Y from X
CONVERSE = {"give": "receive", "receive": "give", "sell": "buy_from", "buy_from": "sell"}
#: X relation Y  <->  Y inverse X
INVERSE_RELATION = {
    "in_front_of": "behind",
    "behind": "in_front_of",
    "near": "near",
    "on": "under",
    "under": "on",
}

TIMES = _words(
    "morning noon evening night monday tuesday wednesday thursday friday saturday sunday spring summer autumn winter "
    "every_day"
)

# --- typical associations: what commonsense tasks ask for, and what most text says -------------------------------
TYPICAL_PLACE: dict[str, tuple[str, ...]] = {
    "sleep": ("bedroom", "hotel"),
    "swim": ("sea", "lake", "river"),
    "cook_food": ("kitchen", "restaurant"),
    "read": ("library", "school"),
    "work": ("factory", "office"),
    "pray": ("temple",),
    "dance": ("theatre", "square"),
    "sing": ("theatre",),
    "buy": ("market", "shop"),
    "wash": ("bathroom", "river"),
    "wait": ("station", "airport"),
    "play": ("park", "beach"),
    "hunt": ("forest",),
    "repair": ("factory",),
    "eat": ("restaurant", "kitchen"),
    "rest": ("garden", "park"),
    "feed": ("farm",),
    "paint": ("museum",),
    "count": ("bank",),
    "hide": ("cellar", "cave"),
}
TYPICAL_WORK: dict[str, tuple[str, str | None]] = {  # role -> what they usually do
    "teacher": ("read", "book"),
    "cook": ("cook_food", "soup"),
    "driver": ("drive", "bus"),
    "singer": ("sing", None),
    "painter": ("paint", "picture"),
    "writer": ("write", "book"),
    "musician": ("play_music", "violin"),
    "fisherman": ("catch", "fish"),
    "hunter": ("hunt", "deer"),
    "carpenter": ("build", "table"),
    "dancer": ("dance", None),
    "engineer": ("repair", "car"),
    "farmer": ("feed", "cow"),
    "merchant": ("count", "coin"),
    "baker": ("cut", "bread"),
    "nurse": ("help", "doctor"),
}
HABITAT: dict[str, str] = {
    "fish": "sea",
    "crocodile": "river",
    "camel": "desert",
    "bear": "forest",
    "wolf": "forest",
    "fox": "forest",
    "deer": "forest",
    "cow": "farm",
    "pig": "farm",
    "hen": "farm",
    "goat": "mountain",
    "eagle": "mountain",
    "duck": "lake",
    "frog": "lake",
    "turtle": "beach",
    "owl": "tower",
    "mouse": "cellar",
    "butterfly": "garden",
    "bee": "garden",
    "snake": "desert",
}
REMEDY: dict[str, tuple[str, str]] = {  # state -> what one does about it
    "hungry": ("eat", "food"),
    "thirsty": ("drink", "drink"),
    "tired": ("sleep", ""),
    "dirty": ("wash", ""),
}

# --- names -----------------------------------------------------------------------------------------------------
#: gender matters where verbs, adjectives or case endings agree with it
FEMALE = _words(
    "anna maria elena sofia laura julia clara nina vera rosa emma lena mira sara olga irina teresa amina fatima leila "
    "nadia paula diana eva"
)
MALE = _words(
    "ivan peter paul adam david daniel martin victor oscar max felix hugo omar karim ali samir pedro carlos anton boris "
    "igor tom marco leon"
)
CITIES = _words(
    "paris london berlin madrid rome moscow istanbul delhi beijing nairobi cairo tokyo vienna lisbon athens warsaw "
    "prague oslo helsinki dublin ankara mumbai shanghai mombasa lagos havana lima bogota toronto boston chicago sydney"
)
ORGS = _words(
    "lumex norda solara veltro kamira tibor arvano zentis palmo orbita delfina rumax kelora minto savira domex"
)
NAMES: tuple[str, ...] = (
    *(f"per:{n}" for n in (*FEMALE, *MALE)),
    *(f"loc:{n}" for n in CITIES),
    *(f"org:{n}" for n in ORGS),
)

NOUNS = tuple(dict.fromkeys((*(c for k in KINDS for c in KINDS[k]), *KIND_NOUNS)))
CONCEPTS = (*NOUNS, *ADJECTIVES, *VERBS, *TIMES)


def gender(name: str) -> str:
    """Gender of a person name, ``f`` or ``m``."""
    return "f" if name.removeprefix("per:") in FEMALE else "m"


@cache
def members(kinds: tuple[str, ...] | str) -> tuple[str, ...]:
    """Concepts under some kinds; a plain concept stands for itself."""
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    return tuple(dict.fromkeys(c for k in kinds for c in KINDS.get(k, (k,))))


def hypernyms(concept: str) -> tuple[str, ...]:
    """The nouns above a concept, nearest first: ``hen`` → ``("bird", "animal")``."""
    chain: list[str] = []
    while (concept := HYPERNYM.get(concept, "")) and concept not in chain:
        chain.append(concept)
    return tuple(chain)
