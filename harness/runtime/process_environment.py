"""The environment variables of the processes that the harness starts on this machine, and their Python path.

A job must see the harness and its dependencies only: another Spark's settings, a Python path or the locale of
the terminal could change its results or break it. So only the variables on a list are passed on.
"""

from __future__ import annotations

import os
import site
import tempfile
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from harness.errors import PrerequisiteError

JAVA_OPTION_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
"""Variables from which every Java takes options; one that is meant for another program can break a job."""

_PASSED = frozenset(
    {
        # The user and the machine.
        *("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        # The network.
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        # Access to a tracking server, but not which one: that is a setting.
        *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
        *("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_INSECURE_TLS"),
        *("MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    }
)
_PASSED_PREFIXES = (
    # Credentials for storage, and the harness's own settings.
    *("AWS_", "AZURE_", "DATABRICKS_", "GOOGLE_", "HARNESS_"),
    *("MLFLOW_HTTP_REQUEST_", "MLFLOW_S3_", "MLFLOW_GCS_"),
)
_FIXED = {
    # The same everywhere, as in the containers: file names are UTF-8, and numbers have ASCII digits.
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    # The current folder is not on the Python path, not even in the Python workers that Spark starts.
    "PYTHONSAFEPATH": "1",
}


def make_process_environment(
    environ: Mapping[str, str], *, named: Iterable[str] = (), temp_folder: str | None = None
) -> dict[str, str]:
    """Return the environment variables for a process that the harness starts.

    Args:
        environ: Environment variables of this process.
        named: Further variables to pass.
        temp_folder: Folder for temporary files (default: Python's own choice).
    """
    allowed = _PASSED | frozenset(named)
    passed = {
        name: value for name, value in environ.items() if name in allowed or name.startswith(_PASSED_PREFIXES)
    }
    made = {**passed, **_FIXED, "TMPDIR": temp_folder or find_temp_folder()}
    if not site.ENABLE_USER_SITE:
        made["PYTHONNOUSERSITE"] = "1"
    if (folder := _find_uninstalled_folder()) is not None:
        made["PYTHONPATH"] = str(folder)
    return made


def without_python_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables for a Python tool that needs this machine's, but no other modules."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS")
    kept = {name: value for name, value in environ.items() if name not in dropped}
    return {**kept, "PYTHONSAFEPATH": "1"}


def find_temp_folder() -> str:
    """Return the folder for temporary files: ``TMPDIR`` if it can be written, else the system's.

    Raises:
        PrerequisiteError: None can be written.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise PrerequisiteError(
            f"No folder for temporary files can be written: {error.strerror or error}.",
            remedy="Set TMPDIR to a writable folder.",
        ) from error


def find_package(name: str) -> ModuleSpec | None:
    """Return the package that a job's process imports, even if this process would import another one.

    A ``pyspark`` shell, for example, has its own pyspark on the Python path.
    """
    uninstalled = _find_uninstalled_folder()
    folders = [*([str(uninstalled)] if uninstalled else []), *_list_site_folders()]
    return PathFinder.find_spec(name, folders) or find_spec(name)


def name_user() -> str:
    """Return the name of the user that owns this process.

    Raises:
        PrerequisiteError: The user has no name, without which Hadoop doesn't start.
    """
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise PrerequisiteError(
            f"The user with the id {os.getuid()} has no name; Spark can't run without one.",
            remedy="Add the user to /etc/passwd, or start the container with a user of its image (--user).",
        ) from error


def _list_site_folders() -> list[str]:
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*own, *site.getsitepackages()]


def _find_uninstalled_folder() -> Path | None:
    """Return the folder that this harness is imported from, unless Python searches it in any case."""
    folder = Path(__file__).resolve().parents[2]
    return None if folder in {Path(each).resolve() for each in _list_site_folders()} else folder
