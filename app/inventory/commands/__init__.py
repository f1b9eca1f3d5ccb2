"""What may be done with stock by hand, one verb a function."""

from app.inventory.commands.adjust import adjust, move, set_
from app.inventory.commands.reservation import extend, release
from app.inventory.commands.safety_stock import safety_stock_set

__all__ = ["adjust", "extend", "move", "release", "safety_stock_set", "set_"]
