"""Operations compiled: see README.md in this folder."""

from app.engine.compiled import Compiled
from app.engine.plan import NotCovered, Reason
from app.engine.values import Coercion

__all__ = ["Coercion", "Compiled", "NotCovered", "Reason"]
