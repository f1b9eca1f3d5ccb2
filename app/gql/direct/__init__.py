"""Direct reads: one SQL statement whose result is the JSON of the answer.

`columns` says of each field how a row gives it, once for Python and for SQL; `pieces` makes JSON of it in SQL; `roots`
are the root fields that can be read so, which areas declare beside their resolvers; `operation` answers an operation
all of whose root fields are among them. Whatever a selection needs beyond that raises NotDirect, and the engine runs
it.
"""

from app.gql.direct.columns import (
    Derived,
    Id,
    InJson,
    InPython,
    Nested,
    OrNull,
    Percent,
    Reading,
    TimeOfDay,
    in_braces,
    python_name,
)
from app.gql.direct.links import Numbered, Reference, Related, Summed
from app.gql.direct.operation import Direct, written
from app.gql.direct.pieces import Ask, Because, NotDirect, Pieces, joined, leaf
from app.gql.direct.roots import One, Paged, Way, answers_directly, by

__all__ = [
    "Ask",
    "Because",
    "Derived",
    "Direct",
    "Id",
    "InJson",
    "InPython",
    "Nested",
    "NotDirect",
    "Numbered",
    "One",
    "OrNull",
    "Paged",
    "Percent",
    "Pieces",
    "Reading",
    "Reference",
    "Related",
    "Summed",
    "TimeOfDay",
    "Way",
    "answers_directly",
    "by",
    "in_braces",
    "joined",
    "leaf",
    "python_name",
    "written",
]
