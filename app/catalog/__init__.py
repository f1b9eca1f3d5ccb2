"""What can be ordered: SKUs, their prices by channel and currency, and bundles of them."""
