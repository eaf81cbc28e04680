"""The cache of the jars, and the messages if they can't be downloaded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError, UsageError
from harness.runtime import jars
from harness.runtime.jars import JarCache
from harness.runtime.java import Java
from harness.runtime.resolver import list_proxy_options, select_decisive_lines

JARS = {"a_one-1.jar": b"first", "b_two-2.jar": b"second"}
FETCHES_ALL = "printf first > $ivy/jars/a_one-1.jar; printf second > $ivy/jars/b_two-2.jar"


@dataclass(frozen=True)
class Machine:
    """A machine with its own cache and a script instead of Spark's resolver."""

    folder: Path

    @property
    def cache(self) -> JarCache:
        """Cache under test."""
        return JarCache(
            self.folder / "cache",
            lock=self.folder / "jars.lock",
            spark_home=self.folder,
            environ=self.environ,
        )

    @property
    def environ(self) -> dict[str, str]:
        """Minimal environment for a shell script."""
        return {"PATH": "/usr/bin:/bin"}

    @property
    def calls(self) -> list[str]:
        """Command line of each start of the resolver."""
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def resolver_does(self, script: str) -> None:
        """Install a script as spark-submit; $ivy is the resolver's folder."""
        program = self.folder / "bin" / "spark-submit"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {self.folder}/calls\n'
            'for word in "$@"; do case $word in spark.jars.ivy=*) ivy=${word#*=};; esac; done\n'
            f"mkdir -p $ivy/jars\n{script}\n"
        )
        program.chmod(0o755)

    def fetch(self, cache: JarCache | None = None) -> tuple[Path, ...]:
        """Return the class path."""
        return (cache or self.cache).load_class_path(Java(self.folder, "17.0.1", "test"), lambda _: None)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with a lock file of two jars and a resolver that downloads both."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in JARS.items()}
    (tmp_path / "jars.lock").write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    machine = Machine(tmp_path)
    machine.resolver_does(FETCHES_ALL)
    return machine


def test_jars_are_downloaded(machine: Machine) -> None:
    """The class path has the jars of the lock file, in its order, with their contents."""
    assert {path.name: path.read_bytes() for path in machine.fetch()} == JARS


def test_cached_jars_need_no_process(machine: Machine) -> None:
    """If the jars are cached, no process is started."""
    machine.fetch()
    machine.fetch()

    assert len(machine.calls) == 1


def test_only_jars_and_log_remain(machine: Machine) -> None:
    """The cache folder has only the jars; the log stays next to it, the downloads don't."""
    machine.fetch()

    assert sorted(path.name for path in machine.cache.folder.iterdir()) == sorted(JARS)
    assert machine.cache.log.is_file()
    assert not list(machine.cache.folder.parent.glob("*.partial"))


def test_a_missing_cached_jar_is_downloaded_again(machine: Machine) -> None:
    """A jar that was removed from the cache is downloaded again."""
    machine.fetch()[0].unlink()

    assert {path.name: path.read_bytes() for path in machine.fetch()} == JARS


def test_a_wrong_digest_is_refused(machine: Machine) -> None:
    """A jar with a wrong digest is refused by its name, and the download is removed."""
    machine.resolver_does(FETCHES_ALL.replace("printf second", "printf forged"))

    with pytest.raises(PrerequisiteError, match=r"b_two-2\.jar has SHA-256 \w{64}, the lock file has"):
        machine.fetch()

    assert not machine.cache.folder.exists()
    assert not list(machine.cache.folder.parent.glob("*.partial"))


def test_a_missing_jar_is_refused(machine: Machine) -> None:
    """A download that lacks a jar is refused."""
    machine.resolver_does("printf first > $ivy/jars/a_one-1.jar")

    with pytest.raises(PrerequisiteError, match=r"b_two-2\.jar is missing"):
        machine.fetch()


def test_an_unknown_jar_is_refused(machine: Machine) -> None:
    """A jar that is not in the lock file is refused."""
    machine.resolver_does(f"{FETCHES_ALL}; printf x > $ivy/jars/stranger.jar")

    with pytest.raises(PrerequisiteError, match=r"stranger\.jar is not in the lock"):
        machine.fetch()


def test_a_failed_download_is_explained(machine: Machine) -> None:
    """A failed download shows the resolver's decisive line and the path of its log."""
    machine.resolver_does("echo 'Server access error at url X (No route to host)'; exit 1")

    with pytest.raises(PrerequisiteError) as caught:
        machine.fetch()

    assert "Server access error at url X (No route to host)" in str(caught.value)
    assert str(machine.cache.log) in str(caught.value)


def test_a_failed_download_is_continued(machine: Machine) -> None:
    """Jars that were downloaded before a failure are used by the next try."""
    machine.resolver_does("printf first > $ivy/jars/a_one-1.jar; exit 1")
    with pytest.raises(PrerequisiteError):
        machine.fetch()
    machine.resolver_does("printf second > $ivy/jars/b_two-2.jar")

    assert {path.name: path.read_bytes() for path in machine.fetch()} == JARS


def test_two_processes_download_once(machine: Machine) -> None:
    """Of two processes that need the jars at once, one downloads them and both get them."""
    machine.resolver_does(f"sleep 0.5; {FETCHES_ALL}")
    code = (
        "import sys; from pathlib import Path; from harness.runtime.jars import JarCache;"
        "from harness.runtime.java import Java; root = Path(sys.argv[1]);"
        "cache = JarCache(root / 'cache', root / 'jars.lock', root);"
        "print(len(cache.load_class_path(Java(root, '17', 'test'), lambda _: None)))"
    )
    command = [sys.executable, "-c", code, str(machine.folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    assert [process.communicate()[0] for process in processes] == ["2\n", "2\n"]
    assert len(machine.calls) == 1


def test_an_unwritable_cache_is_reported(machine: Machine) -> None:
    """A cache that can't be written is reported with the setting to change."""
    (machine.folder / "cache").write_text("a file")

    with pytest.raises(PrerequisiteError, match="HARNESS_CACHE"):
        machine.fetch()


def test_a_missing_resolver_is_reported(machine: Machine) -> None:
    """A missing resolver is an error with a message."""
    (machine.folder / "bin" / "spark-submit").unlink()

    with pytest.raises(PrerequisiteError, match="spark-submit"):
        machine.fetch()


def test_a_mirror_is_used(machine: Machine) -> None:
    """The Ivy settings of a mirror reach the resolver."""
    settings = machine.folder / "ivy.xml"
    settings.write_text("<ivysettings/>")
    environ = machine.environ | {"HARNESS_IVY_SETTINGS": str(settings)}

    machine.fetch(JarCache(machine.folder / "cache", machine.folder / "jars.lock", machine.folder, environ))

    assert f"spark.jars.ivySettings={settings}" in machine.calls[0]


def test_a_missing_ivy_settings_file_is_refused(machine: Machine) -> None:
    """A missing file of Ivy settings is refused with the name of its setting."""
    environ = machine.environ | {"HARNESS_IVY_SETTINGS": "/nonexistent/ivy.xml"}

    with pytest.raises(UsageError, match="HARNESS_IVY_SETTINGS is /nonexistent"):
        machine.fetch(
            JarCache(machine.folder / "cache", machine.folder / "jars.lock", machine.folder, environ)
        )


@pytest.mark.parametrize("value", ["http://proxy.example:8080", "proxy.example:8080"])
def test_a_proxy_reaches_java(value: str) -> None:
    """A proxy reaches Java, with or without a scheme."""
    assert list_proxy_options({"HTTPS_PROXY": value}) == (
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=8080",
    )


def test_proxy_exceptions_reach_java() -> None:
    """Hosts without proxy reach Java in Java's own syntax."""
    environ = {"https_proxy": "http://proxy:1", "no_proxy": "localhost, .internal"}

    assert list_proxy_options(environ)[-1] == "-Dhttp.nonProxyHosts=localhost|*.internal"


def test_without_a_proxy_there_are_no_options() -> None:
    """Without a proxy, Java gets no options."""
    assert list_proxy_options({}) == ()


def test_decisive_lines_are_shown() -> None:
    """Only those lines of a long output that explain the failure are shown, each once."""
    output = (
        "loading\n\t:: unresolved dependency: a#b;1: not found\n" * 2 + "\tat java.lang.Thread.run\ndone\n"
    )

    assert select_decisive_lines(output) == ("unresolved dependency: a#b;1: not found",)


def test_the_last_lines_are_shown_if_none_is_decisive() -> None:
    """If no line of an output explains the failure, its last lines are shown."""
    assert select_decisive_lines("one\ntwo\n") == ("one", "two")


def test_the_lock_matches_the_packages() -> None:
    """The lock file has Delta and SynapseML in the versions of the installed packages."""
    names = [jar.name for jar in jars.read_lock(jars.LOCK)]

    for coordinate in jars.list_coordinates():
        assert f"{'_'.join(coordinate.split(':')[:2])}-{coordinate.split(':')[2]}.jar" in names
