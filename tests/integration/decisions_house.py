"""What the tests of decisions over HTTP share: the API as it is wired, and a person's words to it."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from graph.tools.policy import Policy, Rule
from serving.api.app import create_app
from serving.settings import Settings
from serving.wiring import open_api_services
from tests.integration.run_house import KEY, House

ASK = Policy(rules=(Rule(action="ask"),))


@asynccontextmanager
async def wired_api(house: House, home: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"home": home, "DATABASE_URL": house.dsn, "vault_key": b64encode(KEY).decode()})
    app = create_app(lambda: open_api_services(settings))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def decide(api: httpx.AsyncClient, run_id: str, key: str, **body: Any) -> tuple[int, str]:
    answer = await api.post(f"/runs/{run_id}/effects/{key}", json=body)
    return answer.status_code, answer.json().get("code", "")


def state_of(house: House, run_id: str) -> tuple[str, str]:
    """(the effect's state, the run's status)."""
    query = "select state, status from effects join runs using (run_id) where run_id = %s"
    state, status = house.execute(query, run_id)[0]
    return state, status
