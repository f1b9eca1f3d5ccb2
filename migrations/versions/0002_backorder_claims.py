"""Claims of backorders on stock that comes, by channel.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

from app.kernel import functions

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backorder_claim",
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("units >= 0", name=op.f("ck_backorder_claim_units")),
        sa.PrimaryKeyConstraint("sku_id", "channel_id", name=op.f("pk_backorder_claim")),
    )
    op.create_index("ix_backorder_claim_open", "backorder_claim", ["sku_id"], postgresql_where=sa.text("units > 0"))
    # An order placed or changed while claims are counted would be in none of them: the old functions claim nothing.
    op.execute("LOCK TABLE orders, order_line IN SHARE ROW EXCLUSIVE MODE")
    op.execute(
        """
        INSERT INTO backorder_claim (sku_id, channel_id, units)
        SELECT l.sku_id, o.channel_id, sum(l.backordered)
        FROM order_line l JOIN orders o ON o.id = l.order_id
        WHERE l.takes_stock AND l.backordered > 0 AND NOT o.is_on_hold
        GROUP BY l.sku_id, o.channel_id
        """
    )
    functions.install(revision)


def downgrade() -> None:
    functions.remove(revision)
    functions.install("0001")
    op.drop_index("ix_backorder_claim_open", table_name="backorder_claim", postgresql_where=sa.text("units > 0"))
    op.drop_table("backorder_claim")
