"""Spark's resolver of Maven coordinates, run in a separate process."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import PrerequisiteError, UsageError
from harness.runtime import truststore
from harness.runtime.java import Java
from harness.runtime.jvm import OPTIONS_VARIABLE, split_options
from harness.runtime.process_environment import make_process_environment

_logger = logging.getLogger(__name__)

IVY_VARIABLE = "HARNESS_IVY_SETTINGS"
DEADLINE_S = 1800

_REMEDY = (
    "Check the network (HTTPS_PROXY, SSL_CERT_FILE), or set "
    f"{IVY_VARIABLE} to the Ivy settings file of a mirror, then try again: finished downloads are kept."
)
_DECISIVE = re.compile(r"unresolved dependency|not found|Server access|Exception|Error|ERROR|failed")
_DECISIVE_LINES = 6


@dataclass(frozen=True)
class Request:
    """Coordinates to resolve, and everything that is needed for it."""

    coordinates: tuple[str, ...]
    excluded: tuple[str, ...]
    """Dependencies that are not downloaded, as ``group:artifact``."""
    java: Java
    spark_home: Path
    work: Path
    """Folder of the resolver, which keeps its downloads there."""
    log: Path
    environ: Mapping[str, str]


def resolve(request: Request) -> tuple[Path, ...]:
    """Return the jar files of the coordinates and of their dependencies.

    Raises:
        PrerequisiteError: The resolver failed or took too long; the message has its decisive lines.
        UsageError: The Ivy settings file does not exist.
    """
    application = request.work / "nothing.py"
    application.write_text('"""Does nothing: the resolver has finished before this runs."""\n')
    process = _start(request, [*_build_command(request), str(application)])
    code = _wait(process, request)
    jars = tuple(sorted((request.work / "ivy" / "jars").glob("*.jar")))
    if code != 0 or not jars:
        raise _make_failure(f"Spark's resolver failed to download the jars (exit code {code}).", request.log)
    return jars


def _build_command(request: Request) -> list[str]:
    options = (
        *truststore.trust_options(request.environ, request.work / "truststore.p12"),
        *list_proxy_options(request.environ),
        *split_options(request.environ.get(OPTIONS_VARIABLE, "")),
    )
    return [
        str(request.spark_home / "bin" / "spark-submit"),
        *("--master", "local[1]"),
        *("--packages", ",".join(request.coordinates)),
        *("--exclude-packages", ",".join(request.excluded)),
        *("--conf", f"spark.jars.ivy={request.work / 'ivy'}"),
        *_list_ivy_options(request.environ),
        *("--driver-java-options", " ".join(f'"{option}"' for option in options)),
    ]


def _list_ivy_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    named = environ.get(IVY_VARIABLE)
    if not named:
        return ()
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        message = f"{IVY_VARIABLE} is {path}, which is not a file."
        raise UsageError(message, remedy=f"Correct or unset {IVY_VARIABLE}.")
    return ("--conf", f"spark.jars.ivySettings={path}")


def list_proxy_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return HTTPS_PROXY and NO_PROXY as options of Java."""
    named = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    proxy = urlsplit(named if "://" in named else f"//{named}") if named else None
    if proxy is None or proxy.hostname is None:
        return ()
    options = (f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 3128}")
    named = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    excepted = [host.strip() for host in named.split(",") if host.strip()]
    if not excepted:
        return options
    patterns = (f"*{host}" if host.startswith(".") else host for host in excepted)
    # Java has one list of exceptions for both protocols, named after HTTP.
    return (*options, f"-Dhttp.nonProxyHosts={'|'.join(patterns)}")


def _start(request: Request, command: list[str]) -> subprocess.Popen[bytes]:
    _logger.debug("starting the jar resolver: %s (log: %s)", shlex.join(command), request.log)
    with request.log.open("wb") as log, _translate_start_error(command[0]):
        return subprocess.Popen(
            command,
            env=_make_environ(request),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A separate process group, so that the JVM and its children can be ended together.
            start_new_session=True,
        )


@contextmanager
def _translate_start_error(program: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"Can't start Spark's resolver, {program}: {error.strerror or error}."
        raise PrerequisiteError(
            message, remedy="Remove the virtual environment, then run 'make setup'."
        ) from error


def _make_environ(request: Request) -> dict[str, str]:
    return make_process_environment(request.environ) | {
        "JAVA_HOME": str(request.java.home),
        "SPARK_HOME": str(request.spark_home),
        "PYSPARK_PYTHON": sys.executable,
    }


def _wait(process: subprocess.Popen[bytes], request: Request) -> int:
    try:
        exit_code = process.wait(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise _make_failure(f"Spark's resolver didn't finish within {DEADLINE_S} s.", request.log) from None
    finally:
        _end(process)
    _logger.debug("the jar resolver ended with exit code %d", exit_code)
    return exit_code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children if they are still running."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _make_failure(message: str, log: Path) -> PrerequisiteError:
    shown = "\n".join(f"    {line}" for line in select_decisive_lines(log.read_text(errors="replace")))
    return PrerequisiteError(f"{message} Its complete output is in {log}:\n{shown}", remedy=_REMEDY)


def select_decisive_lines(output: str) -> tuple[str, ...]:
    """Return the lines of a resolver's output that explain its failure, or else its last lines."""
    lines = [line.strip(" \t:") for line in output.splitlines()]
    stripped = [line for line in lines if line and not line.startswith("at ")]
    decisive = list(dict.fromkeys(line for line in stripped if _DECISIVE.search(line)))
    return tuple(decisive[:_DECISIVE_LINES] or stripped[-_DECISIVE_LINES:])
