"""What goes wrong in an attempt: told to the run's caller, and to the operator without what its message may hold."""

import logging
import traceback

from graph.errors import TriremeError
from graph.events import RunFinished
from serving.errors import ServingError
from serving.runs.queue import Claim

log = logging.getLogger(__name__)


def failed(claim: Claim, error: Exception | SystemExit) -> RunFinished:
    """The run's end. What a hosted graph's own code says belongs to its caller."""
    name = type(error).__name__
    if isinstance(error, TriremeError | ServingError):
        # Foreseen: where it was raised helps nobody. In a ServingError a hosted graph's own words may stand.
        said = error if isinstance(error, TriremeError) else error.code
        log.error("action=attempt run=%s graph=%s error=%s: %s", claim.run_id, claim.graph, name, said)
        return RunFinished(status="error", code=error.code, message=str(error))
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("action=attempt run=%s graph=%s error=%s\n%s", claim.run_id, claim.graph, name, frames)
    if claim.hosted:
        return RunFinished(status="error", code=name, message=str(error))
    message = f"{name} in the worker; its log has the details"
    return RunFinished(status="error", code="internal_error", message=message)
