"""How clients see SKUs."""

from app.catalog.api.changes import CatalogMutation
from app.catalog.api.lists import CatalogQuery
from app.catalog.api.types import Sku

__all__ = ["CatalogMutation", "CatalogQuery", "Sku"]
