"""Why the embedded stores cannot start."""

from app.kernel.operator import OperatorProblem


class StoresRefused(OperatorProblem):
    """The embedded stores cannot run here; the message is one sentence with the remedy."""
