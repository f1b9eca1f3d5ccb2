"""Identifiers made by the application, so that PostgreSQL 15 and newer serve alike.

`uuid7` rises with time, but its order is not the order of commits: never page a change feed by it.
"""

from uuid_utils import uuid7 as uuid7_of_its_own_kind
from uuid_utils.compat import uuid7

__all__ = ["uuid7", "uuid7_of_its_own_kind"]
