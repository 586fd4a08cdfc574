"""Errors of the checkpoint saver.

ServingError
├── NotCarried          a value or id can't be kept exactly, so it isn't kept at all
└── CheckpointRefused   a stored row is not what this saver wrote in that place
"""

from serving.errors import ServingError


class NotCarried(ServingError):
    """Says where in the state the value is and of which type, never the value itself."""

    code, status, exit_code = "value_not_carried", 422, 2

    def within(self, where: str) -> "NotCarried":
        return NotCarried(f"{where}: {self.message}", self.hint)


class CheckpointRefused(ServingError):
    """Raised on reading; nothing of the row is used."""

    code, status, exit_code = "checkpoint_refused", 500, 1
