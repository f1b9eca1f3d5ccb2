"""What may be done with an order, one verb a module."""

from app.orders.commands.allocate import allocate
from app.orders.commands.cancel import cancel
from app.orders.commands.confirm import confirm
from app.orders.commands.hold import hold, hold_release
from app.orders.commands.place import place

__all__ = ["allocate", "cancel", "confirm", "hold", "hold_release", "place"]
