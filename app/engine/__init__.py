"""Operations compiled: see README.md in this folder."""

from app.engine.compiled import Compiled
from app.engine.plan import NotCovered

__all__ = ["Compiled", "NotCovered"]
