"""How clients see orders."""

from app.orders.api.changes import OrdersMutation
from app.orders.api.lists import OrdersQuery
from app.orders.api.streams import OrdersSubscription
from app.orders.api.types import Order

__all__ = ["Order", "OrdersMutation", "OrdersQuery", "OrdersSubscription"]
