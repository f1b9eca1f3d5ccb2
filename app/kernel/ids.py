"""Identifiers made by the application, so that PostgreSQL 15 and newer serve alike.

`uuid7` rises with time, but its order is not the order of commits: never page a change feed by it.
"""

from uuid_utils.compat import uuid7

__all__ = ["uuid7"]
