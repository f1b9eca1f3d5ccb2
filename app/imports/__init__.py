"""Loading files: SKUs, locations, customers, stock and orders, through the same commands that every client uses."""
