"""A set takes its stock by one statement that locks and one that changes.

Revision: 0006, after 0005
"""

from app.kernel import functions

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions.install(revision)


def downgrade() -> None:
    functions.remove(revision)
    for earlier in ("0001", "0002", "0003", "0004", "0005"):
        functions.install(earlier)
