"""What the Agent Protocol's operations answer where they don't do what is asked: the statuses that it names."""

from collections.abc import Mapping
from typing import Final

from serving.api.refusal import Responses, refusals

_STATUSES: Final[Mapping[int, int]] = {400: 422, 410: 404}
ABSENT: Final[Responses] = refusals(404, 422)
CREATING: Final[Responses] = refusals(404, 409, 422)
UNFIT: Final[Responses] = refusals(422)
# What stands before every operation: keys, sizes, load.
AROUND: Final[Responses] = refusals(401, 403, 413, 503)


def status_of(status: int) -> int:
    """What can't be read is 422 there, and what retention has taken away is not found."""
    return _STATUSES.get(status, status)
