"""PostgreSQL and Valkey as child processes, for development, demo and tests."""

from app.embedded.child import Child, ChildState
from app.embedded.reach import embedded_programs, reached
from app.embedded.refusal import StoresRefused
from app.embedded.stores import Running, StoreOptions, Stores, already_running, running, stores

__all__ = [
    "Child",
    "ChildState",
    "Running",
    "StoreOptions",
    "Stores",
    "StoresRefused",
    "already_running",
    "embedded_programs",
    "reached",
    "running",
    "stores",
]
