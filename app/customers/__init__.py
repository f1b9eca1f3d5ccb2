"""Who orders: people and companies, with their addresses, contact points and references in other systems.

All personal data of the product lives in this area's tables; events and logs name customers by id only.
"""
