"""A schema whose resolvers do all that resolvers may: nothing, too little, the wrong thing, and later than expected.

What a field does depends on the number of its object alone, so that two executions meet the same.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NewType, Union

import strawberry
from strawberry.schema.config import StrawberryConfig

DEPTH_MAX = 5

Shout = NewType("Shout", str)


def shout(value: str) -> str | None:
    if value == "speechless":
        return None
    if value == "unspeakable":
        raise ValueError("this cannot be said")
    return value.upper()


@strawberry.enum
class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@strawberry.interface
class Named:
    name: str
    nickname: str | None


@strawberry.input
class Wish:
    units: int
    note: str | None = "none"
    moods: list[Mood] | None = None
    inner: Wish | None = None


class Trouble(Exception):
    pass


def pick(seed: int, *choices: Any) -> Any:
    """One of the choices, each a value or a function that makes one."""
    chosen = random.Random(seed).choice(choices)
    return chosen() if callable(chosen) else chosen


def trouble() -> Any:
    raise Trouble("no luck")


async def later(value: Any, turns: int = 1) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


async def streamed(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        yield value


def generated(*values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Exception):
            raise value
        yield value


@strawberry.type
class Leaves:
    text: str
    text_maybe: str | None
    whole: int
    whole_maybe: int | None
    real: float
    flag: bool
    mood: Mood
    mood_maybe: Mood | None
    shout: Shout
    shout_maybe: Shout | None
    at: datetime | None
    amount: Decimal | None
    ident: strawberry.ID

    @staticmethod
    def make(seed: int, oddity: int = 12) -> Leaves:
        """One in so many of its values is not as it should be."""

        def value(number: int, usual: Any, *odd: Any) -> Any:
            generator = random.Random(seed * 31 + number)
            return generator.choice(odd) if generator.randrange(oddity) == 0 else usual

        class_ = Leaves if seed % 7 else Imitation
        return class_(
            text=value(1, "text", None, 7, Trouble("text"), True, "ünï"),
            text_maybe=value(2, "maybe", None, 1.5, [], Trouble("maybe")),
            whole=value(3, 5, None, 2**40, "6", 7.0, 7.5, True),
            whole_maybe=value(4, None, 8, -(2**31), 2**31),
            real=value(5, 1.5, 1, float("inf"), None, "2.5"),
            flag=value(6, True, 0, 1, None, "yes"),
            mood=value(7, Mood.GOOD, "GOOD", "good", None, 3),
            mood_maybe=value(8, Mood.BAD, None, Mood, []),
            shout=value(9, Shout("hey"), "speechless", "unspeakable", None, 5),
            shout_maybe=value(10, None, "hey", "speechless", "unspeakable"),
            at=value(11, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seed), None, "yesterday"),
            amount=value(12, Decimal("1.50"), None, 3, "x"),
            ident=value(13, strawberry.ID("id"), 5, None, 2.5),
        )


class Imitation(Leaves):
    """Not the class that the type was made of."""


@strawberry.type
class Cat(Named):
    lives: int
    seed: strawberry.Private[int] = 0

    @strawberry.field
    async def kittens(self, first: int = 2) -> list[Cat]:
        if first > 5:
            raise Trouble("too many kittens")
        await later(None, self.seed % 3)
        return [cat(self.seed * 5 + n) for n in range(first)]


@strawberry.type
class Dog(Named):
    tricks: list[str]
    master: Leaves | None


Pet = Annotated[Union[Cat, Dog], strawberry.union("Pet")]  # noqa: UP007 (strawberry names it so)


def cat(seed: int) -> Cat:
    return Cat(
        name=pick(seed, "Tom", "Kit", None), nickname=pick(seed + 1, None, "T"), lives=pick(seed, 9, 9, None), seed=seed
    )


def dog(seed: int) -> Dog:
    tricks = pick(seed, ["sit"], ["sit", None], (), None, ["roll", "roll"], lambda: {"a": 1}, "sit")
    return Dog(name="Rex", nickname=None, tricks=tricks, master=pick(seed, None, Leaves.make(seed)))


def pet(seed: int) -> Any:
    return pick(seed, lambda: cat(seed), lambda: dog(seed), lambda: dog(seed + 1), lambda: cat(seed + 1), Mood.GOOD)


@strawberry.type
class Box:
    """Has more of itself in it."""

    seed: strawberry.Private[int]
    depth: strawberry.Private[int]
    label: str
    size: int | None
    leaves: Leaves
    leaves_maybe: Leaves | None
    leaves_list: list[Leaves]
    leaves_holes: list[Leaves | None] | None
    grid: list[list[int]]
    grid_holes: list[list[int | None] | None] | None
    leaves_grid: list[list[Leaves]] | None

    @strawberry.field
    def inner(self) -> Box | None:
        return pick(self.seed, lambda: box(self.seed + 1, self.depth + 1), None, trouble)

    @strawberry.field
    def inner_always(self) -> Box:
        return pick(self.seed + 2, *[lambda: box(self.seed + 2, self.depth + 1)] * 4, None, trouble)

    @strawberry.field
    async def inner_later(self) -> Box | None:
        return await later(
            pick(self.seed + 3, lambda: box(self.seed + 3, self.depth + 1), Trouble("late")), self.seed % 3
        )

    @strawberry.field
    async def inner_later_always(self) -> Box:
        chosen = pick(self.seed + 4, *[lambda: box(self.seed + 4, self.depth + 1)] * 4, None, Trouble("late"))
        return await later(chosen, self.seed % 2)

    @strawberry.field
    def boxes(self, first: int = 2) -> list[Box]:
        return pick(
            self.seed + 5,
            *[lambda: [box(self.seed * 3 + n, self.depth + 1) for n in range(min(first, 3))]] * 4,
            lambda: [box(self.seed, self.depth + 1), None],
            lambda: generated(box(self.seed, self.depth + 1), Trouble("generated")),
            7,
        )

    @strawberry.field
    async def boxes_later(self) -> list[Box | None] | None:
        await later(None, 2)
        return pick(
            self.seed + 6,
            lambda: [box(self.seed * 3 + n, self.depth + 1) for n in range(2)],
            lambda: [None, box(self.seed, self.depth + 1), Trouble("item")],
            lambda: [later(box(self.seed, self.depth + 1)), later(None), later(Trouble("late item"))],
            lambda: generated(box(self.seed, self.depth + 1)),
        )

    @strawberry.field
    def streamed(self) -> list[int] | None:
        return pick(
            self.seed + 7, lambda: streamed(1, 2, 3), lambda: streamed(1, None), lambda: streamed(1, Trouble("stream"))
        )

    @strawberry.field
    def text(self, of: str = "x", times: int = 1, shout: bool | None = None) -> str | None:
        return pick(self.seed + 8, of * min(times, 3) + str(shout), trouble, None)

    @strawberry.field
    async def text_always(self, mood: Mood = Mood.GOOD, wish: Wish | None = None) -> str:
        chosen = pick(self.seed + 9, *[f"{mood.name} {wish}"] * 6, None, Trouble("text"))
        return await later(chosen, self.seed % 3)

    @strawberry.field
    def pet(self) -> Pet | None:
        return pet(self.seed)

    @strawberry.field
    def named(self) -> Named:
        return pick(self.seed + 10, lambda: cat(self.seed), lambda: dog(self.seed), lambda: Leaves.make(1), None)

    @strawberry.field
    async def pets(self) -> list[Pet]:
        return [pet(self.seed + n) for n in range(3)]


def box(seed: int, depth: int) -> Box | None:
    seed %= 10_007
    if depth > DEPTH_MAX:
        return None
    odd = Leaves.make

    def numbers(at: int) -> Any:
        return pick(seed + at, [1, 2], [1, 2], (3,), [], [None], ["x"], None)

    return Box(
        seed=seed,
        depth=depth,
        label=pick(seed, *["label"] * 8, None),
        size=pick(seed + 1, 1, None, "big"),
        leaves=pick(seed + 2, *[lambda: odd(seed, 60)] * 4, None),
        leaves_maybe=pick(seed + 3, lambda: odd(seed + 1), None, Trouble("leaves")),
        leaves_list=pick(
            seed + 4, *[lambda: [odd(seed + n, 60) for n in range(3)]] * 3, lambda: (odd(seed, 90),), None
        ),
        leaves_holes=pick(seed + 5, lambda: [odd(seed), None], None, lambda: {"a": 1}, lambda: [odd(seed + 1)]),
        grid=pick(seed + 6, lambda: [numbers(1), numbers(2)], [[1, 2], [3]], [[1, 2], [3]], [[1]]),
        grid_holes=pick(seed + 7, lambda: [numbers(3), None], [[1, None], None], None),
        leaves_grid=pick(seed + 8, lambda: [[odd(seed, 40)], []], None, [[]]),
    )


@strawberry.type
class Query:
    @strawberry.field
    def box(self, seed: int = 1) -> Box | None:
        return box(seed, 0)

    @strawberry.field
    async def box_later(self, seed: int = 2) -> Box:
        return await later(box(seed, 0))  # type: ignore[no-any-return]

    @strawberry.field
    def boxes(self, seeds: list[int]) -> list[Box]:
        return [box(seed, 0) for seed in seeds[:4]]  # type: ignore[misc]

    @strawberry.field
    def wish(self, wish: Wish, moods: list[Mood] | None = None, shout: Shout | None = None) -> str | None:
        return f"{wish} {moods} {shout}"

    @strawberry.field
    def named(self, seed: int) -> Named | None:
        return pick(seed, lambda: cat(seed), lambda: dog(seed))


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def put(self, seed: int = 3) -> Box | None:
        return await later(box(seed, 0), seed % 4)

    @strawberry.mutation
    def put_always(self, seed: int = 4) -> Box:
        return pick(seed, lambda: box(seed, 0), lambda: box(seed, 0), trouble)


SCALARS = {Shout: strawberry.scalar(name="Shout", serialize=shout, parse_value=str)}

schema = strawberry.Schema(Query, Mutation, types=[Cat, Dog], config=StrawberryConfig(scalar_map=SCALARS))
