"""More of what must hold is watched by views and guarded by triggers.

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


def downgrade() -> None:
    op.execute("DROP TRIGGER stock_movement_never_emptied ON stock_movement")
    functions.remove(revision)
    for earlier in ("0001", "0002", "0003"):
        functions.install(earlier)
    op.execute("DROP FUNCTION customers_id(text)")  # as 0003 left it
