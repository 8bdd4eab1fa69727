"""The claims as data: what each says, where it stands, and what decides it (``reference/claims.yaml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from ..errors import DataError, ParameterError, unknown
from ..parameters import Model, read_yaml, validate
from ..published import CERTAINTY

FILE = Path(__file__).parents[1] / "reference" / "claims.yaml"
OPEN = "-"  # certainty of a question: nobody has claimed anything


class Claim(Model):
    """One row of the ledger; the keys are explained at the head of the file."""

    id: str = Field(pattern=r"^[CQ]\d\d$")
    claim: str
    number: float | None = None
    unit: str = ""
    claimed_on: str
    source: str
    certainty: str
    design: str | None = None
    test: str | None = None
    options: dict[str, Any] = {}
    direction: Literal["above", "no gain", "is"]
    threshold: float = 0.0
    margin: NonNegativeFloat = 0.0
    size: float | None = None
    runs: PositiveInt = 1
    words: dict[str, str] = {}

    @property
    def question(self) -> bool:
        """Whether it is an open question: answered yes or no."""
        return self.id.startswith("Q")

    @property
    def expected(self) -> float | None:
        """True effect at which the power of its test is stated, in points."""
        return self.number if self.size is None else self.size

    @field_validator("certainty", mode="after")
    @classmethod
    def _certain(cls, value: str) -> str:
        if value not in (*CERTAINTY, OPEN):
            why = "; a figure from memory is never a reference" if "memory" in value else ""
            raise ValueError(unknown("certainty", value, (*CERTAINTY, OPEN)) + why)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        if (self.number is None) != (not self.unit):
            raise ValueError("a number has a unit, and a unit a number")
        if self.direction != "is" and self.runs < 3:
            raise ValueError("a claim about training needs at least three runs")
        if self.question != (self.certainty == OPEN) or self.question != (self.design is not None):
            raise ValueError("questions, and they alone, have a design and the certainty '-'")
        return self


def read(path: Path = FILE) -> dict[str, Claim]:
    """Claims of a file by id.

    Raises
    ------
    DataError
        If a key or value is wrong; the message names it.
    """
    try:
        rows = read_yaml(path)
        return {name: validate(Claim, {"id": name, **fields}, path, key=name) for name, fields in rows.items()}
    except ParameterError as error:
        raise DataError(str(error)) from None


@cache
def _all() -> dict[str, Claim]:
    return read()


def every() -> tuple[Claim, ...]:
    """All claims and questions, in order."""
    return tuple(_all().values())


def find(name: str) -> Claim:
    """A claim by its id.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in _all():
        raise ParameterError(unknown("claim", name, _all()))
    return _all()[name]
