"""Small programs with a meaning: what a program of the pocket world prints, found by running it.

A program makes lists of words, changes them and says one: ``A has dog, cat. A lose dog. A buy hen. say A.`` prints *cat, hen*.
:func:`run` is the interpreter. From it follow the data sets of the code study, in the schema of CodeXGLUE's: two programs are
clones if they print the same; a program has a fault if it does not print what its first line promises; a description belongs to
the program that prints what it says; a program and its translation do the same step by step, in another syntax.

Of a pair neither text alone tells right from wrong: programs come in twins, one with its words exchanged (:func:`exchanged`), which have the
same length and the same statements, and a text stands as often in a right pair as in a wrong one. How much is told without running them is
set by what so small an encoder learns in a few hundred steps. Of the clones half can be told by the words that both handle. The wrong partner
of a description or a translation handles another sort of things (:func:`apart`): shared words tell, as they mostly do among CodeXGLUE's. A
fault is two statements in each other's place (:func:`misplaced`): the words are the same, and most are told by their order alone. A gap lacks
a word of the sort that its program is about (:func:`listed`).
Their language has letters and ``, . ?`` alone and takes most of its words from the pocket's, so that programs are about as long as
sentences to its tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from random import Random

from . import world
from .sample import Sampler

#: kinds of things whose words programs handle
_KINDS = ("animal", "bird", "vehicle", "clothing", "furniture", "container", "fruit", "vegetable", "plant")
NAMES = ("A", "D", "F")  # one piece each
#: share of twins that differ in a word that the other has not: what a bag of words can tell
STRANGE = 0.15
#: share of twins that differ in nothing but the order in which words are printed
ORDER = 0.25
CONDITION = 0.2
#: share of clones that look different, beside programs that look alike and handle other words: as many words are shared in both
ALIKE = 0.5
#: sorts of things that :func:`apart` tells programs apart by, by their kinds
SORTS = (("animal", "bird"), ("vehicle",), ("container",), ("fruit", "vegetable"))
#: how often each way of reaching a list is taken, where it can be
_WAYS = {"make": 1.0, "add": 1.5, "join": 1.5, "drop": 5.0, "turn": 0.7}


@dataclass(frozen=True)
class Step:
    """One statement.

    Parameters
    ----------
    verb : str
        ``make`` a list of words, ``add`` a word at its end, ``drop`` a word from it, ``turn`` it round, ``join`` another list to it,
        ``say`` it.
    name : str
        The list, by its letter.
    words : tuple of str
        Concepts.
    other : str
        The list that is joined.
    given : tuple of str
        List and word: the step is done if the word is in that list. Empty: it is done.
    """

    verb: str
    name: str
    words: tuple[str, ...] = ()
    other: str = ""
    given: tuple[str, ...] = ()


Program = tuple[Step, ...]


@dataclass(frozen=True)
class Item:
    """What an example is made of.

    Attributes
    ----------
    program : Program
    partner : Program
        Of clones: the other program.
    prints : tuple of str
        What is promised or described: the words, in order.
    unsaid : tuple of str
        Words of the program that are not in it.
    holds : bool
        Whether both programs print that.
    words : tuple of str
        Words of the block it is from: what decides its split.
    """

    program: Program
    prints: tuple[str, ...]
    unsaid: tuple[str, ...]
    words: tuple[str, ...]
    partner: Program = ()
    holds: bool = True


# --- running -------------------------------------------------------------------------------------------------------
def run(program: Program) -> tuple[str, ...]:
    """What a program prints.

    Raises
    ------
    KeyError
        If it uses a list that it has not made.
    """
    lists: dict[str, list[str]] = {}
    printed: list[str] = []
    for step in program:
        if step.given and step.given[1] not in lists[step.given[0]]:
            continue
        if step.verb == "make":
            lists[step.name] = list(step.words)
        elif step.verb == "add":
            lists[step.name] += step.words
        elif step.verb == "drop":
            lists[step.name] = [w for w in lists[step.name] if w not in step.words]
        elif step.verb == "turn":
            lists[step.name].reverse()
        elif step.verb == "join":
            lists[step.name] += lists[step.other]
        else:
            printed += lists[step.name]
    return tuple(printed)


def mentioned(program: Program) -> set[str]:
    """Words that stand in a program."""
    return {w for step in program for w in (*step.words, *step.given[1:])}


def exchanged(program: Program, by: dict[str, str]) -> Program:
    """The program with words exchanged: it prints what it printed, with words exchanged."""
    return tuple(
        replace(s, words=tuple(by.get(w, w) for w in s.words), given=tuple(by.get(w, w) for w in s.given))
        for s in program
    )


# --- writing programs ----------------------------------------------------------------------------------------------
def writing(prints: tuple[str, ...], unsaid: tuple[str, ...], rng: Random, once: bool = False) -> Program:
    """A program that prints some words and mentions others, found backwards from what it prints.

    With ``once`` it mentions the others once: in a list that nobody asks for.
    """
    names, left = rng.sample(NAMES, 3), rng.sample(unsaid, len(unsaid))
    steps = _reaching(list(prints), names[0], names[1], [] if once else left, rng, rng.choice((1, 1, 2)))
    if left:  # a list that nobody asks for
        steps.insert(rng.randrange(len(steps) + 1), Step("make", names[2], tuple(left)))
    if rng.random() < CONDITION and not once:
        steps = _conditional(steps, sorted({*prints, *unsaid}), rng)
    return (*steps, Step("say", names[0]))


def _reaching(goal: list[str], name: str, spare: str, left: list[str], rng: Random, depth: int) -> list[Step]:
    """Steps after which a list is the goal; words of ``left`` that they mention are taken from it."""
    ways = ["make"] + ["drop"] * bool(left) + (["add", "turn"] + ["join"] * bool(spare) if len(goal) > 1 else [])
    (way,) = rng.choices(ways, [_WAYS[w] for w in ways]) if depth else ("make",)
    if way == "add":
        before = _reaching(goal[:-1], name, spare, left, rng, depth - 1)
        return [*before, Step("add", name, (goal[-1],))]
    if way == "turn":
        return [*_reaching(goal[::-1], name, spare, left, rng, depth - 1), Step("turn", name)]
    if way == "drop":
        some = tuple(left.pop() for _ in range(rng.choice((1, len(left)))))
        more = list(goal)
        for word in some:
            more.insert(rng.randrange(len(more) + 1), word)
        return [*_reaching(more, name, spare, left, rng, depth - 1), Step("drop", name, some)]
    if way == "join":
        cut = rng.randrange(1, len(goal))
        first = _reaching(goal[:cut], name, "", left, rng, depth - 1)
        return [*first, Step("make", spare, tuple(goal[cut:])), Step("join", name, other=spare)]
    return [Step("make", name, tuple(goal))]


def _conditional(steps: list[Step], words: list[str], rng: Random) -> list[Step]:
    """The same with a condition that is met, before a step that is done, or one that is not, before a step that would spoil it."""
    place = rng.randrange(1, len(steps) + 1)
    name = rng.choice([s.name for s in steps[:place] if s.verb == "make"])
    inside = run((*steps[:place], Step("say", name)))
    outside = [w for w in words if w not in inside]
    if place < len(steps) and steps[place].verb != "make" and inside and rng.random() < 0.5:
        return [*steps[:place], replace(steps[place], given=(name, rng.choice(inside))), *steps[place + 1 :]]
    if not outside:
        return steps
    spoiling = rng.choice([Step("turn", name), Step("add", name, (rng.choice(words),))])
    return [*steps[:place], replace(spoiling, given=(name, rng.choice(outside))), *steps[place:]]


# --- blocks: twins that only running tells apart -----------------------------------------------------------------------
@cache
def vocabulary() -> tuple[str, ...]:
    """Concepts that programs handle: those with one English word."""
    from . import rows

    found = [c for k in _KINDS for c in world.KINDS[k] if c not in world.MASS]
    return tuple(c for c in found if rows.word(c, "en").isalpha())


def _twins(s: Sampler) -> tuple[Item, Item, dict[str, str]]:
    """A program, its twin, and the words that are exchanged between them: they print different things."""
    drawn = s.rng.sample(vocabulary(), 6)
    prints, silent, new = tuple(drawn[:2]), tuple(drawn[2:4]), drawn[4:]
    sort = s.rng.random()
    if sort < ORDER:
        by = {prints[0]: prints[1], prints[1]: prints[0]}
    elif sort > 1 - STRANGE:
        by = dict(zip(prints, new, strict=True))
    else:  # what was said is not said, and the other way round
        by = {w: v for a, b in zip(prints, silent, strict=True) for w, v in ((a, b), (b, a))}
    one = Item(writing(prints, silent, s.rng), prints, silent, tuple(sorted((*prints, *silent))))
    return one, _exchanged(one, by), by


def _exchanged(item: Item, by: dict[str, str]) -> Item:
    prints, unsaid = (tuple(by.get(w, w) for w in some) for some in (item.prints, item.unsaid))
    return replace(item, program=exchanged(item.program, by), prints=prints, unsaid=unsaid)


def pairs(s: Sampler) -> tuple[Item, ...]:
    """Clones and others: twins, or (:data:`ALIKE`) clones that look different beside others that look alike."""
    return _alike(s) if s.chance(ALIKE) else _short_and_long(s)


def _short_and_long(s: Sampler) -> tuple[Item, ...]:
    """Short programs and long ones: whatever is short, each of the two long ones is its clone once and once not."""
    one, two, by = _twins(s)
    short = writing(one.prints, (), s.rng)
    return tuple(
        replace(item, program=program, partner=partner.program, holds=item is partner)
        for item, program in ((one, short), (two, exchanged(short, by)))
        for partner in (one, two)
    )


def _alike(s: Sampler) -> tuple[Item, ...]:
    """Two programs that print the same by other statements, and each with the same statements on other words."""
    drawn = s.rng.sample(vocabulary(), 12)
    prints, silent, hidden = (tuple(drawn[i : i + 2]) for i in (0, 2, 4))
    by = dict(zip(drawn[:6], drawn[6:], strict=True))
    one, tries = writing(prints, silent, s.rng), [writing(prints, hidden, s.rng) for _ in range(6)]
    two = min(tries, key=lambda p: len(_form(p) & _form(one)))
    first, second = s.rng.sample((one, two), 2)
    words = tuple(sorted(drawn))
    item = Item(first, prints, (), words, second)
    return (
        item,
        replace(item, program=exchanged(first, by), prints=tuple(by[w] for w in prints), partner=exchanged(second, by)),
        replace(item, partner=exchanged(first, by), holds=False),
        replace(item, program=second, partner=exchanged(second, by), holds=False),
    )


def _form(program: Program) -> set[str]:
    """What a program looks like, apart from the words that it handles."""
    return {w for step in program for w in (step.verb, step.name, step.other, "given" * bool(step.given))}


def misplaced(s: Sampler) -> tuple[Item, ...]:
    """A program that keeps its promise, and one with two statements exchanged that does not: the order of its words is the planted fault."""
    one = _twins(s)[0]
    orders = (_swapped(one.program, i, j) for j in range(len(one.program)) for i in range(j))
    return one, replace(one, program=s.pick([p for p in orders if _output(p) != one.prints]), holds=False)


def _swapped(program: Program, first: int, second: int) -> Program:
    return (*program[:first], program[second], *program[first + 1 : second], program[first], *program[second + 1 :])


def _output(program: Program) -> tuple[str, ...] | None:
    """What a program prints; ``None`` if it uses a list before that is made."""
    try:
        return run(program)
    except KeyError:
        return None


def apart(s: Sampler, unsaid: int = 2) -> tuple[Item, Item]:
    """A program and the same on another sort of things, one behind the other: what a description or a translation is taken from wrongly."""
    words, others = (s.rng.sample(_of(sort), 2 + unsaid) for sort in s.rng.sample(SORTS, 2))
    prints, silent = tuple(words[:2]), tuple(words[2:])
    one = Item(writing(prints, silent, s.rng), prints, silent, tuple(sorted(words)))
    two = _exchanged(one, dict(zip(words, others, strict=True)))
    return one, replace(two, words=tuple(sorted(others)))


@cache
def _of(sort: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in vocabulary() if any(c in world.KINDS[k] for k in sort))


def listed(s: Sampler) -> tuple[Item]:
    """A program on one sort of things, with one of each other sort in a list that nobody asks for: what a gap may be filled with wrongly."""
    sort, *others = s.rng.sample(SORTS, len(SORTS))
    prints, silent = tuple(s.rng.sample(_of(sort), 4)), tuple(s.pick(_of(x)) for x in others)
    return (Item(writing(prints, silent, s.rng, once=True), prints, silent, tuple(sorted((*prints, *silent)))),)


# --- as text -------------------------------------------------------------------------------------------------------
@cache
def _said(concept: str) -> str:
    from . import rows

    return rows.word(concept, "en")


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(map(_said, words))


_FIRST = {
    "make": "{name} has {words}", "add": "{name} buy {words}", "drop": "{name} lose {words}", "turn": "{name} turn",
    "join": "{name} from {other}", "say": "say {name}",
}  # fmt: skip
_SECOND = {
    "make": "new {name}, {words}", "add": "bring {name}, {words}", "drop": "cut {name}, {words}", "turn": "close {name}",
    "join": "find {name}, {other}", "say": "show {name}",
}  # fmt: skip


def source(program: Program) -> str:
    """A program in the first syntax, in which the list stands before what is done to it and the condition before both."""
    return " ".join(_statement(s, _FIRST, "for {word} in {name}, {step}.") for s in program)


def translated(program: Program) -> str:
    """The same in the second syntax: what is done stands first, then the list; the condition stands last."""
    return " ".join(_statement(s, _SECOND, "{step} at {name}, {word}.") for s in program)


def _statement(step: Step, forms: dict[str, str], condition: str) -> str:
    text = forms[step.verb].format(name=step.name, words=_list(step.words), other=step.other)
    if not step.given:
        return f"{text}."
    return condition.format(word=_said(step.given[1]), name=step.given[0], step=text)


def promised(item: Item) -> str:
    """A program under the line that says what it is to print."""
    return f"{_list(item.prints)}? {source(item.program)}"


def described(item: Item, rng: Random) -> str:
    """What a program prints, in order, in English."""
    forms = ["Say {0}, then {1}.", "Say {0} so that {1} is next.", "From {0} to {1}.", "Show {0}, and {1} after that."]
    return rng.choice(forms).format(*(f"the {_said(w)}" for w in item.prints))


# --- rows in the schema of the repositories ----------------------------------------------------------------------------
def _defects(items, language: str) -> list[dict]:
    return [
        {"id": i, "func": promised(m), "target": not m.holds, "project": "pocket", "commit_id": str(i)}
        for i, m in enumerate(items)
    ]


def _clones(items, language: str) -> list[dict]:
    return [
        {"id": i, "id1": 2 * i, "id2": 2 * i + 1, "func1": source(m.program), "func2": source(m.partner), "label": m.holds}
        for i, m in enumerate(items)
    ]  # fmt: skip


def _searched(items, language: str) -> list[dict]:
    return [
        {
            "id": i,
            "docstring_tokens": described(m, Random(f"doc {i}")).split(),
            "code_tokens": source(m.program).split(),
        }
        for i, m in enumerate(items)
    ]


def _translations(items, language: str) -> list[dict]:
    return [
        {"id": i, "java": source(m.program) + "\n", "cs": translated(m.program) + "\n"} for i, m in enumerate(items)
    ]


def _gaps(items, language: str) -> list[dict]:
    """Programs under their promise, which says what a gap has to hold."""
    return [{"id": i, "java": promised(m) + "\n", "cs": translated(m.program) + "\n"} for i, m in enumerate(items)]


#: task → how the meanings of a block are drawn, how they become rows
DRAW: dict[str, Callable[[Sampler], tuple]] = {
    "code_clone": pairs, "code_defect": misplaced, "code_search": apart, "code_translation": partial(apart, unsaid=1),
    "code_cloze": listed, "code_mlm": lambda s: _twins(s)[:2],
}  # fmt: skip
MAKERS = {
    "code_clone": _clones, "code_defect": _defects, "code_search": _searched, "code_translation": _translations,
    "code_cloze": _gaps, "code_mlm": _defects,
}  # fmt: skip
TASKS = tuple(DRAW)
