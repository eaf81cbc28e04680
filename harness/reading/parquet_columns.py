"""Columns of Parquet files that Spark can't read, found without it."""

from __future__ import annotations

from typing import Any


def require_readable(schema: Any) -> None:
    """Require that Spark can read every column.

    Args:
        schema: The file's schema, as PyArrow has it.

    Raises:
        ValueError: It can't; the message names the columns.
    """
    import pyarrow as pa

    unreadable_types = (pa.types.is_time, pa.types.is_float16, pa.types.is_decimal256)
    unreadable = [
        f"'{field.name}' ({field.type})"
        for field in schema
        if any(is_of(field.type) for is_of in unreadable_types)
    ]
    if unreadable:
        raise ValueError(
            f"Spark can't read the type of {', '.join(unreadable)}; write such columns as text or numbers, "
            "or leave them out"
        )
