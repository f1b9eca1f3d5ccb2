"""How clients see SKUs."""

from app.catalog.api.changes import CatalogMutation
from app.catalog.api.lists import CatalogQuery
from app.catalog.api.types import Sku, sku_of

__all__ = ["CatalogMutation", "CatalogQuery", "Sku", "sku_of"]
