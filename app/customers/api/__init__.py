"""How clients see customers."""

from app.customers.api.changes import CustomersMutation
from app.customers.api.lists import CustomersQuery
from app.customers.api.types import Customer, customer_of

__all__ = ["Customer", "CustomersMutation", "CustomersQuery", "customer_of"]
