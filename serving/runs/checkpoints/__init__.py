"""Checkpoints of LangGraph's state on the process's pool: `PostgresSaver`, one for each attempt."""

from serving.runs.checkpoints.errors import CheckpointRefused, NotCarried
from serving.runs.checkpoints.saver import PostgresSaver

__all__ = ["CheckpointRefused", "NotCarried", "PostgresSaver"]
