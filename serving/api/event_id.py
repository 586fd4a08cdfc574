"""What an event is called in a stream: its number there and whose the stream is, as in `42-5f0c1d2e3b4a`.

Clients send it back to go on behind it, to the letter; the number alone does, too.
"""

from typing import Final

from serving.errors import BadRequest

_MARK: Final = 12  # digits at the end of a UUID: those by chance
_START: Final = ("", "-", "-1")
_HINT: Final = "send the id of the last event you have; -1 reads from the start"


def event_id(seq: int, owner: str) -> str:
    """`owner`: the run, or the thread, whose stream it is."""
    return f"{seq}-{owner[-_MARK:]}"


def seq_of(last_event_id: str, owner: str) -> int:
    """The number of the last event that a client has of `owner`'s stream; -1, from the start, is 0. Raises BadRequest
    for what is no event's id, or one of another stream."""
    text = last_event_id.strip()
    if text in _START:
        return 0
    number, dash, mark = text.partition("-")
    if not (number.isascii() and number.isdecimal()):
        raise BadRequest("Last-Event-ID is no event's id", _HINT, "bad_last_event_id")
    if dash and mark != owner[-_MARK:]:
        message = f"event {text[:40]} is in another stream: the ids of this one end in -{owner[-_MARK:]}"
        raise BadRequest(message, _HINT, "bad_last_event_id")
    return int(number[:18])  # more digits than any log has lines


def line_of(last_event_id: str, run_id: str, last_seq: int) -> int:
    """The same of a run's own stream, whose numbers are the lines of its log: those beyond the last one are refused."""
    seq = seq_of(last_event_id, run_id)
    if seq > last_seq:
        message = f"event {seq} is not in the stream of run {run_id}: it ends at {last_seq}"
        raise BadRequest(message, _HINT, "bad_last_event_id")
    return seq
