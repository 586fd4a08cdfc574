"""The closed table of types that a checkpoint may hold beside JSON: each has a number and is never found by name.

A kind takes a value apart into plainer ones and puts it together again without running validators, so that what is
loaded equals what was stored. Numbers are part of the stored form: never use one again for another type.
"""

import dataclasses
import enum
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from langchain_core import messages
from langchain_core.documents import Document
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from pydantic import BaseModel

from serving.runs.checkpoints.records import Kind, model_kind, record_kind

BIG_INT, WIDE_TEXT, PAIRS, NAMED = 1, 2, 3, 127


@cache
def builtin_kinds() -> Mapping[type, Kind]:
    return {type_: kind for table in (_plain(), _langgraph(), _langchain()) for type_, kind in table.items()}


def allowed_kinds(types: Iterable[type]) -> dict[type, Kind]:
    """Pydantic models, dataclasses and enums that the host names. Raises TypeError for any other type."""
    return {type_: _allowed(type_) for type_ in types}


def _allowed(type_: type) -> Kind:
    name = f"{type_.__module__}:{type_.__qualname__}"
    if issubclass(type_, BaseModel):
        return model_kind(NAMED, type_, name)
    if issubclass(type_, enum.Enum):
        return Kind(NAMED, lambda member: member.name, lambda name: type_[name], name)
    if dataclasses.is_dataclass(type_):
        return record_kind(NAMED, type_, tuple(field.name for field in dataclasses.fields(type_)), name)
    raise TypeError(f"{name} is no pydantic model, dataclass or enum: a checkpoint can't carry it")


def _plain() -> dict[type, Kind]:
    return {
        tuple: Kind(4, list, tuple),
        set: Kind(5, list, set),
        frozenset: Kind(6, list, frozenset),
        deque: Kind(7, lambda value: [list(value), value.maxlen], lambda parts: deque(*parts)),
        datetime: Kind(8, _of_datetime, _to_datetime),
        date: Kind(9, lambda value: [value.year, value.month, value.day], lambda parts: date(*parts)),
        time: Kind(10, _of_time, _to_time),
        timedelta: Kind(11, lambda value: [value.days, value.seconds, value.microseconds], lambda p: timedelta(*p)),
        timezone: Kind(12, lambda value: list(value.__getinitargs__()), lambda parts: timezone(*parts)),
        ZoneInfo: Kind(13, lambda value: value.key, ZoneInfo),
        UUID: Kind(14, lambda value: value.bytes, lambda data: UUID(bytes=data)),
        Decimal: Kind(15, str, Decimal),
    }


def _of_datetime(value: datetime) -> list[Any]:
    day = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
    return [*day, value.tzinfo, value.fold]


def _to_datetime(parts: list[Any]) -> datetime:
    *moment, fold = parts
    return datetime(*moment).replace(fold=fold)


def _of_time(value: time) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold]


def _to_time(parts: list[Any]) -> time:
    hour, minute, second, microsecond, zone, fold = parts
    return time(hour, minute, second, microsecond, zone, fold=fold)


def _langgraph() -> dict[type, Kind]:
    return {
        Send: record_kind(32, Send, ("node", "arg", "timeout")),
        Interrupt: record_kind(33, Interrupt, ("value", "id", "response_schema")),
        Command: record_kind(34, Command, ("graph", "update", "resume", "goto")),
        Overwrite: record_kind(35, Overwrite, ("value", "type")),
        TimeoutPolicy: record_kind(36, TimeoutPolicy, ("run_timeout", "idle_timeout", "refresh_on")),
        _DeltaSnapshot: Kind(37, lambda snapshot: snapshot.value, _DeltaSnapshot),
    }


def _langchain() -> dict[type, Kind]:
    types: tuple[type[BaseModel], ...] = (
        messages.HumanMessage,
        messages.HumanMessageChunk,
        messages.AIMessage,
        messages.AIMessageChunk,
        messages.SystemMessage,
        messages.SystemMessageChunk,
        messages.ChatMessage,
        messages.ChatMessageChunk,
        messages.ToolMessage,
        messages.ToolMessageChunk,
        messages.FunctionMessage,
        messages.FunctionMessageChunk,
        messages.RemoveMessage,
        Document,
    )
    return {type_: model_kind(number, type_) for number, type_ in enumerate(types, start=64)}
