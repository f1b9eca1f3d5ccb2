"""PostgreSQL and Valkey as child processes, for development, demo and tests."""

from app.embedded.child import Child, ChildState
from app.embedded.stores import StoreOptions, Stores, StoresRefused, stores

__all__ = ["Child", "ChildState", "StoreOptions", "Stores", "StoresRefused", "stores"]
