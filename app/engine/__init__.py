"""Operations compiled: see README.md in this folder."""

from app.engine.compiled import Compiled, Engine
from app.engine.plan import NotCovered, Reason

__all__ = ["Compiled", "Engine", "NotCovered", "Reason"]
