"""Checkpoints of LangGraph's state on the process's pool: `PostgresSaver`, one for each attempt."""

from serving.runs.checkpoints.errors import CheckpointRefused, NotCarried
from serving.runs.checkpoints.saver import PostgresSaver
from serving.runs.checkpoints.stock import FencedSaver, prepare_checkpoints

__all__ = ["CheckpointRefused", "FencedSaver", "NotCarried", "PostgresSaver", "prepare_checkpoints"]
