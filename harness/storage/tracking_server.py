"""MLflow servers, checked without MLflow, whose own client would retry for minutes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

from harness.errors import PrerequisiteError, format_first_line
from harness.storage.uris import hide_passwords, remove_password

if TYPE_CHECKING:
    from requests import Response

_TIMEOUT_S = 5.0
_REMEDY = "Start it, or set HARNESS_TRACKING_URI to one that is running."
_NO_MLFLOW_REMEDY = (
    "Set HARNESS_TRACKING_URI to the address of an MLflow server. If it requires a login, set "
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
)
_REFUSED = (401, 403)
_ANSWERS = {"experiment", "run", "error_code"}
"""Keys of MLflow's answers."""
_SERVER_ERROR = 500
_IN_WORDS = re.compile(r"\[Errno -?\d+\] ([\w ]+)|too many (\d+) error responses")
_EXPERIMENT, _RUN = (f"/api/2.0/mlflow/{name}" for name in ("experiments/get-by-name", "runs/get"))


def is_server(uri: str) -> bool:
    """Return whether a tracking URI is the address of a server."""
    return uri.startswith(("http://", "https://"))


def find_experiment(uri: str, experiment: str, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """Ask an MLflow server for an experiment, once, and return it; empty if it is unknown or kept secret.

    Args:
        uri: Address of the server.
        experiment: Name of the experiment.
        timeout_s: How long to wait for an answer.

    Raises:
        PrerequisiteError: The server doesn't answer, returns a server error, or isn't an MLflow server.
    """
    return _ask(uri, _EXPERIMENT, {"experiment_name": experiment}, timeout_s).get("experiment") or {}


def find_run(uri: str, run_id: str, timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """Ask an MLflow server for a run, once, and return its ``info``; empty if it is unknown or kept secret.

    Args:
        uri: Address of the server.
        run_id: MLflow's id of the run.
        timeout_s: How long to wait for an answer.

    Raises:
        PrerequisiteError: The server doesn't answer, returns a server error, or isn't an MLflow server.
    """
    run = _ask(uri, _RUN, {"run_id": run_id}, timeout_s).get("run") or {}
    return run.get("info") or {}


def _ask(uri: str, path: str, parameters: dict[str, str], timeout_s: float) -> dict[str, Any]:
    """Return the content of an answer; empty if it is a refusal."""
    import requests

    try:
        answer = requests.get(
            f"{uri.rstrip('/')}{path}",
            params=parameters,
            timeout=timeout_s,
            # MLflow's client would follow it to a login page.
            allow_redirects=False,
            **_read_access(),
        )
    except requests.RequestException as error:
        _raise_request_error(uri, error)
    return _read_answer(uri, answer)


def make_unanswered_error(uri: str, reason: str) -> PrerequisiteError:
    """Return the error for a server that doesn't answer."""
    return PrerequisiteError(f"MLflow at {remove_password(uri)} doesn't answer: {reason}.", remedy=_REMEDY)


def describe_request_error(error: BaseException) -> str:
    """Describe in a few words why a request got no answer."""
    import requests

    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "the request timed out"
    found = _IN_WORDS.search(str(error))
    if found is not None:
        return found[1] or f"it returns the server error {found[2]}"
    causes = (str(each.args[-1]) for each in list_chain(error) if isinstance(each, OSError) and each.args)
    return next(reversed([*causes]), format_first_line(error)).partition("\n")[0].rstrip(".")


def list_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that led to it, also those that a library passes on as an argument."""
    while error is not None:
        yield error
        passed_on = (each for each in error.args if isinstance(each, BaseException))
        error = error.__cause__ or error.__context__ or next(passed_on, None)


def _raise_request_error(uri: str, error: Exception) -> NoReturn:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        raise PrerequisiteError(
            f"The certificate of MLflow at {remove_password(uri)} is not trusted: {format_first_line(error)}",
            remedy="Set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of the authority that signed it.",
        ) from error
    chain = list(list_chain(error))
    speaks_otherwise = any(
        isinstance(each, BadStatusLine) and not isinstance(each, RemoteDisconnected) for each in chain
    )
    if speaks_otherwise or not isinstance(error, requests.ConnectionError | requests.Timeout):
        raise _make_other_error(uri, f"{format_first_line(chain[-1])}") from error
    raise make_unanswered_error(uri, describe_request_error(error)) from error


def _read_answer(uri: str, answer: Response) -> dict[str, Any]:
    """Return the content of an answer; empty if it is a refusal."""
    if answer.status_code >= _SERVER_ERROR:
        status = f"{answer.status_code} {answer.reason}"
        raise PrerequisiteError(
            f"MLflow at {remove_password(uri)} returned a server error: {status}.",
            remedy="Its log has the cause. Repair it, or set HARNESS_TRACKING_URI to another one.",
        )
    if answer.is_redirect:
        # A query can contain a token.
        location = urlunsplit(urlsplit(answer.headers["location"])._replace(query="", fragment=""))
        raise _make_other_error(uri, f"it redirects to {remove_password(location)}")
    content = _read_json(answer)
    if content is not None and not _ANSWERS.isdisjoint(content):
        return content
    if answer.status_code in _REFUSED:
        return {}  # Only MLflow has every kind of login.
    kind = answer.headers.get("content-type", "no content").partition(";")[0]
    raise _make_other_error(uri, f"it answers {answer.status_code} with {kind}")


def _read_json(answer: Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _make_other_error(uri: str, reason: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"This is not an MLflow server: {remove_password(uri)} ({hide_passwords(reason)}).",
        remedy=_NO_MLFLOW_REMEDY,
    )


def _read_access() -> dict[str, Any]:
    """Return the login and the certificates that MLflow's variables name, as it would use them."""
    user, password, token, authority, client, insecure = (
        os.environ.get(f"MLFLOW_TRACKING_{name}", "")
        for name in (
            *("USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH", "CLIENT_CERT_PATH", "INSECURE_TLS"),
        )
    )
    access: dict[str, Any] = {}
    if user and password:
        access["auth"] = (user, password)
    elif token:
        access["headers"] = {"Authorization": f"Bearer {token}"}
    if insecure.lower() in ("true", "1"):
        access["verify"] = False
    elif authority:
        access["verify"] = authority
    if client:
        access["cert"] = client
    return access
