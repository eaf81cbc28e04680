"""The environment variables and the packages of the processes that the harness starts."""

from __future__ import annotations

import pwd
import site
import sys
import tempfile
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.runtime import process_environment as module
from harness.runtime.jars import find_pyspark_home
from harness.runtime.process_environment import (
    find_temp_folder,
    make_process_environment,
    name_user,
    without_python_path,
)


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS"),
        *("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "PYSPARK_SUBMIT_ARGS", "PYSPARK_PYTHON"),
        *("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_REMOTE", "SPARK_LOCAL_DIRS", "HADOOP_CONF_DIR", "CLASSPATH"),
        *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"),
        *("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "LC_NUMERIC", "LANG", "LD_PRELOAD"),
        *("MPLBACKEND", "A_VARIABLE_OF_TOMORROW"),
    ],
)
def test_other_variables_do_not_reach_the_job(name: str) -> None:
    """Variables that are not on the list don't reach the job, whatever they are."""
    assert "other" != make_process_environment({name: "other"}).get(name)


def test_what_a_job_needs_reaches_it() -> None:
    """Programs, home, proxy, certificates, credentials and the harness's own variables reach the job."""
    needed = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "https_proxy": "http://proxy:3128",
        "SSL_CERT_FILE": "/ca.pem",
        "AZURE_CLIENT_SECRET": "x",
        "MLFLOW_TRACKING_TOKEN": "y",
        "HARNESS_HOME": "/data",
    }
    assert needed == {name: make_process_environment(needed)[name] for name in needed}


def test_named_variables_reach_the_job() -> None:
    """A variable that the settings name reaches the job."""
    assert "7" == make_process_environment({"LAKE_KEY": "7"}, named=["LAKE_KEY"])["LAKE_KEY"]


@pytest.mark.parametrize("language", ["ar_EG.UTF-8", "fa_IR", "tr_TR.ISO-8859-9", "C"])
def test_the_locale_is_always_the_same(language: str) -> None:
    """Locale, encoding and time zone of the job don't depend on those of the terminal."""
    made = make_process_environment({"LC_ALL": language, "TZ": "Asia/Tehran", "PYTHONUTF8": "0"})
    assert ("C.UTF-8", "UTC", "1") == (made["LC_ALL"], made["TZ"], made["PYTHONUTF8"])


def test_a_harness_that_is_not_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the folder of a harness that is not installed is on the job's Python path."""
    root = Path(module.__file__).parents[2]
    assert str(root) == make_process_environment({"PYTHONPATH": "/other"})["PYTHONPATH"]
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(root)])
    assert "PYTHONPATH" not in make_process_environment({"PYTHONPATH": "/other"})


def test_the_installed_pyspark_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's pyspark is the installed one, even if another one is on this process's path."""
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_pyspark_home().parent in [Path(each) for each in site.getsitepackages()]


def test_a_missing_temp_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no folder for temporary files can be written, the message names TMPDIR."""

    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(PrerequisiteError, match=r"can be written: No usable .*'/tmp'.*\n  Set TMPDIR"):
        find_temp_folder()


def test_a_user_without_a_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in /etc/passwd is reported with the id."""

    def fail(user: int) -> pwd.struct_passwd:
        raise KeyError(user)

    assert name_user()
    monkeypatch.setattr(pwd, "getpwuid", fail)
    with pytest.raises(PrerequisiteError, match=r"The user with the id \d+ has no name(.|\n)*/etc/passwd"):
        name_user()


def test_a_tool_sees_no_other_modules() -> None:
    """A Python tool keeps this machine's variables, but finds no modules by a path or the current folder."""
    made = without_python_path({"PYTHONPATH": "/other", "MLFLOW_SERVER_ALLOWED_HOSTS": "*"})
    assert {"MLFLOW_SERVER_ALLOWED_HOSTS": "*", "PYTHONSAFEPATH": "1"} == made
