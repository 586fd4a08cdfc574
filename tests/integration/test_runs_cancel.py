"""What a cancelled run had under way in its worker ends with it."""

import asyncio
import time

from graph.ports import ModelCall, ModelReply
from graph.tools.builtin.tables import query_table
from serving.database import open_row_pool
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels, spoken, tool_call
from tests.integration.test_documents_tables import table

# Long, and small enough for the memory that a query may have.
_ENDLESS = "select sum(a.range * b.range % (c.range + 7)) from range(20000) a, range(20000) b, range(20000) c"
_QUERY_S = 40.0


async def asks_for_long(call: ModelCall) -> ModelReply:
    return spoken("", tool_call(call, "query_table", sql=_ENDLESS))


async def test_a_cancelled_runs_query_is_interrupted_within_a_second(house: House) -> None:
    async with open_row_pool(house.dsn) as rows:
        store = DocumentStore(rows, HashingEmbedder())
        await store.put("orders", [table("orders.csv", "id,amount\n1,2\n")])
        tool = query_table(CollectionTables(store, "orders", Databases(), seconds=_QUERY_S))
        here = house.version(tools=(tool,))
        run_id = await here.create()
        async with here.worker(ScriptedModels(worker=asks_for_long)):
            await here.until(run_id, lambda view: view.phase == "waiting_for_tool")
            await asyncio.sleep(0.5)
            asked = time.monotonic()
            await here.controls.cancel(run_id, by="mia")
            assert (await here.ended(run_id)).status == "cancelled"
        await asyncio.get_running_loop().shutdown_default_executor()  # waits for its threads
        took_s = time.monotonic() - asked
    assert took_s < _QUERY_S / 2, "with the worker's own end; on a machine of its own it is well below a second"
