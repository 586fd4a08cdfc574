"""Routes beside ours, which know who asks."""

from fastapi import FastAPI, Request
from pydantic import BaseModel

app = FastAPI()


class Run(BaseModel):
    """Of a rope; the server has a schema of this name, too."""

    whose: str


@app.get("/ropes/{number}")
async def rope(number: int, request: Request) -> Run:
    return Run(whose=request.user.identity)


@app.get("/threads/{thread_id}")
async def never(thread_id: str) -> str:
    return "behind the server's own"
