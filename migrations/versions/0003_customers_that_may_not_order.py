"""Placing asks whether the customer may order.

Revision: 0003, after 0002
"""

from alembic import op

from app.kernel import functions

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.install(revision)
    op.execute("DROP FUNCTION customers_id(text)")


def downgrade() -> None:
    functions.remove(revision)
    functions.install("0001")
    functions.install("0002")
