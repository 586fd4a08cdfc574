"""Webhook deliveries over HTTP: look at them, send one again."""

from typing import Annotated

from fastapi import APIRouter, Query

from serving.api.runs import Services
from serving.webhooks.delivery import DeliveryPage, DeliveryStatus, DeliveryView

router = APIRouter(prefix="/webhooks/deliveries", tags=["webhooks"])


@router.get("", response_model=DeliveryPage)
async def list_deliveries(
    services: Services,
    status: Annotated[DeliveryStatus | None, Query(description="only those in this state")] = None,
    run_id: Annotated[str | None, Query(max_length=200, description="only those of this run")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
) -> DeliveryPage:
    """What was sent to webhooks, newest first, and how it went."""
    return await services.deliveries.page(status, run_id, limit, after)


@router.post("/{delivery_id}/replay", status_code=202, response_model=DeliveryView)
async def replay_delivery(delivery_id: str, services: Services) -> DeliveryView:
    """Sends the same message again, under the same id."""
    return await services.deliveries.replay(delivery_id)
