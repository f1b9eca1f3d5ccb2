"""PostgreSQL and Valkey as child processes, for development, demo and tests."""

from app.embedded.child import Child, ChildState
from app.embedded.reach import reached
from app.embedded.refusal import StoresRefused
from app.embedded.stores import StoreOptions, Stores, already_running, running, stores

__all__ = [
    "Child",
    "ChildState",
    "StoreOptions",
    "Stores",
    "StoresRefused",
    "already_running",
    "reached",
    "running",
    "stores",
]
