"""Errors of memory. Each has a stable `code`, an HTTP status and says whether trying again can help.

MemoryFailure
├── MemoryUnavailable   the database, mem0 or its folder can't be used now
├── MemoryRefused       the text or the owner is nothing that memory takes
└── MemoryFull          the owner has as many memories as one may have
"""


class MemoryFailure(Exception):
    """Base of all errors of memory. The message says what happened and how to mend it, never what is remembered."""

    code = "memory_failure"
    status = 500
    retryable = False


class MemoryUnavailable(MemoryFailure):
    """A run can go on without its memory; it should say so."""

    code = "memory_unavailable"
    status = 503
    retryable = True


class MemoryRefused(MemoryFailure):
    code = "memory_refused"
    status = 422


class MemoryFull(MemoryFailure):
    code = "memory_full"
    status = 409
