"""What the prompt says about a table: its name, columns and sample values, worked out once when it is stored."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from serving.documents.spreadsheet import Column, identifier, unique_names

_SAMPLES = 8
_FEW_VALUES = 50
_LONGEST_SAMPLE = 60


def describe(columns: Sequence[Column]) -> dict[str, Any]:
    """`TableInfo` without name and path, as JSON."""
    return {
        "columns": [[column.name, column.type] for column in columns],
        "rows": len(columns[0].values),
        "samples": {column.name: samples for column in columns if (samples := _samples(column))},
    }


def _samples(column: Column) -> list[str]:
    counts = Counter(value for value in column.values if value is not None)
    if column.type != "VARCHAR" or len(counts) > _FEW_VALUES:
        return []
    commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [value[:_LONGEST_SAMPLE] for value, _ in commonest[:_SAMPLES]]


def table_names(paths: Iterable[str]) -> dict[str, str]:
    """path -> SQL name: the file's name, with its folders where two files share one."""
    ordered = sorted(paths)
    short = {path: identifier(PurePosixPath(path).stem, "table") for path in ordered}
    shared = {name for name, times in Counter(short.values()).items() if times > 1}
    whole = {path: identifier(str(PurePosixPath(path).with_suffix("")), "table") for path in ordered}
    names = unique_names(whole[path] if short[path] in shared else short[path] for path in ordered)
    return dict(zip(ordered, names, strict=True))
