"""The demand contract: what was ordered, by whom, at what price, and how far each unit of it has come."""
