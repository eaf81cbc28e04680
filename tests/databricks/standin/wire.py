"""Requests and answers of the published API, all checked with the SDK's own classes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Protocol, Union, get_args, get_origin, get_type_hints

from starlette.responses import JSONResponse, Response

ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_SCALARS: Mapping[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (float, int), bool: (bool,)}


class ApiError(Exception):
    """An error as the API returns it: https://docs.databricks.com/api/workspace/introduction."""

    def __init__(self, status: int, code: str | int, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason

    def response(self) -> Response:
        """Return the body and the status."""
        body: dict[str, Any] = {"error_code": self.code, "message": self.message}
        if self.reason is not None:
            body["details"] = [{"@type": ERROR_INFO, "reason": self.reason, "domain": "filesystem"}]
        return JSONResponse(body, self.status)


def invalid(message: str) -> ApiError:
    """Return the error for an invalid request."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> ApiError:
    """Return the error for something that does not exist."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


class Published(Protocol):
    """One of the SDK's classes."""

    def as_dict(self) -> dict[str, Any]:
        """Return the document as it is sent."""


@dataclass(frozen=True)
class Call:
    """A request that has been read completely."""

    path: str
    parts: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def query_arguments(self, method: Callable[..., Any]) -> dict[str, Any]:
        """Return the query as arguments of the SDK's method that sends it.

        Raises:
            ApiError: The method has no such argument, or one of another type.
        """
        hints = _hints(method)
        sent: dict[str, Any] = {}
        for name, text in self.query:
            field, _, inner = name.partition(".")
            if inner:
                sent.setdefault(field, {}).setdefault(inner, []).append(text)
            else:
                sent[field] = _from_text(hints.get(field), text)
        return accept(method, sent)

    def body_arguments(self, method: Callable[..., Any]) -> dict[str, Any]:
        """Return the body as arguments of the SDK's method that sends it.

        Raises:
            ApiError: The method has no such argument, one of another type, or needs another one.
        """
        try:
            sent = json.loads(self.body)
        except ValueError as error:
            raise ApiError(400, "MALFORMED_REQUEST", "Could not parse request object: no JSON") from error
        if not isinstance(sent, dict):
            raise ApiError(400, "MALFORMED_REQUEST", "Could not parse request object: no JSON object")
        return accept(method, sent)


def accept(method: Callable[..., Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as arguments of the SDK's method that sends it."""
    hints = _hints(method)
    for name in sent:
        if name not in hints:
            raise invalid(f"Unknown field '{name}' in request {method.__qualname__}")
    for parameter in inspect.signature(method).parameters.values():
        name = parameter.name
        if parameter.default is inspect.Parameter.empty and name != "self" and sent.get(name) is None:
            raise invalid(f"Missing required field: {name}")
    return {name: _read(hints[name], value, name) for name, value in sent.items()}


def answer(body: Published | None = None, status: int = 200) -> Response:
    """Return an answer after checking that the SDK reads it without loss."""
    if body is None:
        return JSONResponse({}, status)
    sent = body.as_dict()
    _read(type(body), sent, type(body).__name__)
    return JSONResponse(sent, status)


@cache
def _hints(method: Any) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(method).items() if name != "return"}


def _from_text(hint: Any, text: str) -> Any:
    wanted = _plain(hint)
    if wanted is bool:
        return {"true": True, "false": False}.get(text, text)
    return int(text) if wanted is int and text.lstrip("-").isdigit() else text


def _plain(hint: Any) -> Any:
    """Return a type without its None."""
    if get_origin(hint) is Union:
        return next(each for each in get_args(hint) if each is not type(None))
    return hint


def _read(hint: Any, value: Any, where: str) -> Any:
    """Read a value by its type; an object must survive the SDK's own conversion unchanged."""
    wanted = _plain(hint)
    if get_origin(wanted) is list:
        return [
            _read(get_args(wanted)[0], each, f"{where}[{n}]")
            for n, each in enumerate(_require_type(list, value, where))
        ]
    if get_origin(wanted) is dict:
        inner = get_args(wanted)[1]
        return {
            key: _read(inner, each, f"{where}.{key}")
            for key, each in _require_type(dict, value, where).items()
        }
    if not isinstance(wanted, type):
        return value
    if issubclass(wanted, Enum):
        return _read_name(wanted, value, where)
    if is_dataclass(wanted):
        return _read_object(wanted, value, where)
    if not isinstance(value, _SCALARS[wanted]) or (wanted is not bool and isinstance(value, bool)):
        raise invalid(f"Field '{where}' is not of type {wanted.__name__}: {value!r}")
    return value


def _require_type(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise invalid(f"Field '{where}' is not of type {kind.__name__}: {value!r}")
    return value


def _read_name(wanted: type[Enum], value: Any, where: str) -> Enum:
    try:
        return wanted(value)
    except ValueError as error:
        names = ", ".join(str(each.value) for each in wanted)
        raise invalid(f"Field '{where}' is {value!r}, which is none of {names}") from error


def _read_object(wanted: Any, value: Any, where: str) -> Any:
    parsed = value
    if not isinstance(value, wanted):
        try:
            parsed = wanted.from_dict(_require_type(dict, value, where))
            again = parsed.as_dict()
        except (AttributeError, TypeError, ValueError) as error:
            raise invalid(f"Field '{where}' can't be read: {error}") from error
        for field in _differences(value, again, where):
            raise invalid(f"Unknown field or value: '{field}'")
    for each in fields(wanted):
        inner = getattr(parsed, each.name)
        if inner is not None:
            _read(_hints(wanted)[each.name], inner, f"{where}.{each.name}")
        elif each.default is MISSING:
            raise invalid(f"Missing required field: {where}.{each.name}")
    return parsed


def _differences(sent: Any, again: Any, where: str) -> Iterable[str]:
    """Yield the paths at which two documents differ; empty values may be left out."""
    if isinstance(sent, dict) and isinstance(again, dict):
        for key in sent.keys() | again.keys():
            one, other = sent.get(key), again.get(key)
            if one not in (None, [], {}) or other not in (None, [], {}):
                yield from _differences(one, other, f"{where}.{key}")
    elif isinstance(sent, list) and isinstance(again, list) and len(sent) == len(again):
        for number, (one, other) in enumerate(zip(sent, again, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif sent != again:
        yield where
