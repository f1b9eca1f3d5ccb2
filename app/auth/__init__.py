"""Who is calling: API keys with scopes, and the portal's customers by signed tokens."""
