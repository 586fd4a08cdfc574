"""Where the Agent Protocol is: its paths are the LangGraph SDK's and our own too, with other meanings."""

from typing import Final

from serving.database import Row

PREFIX: Final = "/agent-protocol"


def at(row: Row) -> str:
    """Where a client finds a run again."""
    return f"{PREFIX}/runs/{row['run_id']}"
