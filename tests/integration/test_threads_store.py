"""Threads that several make at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg

from serving.threads.store import _CREATE

_MAKERS, _THREADS = 6, 1_000


def test_of_those_who_make_a_thread_at_once_one_does_and_none_fails(database: str) -> None:
    ids, together = [uuid.uuid4() for _ in range(_THREADS)], Barrier(_MAKERS)
    values = {"tenant": "default", "metadata": "{}", "ttl": None, "strategy": "delete"}

    def made(_: int) -> int:
        try:
            with psycopg.connect(database, autocommit=True) as connection:
                return sum(connection.execute(_CREATE, {**values, "id": id_}).rowcount for id_ in ids if here())
        except psycopg.Error:
            together.abort()
            raise

    def here() -> bool:
        return together.wait(60) >= 0

    with ThreadPoolExecutor(_MAKERS) as makers:
        assert sum(makers.map(made, range(_MAKERS))) == _THREADS
