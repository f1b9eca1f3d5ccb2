"""What an operator has to mend, said in one sentence."""


class OperatorProblem(Exception):
    """Nothing is wrong with the program: its surroundings are.  The message names the thing and the remedy.

    Commands print the message and exit with status 1; no traceback follows.
    """
