"""Errors that a user can act on."""


class UserError(ValueError):
    """A mistake in what the user gave: one line naming file, row or field, and the way out.

    The command line prints the message without a traceback and exits with code 2.
    """


class Busy(UserError):
    """A folder that another process is working in."""


class Diverged(UserError):
    """A run whose numbers broke was stopped before they reached a checkpoint; the exit code is 3."""


class Interrupted(Exception):
    """A run was asked to stop (SIGINT or SIGTERM) and has saved its state."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}, state saved; run the same command to go on")
        self.signum = signum
