"""Functions and indexes by which reads and writes cost less.

The functions that write a set of calls take the place of orders_place, inventory_reserve, inventory_adjust and
inventory_allocate, which stay for processes of the version before.

Revision: 0005, after 0004
"""

from alembic import op

from app.kernel import functions

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.install(revision)
    op.create_index("ix_stock_movement_sku", "stock_movement", ["sku_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_stock_movement_sku", "stock_movement")
    functions.remove(revision)
    for earlier in ("0001", "0002", "0003", "0004"):
        functions.install(earlier)
    op.execute("DROP FUNCTION customers_id(text)")  # as 0003 left it
