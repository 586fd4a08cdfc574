"""Errors of the engines. `gpu` imports nothing of ours, so the tree is its own, shaped as everywhere.

EngineError
└── EngineUnavailable   the server doesn't answer, or not as vLLM does
"""


class EngineError(Exception):
    """An engine can't be launched as defined. The message names the engine, the field and the mend."""

    code = "engine_invalid"
    status = 500
    retryable = False


class EngineUnavailable(EngineError):
    """A vLLM server doesn't answer, or not as vLLM does. The message names its address."""

    code = "engine_unavailable"
    status = 503
    retryable = True
