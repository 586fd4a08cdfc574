"""Errors of the graph. Each has a stable `code`, an HTTP status and says whether trying again can help.

TriremeError
├── FenceLost          a newer attempt owns the run: stop, write nothing
├── StorageLost        the run's database does not answer: stop, another attempt goes on
├── BoundReached       a limit of the run: end with what there is
├── ModelUnavailable   the provider failed or refused for now (429, 5xx, network)
│   └── StreamCut      its reply had begun and broke off
├── ModelRefused       the provider refuses this key or this request (401, 403, 400, unknown price)
├── BadReply           the model's reply is not what was asked for
├── ToolFailed         a tool could not do its work, and had no effect
│   └── OutcomeUnknown its effect may have happened or not
└── MemoryUnavailable  long-term memory is out of reach: the run goes on without it
"""


class TriremeError(Exception):
    """Base of all our errors. The message says what happened, where, and how to mend it."""

    code = "internal_error"
    status = 500
    retryable = False


class FenceLost(TriremeError):
    """A newer attempt owns the run."""

    code = "fence_lost"
    status = 409


class StorageLost(TriremeError):
    """The database can't be used now. It ends the attempt, never the run, and never becomes a tool's answer."""

    code = "database_unavailable"
    status = 503
    retryable = True


class BoundReached(TriremeError):
    """A limit of the run is reached."""

    code = "bound_reached"

    def __init__(self, bound: str, limit: float, used: float) -> None:
        super().__init__(f"bound {bound} reached: {used:g} of {limit:g}")
        self.bound, self.limit, self.used = bound, limit, used


class ModelUnavailable(TriremeError):
    code = "model_unavailable"
    status = 503
    retryable = True


class StreamCut(ModelUnavailable):
    """`usage` is what the part that came has cost, as a dict of graph.ports.Usage."""

    def __init__(self, message: str, usage: dict[str, float]) -> None:
        super().__init__(message)
        self.usage = usage


class ModelRefused(TriremeError):
    code = "model_refused"
    status = 502


class BadReply(TriremeError):
    """`usage` is what the useless reply cost, as a dict of graph.ports.Usage; empty when nothing was counted."""

    code = "bad_reply"
    status = 502
    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.usage: dict[str, float] = {}


class ToolFailed(TriremeError):
    code = "tool_failed"
    status = 502


class MemoryUnavailable(TriremeError):
    code = "memory_unavailable"
    status = 503
    retryable = True


class OutcomeUnknown(ToolFailed):
    code = "outcome_unknown"
