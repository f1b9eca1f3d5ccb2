"""How clients ask what can be promised."""

from app.sourcing.api import promises as _promises  # noqa: F401 (answers `availability`)
from app.sourcing.api.changes import SourcingMutation
from app.sourcing.api.lists import SourcingQuery
from app.sourcing.api.streams import SourcingSubscription

__all__ = ["SourcingMutation", "SourcingQuery", "SourcingSubscription"]
