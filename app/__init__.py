"""Orderwire: orders and SKU-level stock as one GraphQL schema, every change pushed live."""
