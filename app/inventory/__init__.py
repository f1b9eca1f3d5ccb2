"""What lies where, what is promised of it, and the ledger that proves it."""
