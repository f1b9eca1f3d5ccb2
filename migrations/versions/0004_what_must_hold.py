"""More of what must hold is watched by views and guarded by triggers; orders are found by when they changed.

Revision: 0004, after 0003
"""

from alembic import op

from app.kernel import functions

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.install(revision)
    op.create_index("ix_orders_updated_at", "orders", ["updated_at", "id"])
    op.create_index("ix_orders_total_minor", "orders", ["total_minor", "id"])


def downgrade() -> None:
    op.drop_index("ix_orders_total_minor", table_name="orders")
    op.drop_index("ix_orders_updated_at", table_name="orders")
    op.execute("DROP TRIGGER stock_movement_never_emptied ON stock_movement")
    functions.remove(revision)
    for earlier in ("0001", "0002", "0003"):
        functions.install(earlier)
    op.execute("DROP FUNCTION customers_id(text)")  # as 0003 left it
