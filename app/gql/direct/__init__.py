"""Direct reads: one SQL statement whose result is the JSON of the answer.

`columns` says of each field how a row gives it, once for Python and for SQL; `pieces` makes JSON of it in SQL; `roots`
are the root fields that can be read so, which areas declare beside their resolvers; `operation` answers an operation
all of whose root fields are among them. Whatever a selection needs beyond that raises NotDirect, and the engine runs
it.
"""

from app.gql.direct.columns import (
    Column,
    Derived,
    Id,
    InMoney,
    InPython,
    Link,
    Nested,
    Numbered,
    OrNull,
    Percent,
    Reading,
    Reference,
    in_braces,
    python_name,
)
from app.gql.direct.operation import Direct
from app.gql.direct.pieces import Ask, NotDirect, Pieces, joined, leaf
from app.gql.direct.roots import Also, One, Paged, answers_directly

__all__ = [
    "Also",
    "Ask",
    "Column",
    "Derived",
    "Direct",
    "Id",
    "InMoney",
    "InPython",
    "Link",
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
    "answers_directly",
    "in_braces",
    "joined",
    "leaf",
    "python_name",
]
