"""How GraphQL reaches the areas: transports, limits, rights, scalars and the shape of mutations."""
