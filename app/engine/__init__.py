"""Operations compiled: see README.md in this folder."""

from app.engine.compiled import Compiled, Engine
from app.engine.plan import Field, NotCovered, Plan, Reason, Selection
from app.engine.run import shown_as
from app.engine.shapes import selection_of

__all__ = ["Compiled", "Engine", "Field", "NotCovered", "Plan", "Reason", "Selection", "selection_of", "shown_as"]
