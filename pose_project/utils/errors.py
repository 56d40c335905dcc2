"""The exceptions that a tool turns into a single line and exit code 2."""


class PoseError(Exception):
    """Base of the errors whose message is all the user needs: one line, with what to do next."""


class InputError(PoseError, ValueError):
    """Something the user gave is wrong."""


class NonFiniteLossError(PoseError, FloatingPointError):
    """The loss became infinite or NaN; names iteration, losses and photos."""
