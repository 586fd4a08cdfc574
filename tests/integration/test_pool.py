"""The process's pool stays whole, whatever its callers do to themselves."""

import asyncio
import gc
import logging
import random
from contextlib import suppress
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.pq import TransactionStatus

from serving.auth.callers import Callers
from serving.database import Pool, open_pool
from serving.runs.launches import Launches
from serving.vault import PostgresVault
from tests.integration.run_house import KEY, House, until

_SIZE = 5
_SEED = 7


async def statement(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("select pg_sleep(0.001)")


async def transaction(pool: Pool) -> None:
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("select 1")
        await connection.execute("select pg_sleep(0.001)")


async def cancelled_at_random(pool: Pool, times: int) -> int:
    """Starts so many pieces of work, 40 at a time, each cancelled some time within its life; returns how many were."""
    chance = random.Random(_SEED)

    async def one(number: int) -> bool:
        work = asyncio.create_task((statement if number % 2 else transaction)(pool))
        await asyncio.sleep(chance.random() * 0.02)
        work.cancel()
        return isinstance((await asyncio.gather(work, return_exceptions=True))[0], asyncio.CancelledError)

    batches = [range(at, at + 100) for at in range(0, times, 100)]
    return sum([sum(await asyncio.gather(*map(one, batch))) for batch in batches])


async def test_three_thousand_cancelled_callers_leave_the_pool_whole(database: str) -> None:
    async with open_pool(database, _SIZE) as pool:
        assert await cancelled_at_random(pool, 3_000) > 900
        async with asyncio.timeout(30):
            held = [await pool.getconn() for _ in range(_SIZE)]
        assert {each.info.transaction_status for each in held} == {TransactionStatus.IDLE}
        for each in held:
            await pool.putconn(each)
        with psycopg.connect(database, autocommit=True) as other:
            query = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle'"
            await until(lambda: pool.get_stats()["pool_available"] == _SIZE)
            await until(lambda: other.execute(query).fetchone() == (1,))  # only the one who asks is at work


async def test_a_cancel_that_a_reader_left_behind_is_carried_out_or_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """When the database is back; of a process that ends, in one line and not as an exception that nobody took."""
    run_id, other = await house.create(), await house.create()
    refusing = Refusing(house.pool, psycopg.OperationalError("the server is starting"))
    Launches(cast(Pool, refusing), house.notices, Callers(KEY)).cancel_soon(run_id)
    assert (await house.ended(run_id)).status == "cancelled"
    assert refusing.asked > 1
    closed = open_pool(house.dsn)
    await closed.open()
    await closed.close()
    Launches(closed, house.notices, Callers(KEY)).cancel_soon(other)

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    await until(lambda: len(told()) == 2)
    gc.collect()
    first, second = told()
    assert (f"run={run_id}" in first, f"run={other} outcome=it_goes_on" in second) == (True, True)


class Refusing:
    """A pool that fails once."""

    def __init__(self, pool: Pool, error: Exception) -> None:
        self._pool, self._error, self.asked = pool, error, 0

    def connection(self) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise self._error
        return self._pool.connection()


async def test_a_caller_that_stopped_waiting_gets_no_connection_later(database: str) -> None:
    async with open_pool(database, 1) as pool:
        held = await pool.getconn()
        waiting = [asyncio.create_task(pool.getconn()) for _ in range(20)]
        await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await pool.putconn(held)
        async with asyncio.timeout(20):
            await statement(pool)


async def test_no_session_that_began_while_the_database_was_read_only_is_kept(database: str) -> None:
    async def erased() -> None:
        async with pool.connection() as connection:
            await connection.execute("delete from runs")

    async def redacted() -> None:
        await asyncio.to_thread(vault.placeholder_for, "EMAIL_ADDRESS", f"{random.random()}@example.com")

    vault = PostgresVault(database, KEY)
    with psycopg.connect(database, autocommit=True, options="-c default_transaction_read_only=off") as owner:
        name = sql.Identifier(owner.info.dbname)
        owner.execute(sql.SQL("alter database {} set default_transaction_read_only = on").format(name))
        async with open_pool(database, _SIZE) as pool:
            for each in [await pool.getconn() for _ in range(_SIZE)]:
                await pool.putconn(each)
            with pytest.raises(ReadOnlySqlTransaction):
                await redacted()
            owner.execute(sql.SQL("alter database {} reset default_transaction_read_only").format(name))
            for write in (erased, redacted):
                with suppress(ReadOnlySqlTransaction):
                    await write()  # on a session of before
                for _ in range(2 * _SIZE):
                    await write()
    vault.close()
