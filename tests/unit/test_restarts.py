"""A process that ends by itself starts again: at once, and ever later when it ends again and again."""

from serving.processes.restarts import Restarts


def pauses(*lives_s: float) -> list[float]:
    """How long each end of a process is followed by nothing, looked at twice a second."""
    restarts, now, found = Restarts(), 100.0, []
    for life_s in lives_s:
        restarts.begun(now)
        now += life_s
        ended = now
        while not restarts.due(now):
            now += 0.5
        found.append(now - ended)
    return found


def test_one_that_lived_for_long_starts_again_at_once() -> None:
    assert pauses(60, 60, 60, 3) == [0, 0, 0, 0]


def test_one_that_never_lives_for_long_waits_ever_longer_up_to_half_a_minute() -> None:
    assert pauses(*[0.1] * 9) == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_one_that_recovers_begins_anew() -> None:
    assert pauses(1, 1, 1, 60, 1, 1) == [0, 1, 2, 0, 0, 1]
