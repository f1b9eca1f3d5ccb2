"""What answered the queries of a process, counted for the graphs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from app.engine import Reason
from app.gql.direct import Because


@dataclass(slots=True)
class Answered:
    """How many queries were answered by what.

    directly   by one statement
    by_engine  why not by one statement
    by_core    by graphql-core: why not by the engine, None where it is switched off
    """

    directly: int = 0
    by_engine: Counter[Because] = field(default_factory=Counter)
    by_core: Counter[Reason | None] = field(default_factory=Counter)
