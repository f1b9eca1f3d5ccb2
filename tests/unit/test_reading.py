"""An object of a row reads of it what is asked for, once."""

import pytest
import strawberry

from app.gql.direct.columns import Column, Nested, Reading


@strawberry.type
class Size:
    width: int
    height: int


@strawberry.type
class Box:
    name: str
    size: Size
    colour: str


BOX = Reading(Box, size=Nested(Reading(Size)), colour="paint")


class Row:
    """Notes which of its columns were read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.read.append(name)
        return {"name": "Large", "width": 3, "height": 2, "paint": "red"}[name]


def test_columns_are_read_when_they_are_asked_for() -> None:
    row = Row()
    box = BOX.of(row)
    assert row.read == []

    assert (box.colour, box.colour, box.size.height) == ("red", "red", 2)
    assert row.read == ["paint", "height"]


def test_what_the_columns_do_not_say_is_given() -> None:
    assert BOX.of(Row(), name="Given").name == "Given"


def test_objects_made_in_the_usual_way_are_as_ever() -> None:
    box = Box(name="Small", size=Size(width=1, height=1), colour="blue")

    assert (box.name, box.size.width) == ("Small", 1)
    assert box == Box(name="Small", size=Size(width=1, height=1), colour="blue")
    assert box != BOX.of(Row())
    assert not hasattr(Box, "name")


def test_a_description_is_whole() -> None:
    with pytest.raises(AssertionError, match="weight"):
        Reading(Box, size=Nested(Reading(Size)), weight=Column("kilos"))
