"""Setup of a machine: the virtual environment, its locked packages, Java and the jars.

The system's Python runs it with only its standard library. The syntax is that of Python 3.6, so that an old
Python reports in one message that it is too old.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Dict, Iterator, List, Optional, Sequence, TextIO, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUPPORTED = ((3, 11), (3, 12))
PREREQUISITE_MISSING = 3
INTERRUPTED = 130
LOG_LINES_SHOWN = 3


class SetupError(Exception):
    """Something that is missing on this machine, with the remedy."""


def main() -> int:
    """Set up the environment, and return the harness's exit code."""
    options = parse_arguments()
    try:
        require_python(options)
        environment = VirtualEnvironment(os.path.abspath(options.venv))
        with lock_checkout():
            set_up(environment, options)
    except SetupError as error:
        print("Setup: {}".format(error), file=sys.stderr)
        return PREREQUISITE_MISSING
    except OSError as error:
        print("Setup: {}.\n  Free some space or make the folder writable.".format(error), file=sys.stderr)
        return PREREQUISITE_MISSING
    except KeyboardInterrupt:
        print("\nSetup: interrupted. The next run continues from there.", file=sys.stderr)
        return INTERRUPTED
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Set up the virtual environment, Java and the jars.")
    parser.add_argument("--venv", required=True, help="folder of the virtual environment")
    parser.add_argument("--lock", required=True, action="append", help="lock file; may be repeated")
    parser.add_argument("--java-lock", help="lock file with a Java for machines without one")
    parser.add_argument("--search", action="store_true", help="search for a suitable Python")
    parser.add_argument("--verify", action="store_true", help="check Java and the jars in any case")
    return parser.parse_args()


# --- The system's Python ------------------------------------------------------------------------------------


def require_python(options: argparse.Namespace) -> None:
    """Require a Python that can create the environment; restart with another one if asked to."""
    if sys.version_info[:2] in SUPPORTED:
        require_venv()
        return
    if options.search:
        restart_with_supported_python()
    raise SetupError(
        "needs Python 3.11 or 3.12; {} is {}.\n"
        "  Install one (sudo apt-get install python3.11 python3.11-venv),\n"
        "  or specify one: make PYTHON=/path/to/python3.11 ...".format(
            sys.executable, version_text(sys.version_info)
        )
    )


def require_venv() -> None:
    """Require the standard modules that Debian and Ubuntu ship in a separate package."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        raise SetupError(
            "{} has no module '{}'.\n  sudo apt-get install {}".format(sys.executable, error.name, package)
        )


def restart_with_supported_python() -> None:
    """Restart with the first supported Python on the PATH, if there is one."""
    for version in SUPPORTED:
        name = "python{}.{}".format(*version)
        found = shutil.which(name)
        if found and has_version(found, version):
            shown = version_text(sys.version_info)
            print("Setup: python3 is {}; using {}.".format(shown, found), flush=True)
            arguments = [argument for argument in sys.argv if argument != "--search"]
            os.execv(found, [found, *arguments])  # noqa: S606 - no shell is wanted.


def has_version(python: str, version: Tuple[int, int]) -> bool:
    """Return whether this program runs and is that version, which is not certain for a shim."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    result = subprocess.run(
        [python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return result.stdout.decode().split() == [str(part) for part in version]


def version_text(version_info: Sequence[object]) -> str:
    """Return a version as text, such as 3.11.7."""
    return ".".join(str(part) for part in version_info[:3])


# --- The stages ---------------------------------------------------------------------------------------------


def set_up(environment: "VirtualEnvironment", options: argparse.Namespace) -> None:
    """Run every stage that is still missing; the stamps are written last."""
    started = time.time()
    digests = {lock: digest_of(lock) for lock in options.lock}
    stale = [lock for lock in options.lock if not environment.has_stamp(stamp_name(lock), digests[lock])]
    if not stale and not options.verify:
        return
    if stale:
        make_venv(environment)
    for lock in stale:
        install_lock(environment, lock)
        install_project(environment)
    provide_java(environment, options.java_lock)
    provide_jars(environment)
    for lock in stale:
        environment.write_stamp(stamp_name(lock), digests[lock])
    print("Setup: ready ({:.0f} s).".format(time.time() - started), flush=True)


def make_venv(environment: "VirtualEnvironment") -> None:
    """Create a virtual environment of this Python, unless it exists, works and has the same version."""
    if environment.works():
        return
    environment.refuse_foreign_folder()
    say("creating a virtual environment in {}".format(environment.shown))
    environment.forget()
    command = [sys.executable, "-m", "venv", "--clear", environment.folder]
    result = subprocess.run(
        command, env=clean_environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if result.returncode:
        output = last_lines(result.stdout.decode())
        raise SetupError("can't create a virtual environment in {}.\n{}".format(environment.shown, output))


def install_lock(environment: "VirtualEnvironment", lock: str) -> None:
    """Install the packages of a lock file, and check the hash of each."""
    with open(lock) as file:
        text = file.read()
    count = len(re.findall(r"^\S+==", text, re.MULTILINE))
    say("installing the {} packages of {} (about 0.6 GB to download, 1.5 GB on the disk)".format(count, lock))
    # Packages without a wheel (pyspark) are built with the locked setuptools instead of one that pip would
    # download without a check.
    builder = os.path.join(environment.folder, "build.lock")
    with open(builder, "w") as file:
        file.write(block_of("setuptools", text))
    hashed = ["--require-hashes", "--no-deps", "--use-pep517", "--no-build-isolation"]
    environment.pip([*hashed, "-r", builder])
    environment.pip([*hashed, "-r", lock], count)


def install_project(environment: "VirtualEnvironment") -> None:
    """Install this checkout, without network."""
    # 'compat' puts the checkout itself on the path, so that new modules are found.
    mode = ["--config-settings", "editable_mode=compat"]
    environment.pip(["--no-deps", "--no-build-isolation", "--no-index", *mode, "-e", ROOT])


def provide_java(environment: "VirtualEnvironment", java_lock: Optional[str]) -> None:
    """Install a Java 17 as a package if the machine has none and no setting names one."""
    if java_lock is None or os.environ.get("HARNESS_JAVA_HOME"):
        return
    if environment.run(["-m", "harness.runtime.setup", "java", "--quiet"]) != PREREQUISITE_MISSING:
        return
    say("no Java 17 found; installing the one of {} (40 MB)".format(java_lock))
    environment.pip(["--require-hashes", "--no-deps", "-r", java_lock])


def provide_jars(environment: "VirtualEnvironment") -> None:
    """Download the jars; the harness reports its own progress."""
    if environment.run(["-m", "harness.runtime.setup"]):
        raise SetupError("stopped. The next run continues from there.")


# --- The environment ----------------------------------------------------------------------------------------


class VirtualEnvironment:
    """The virtual environment with its Python, its stamps and its log."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.python = os.path.join(folder, "bin", "python")
        self.log = os.path.join(folder, "setup.log")
        self.shown = os.path.relpath(folder)

    def works(self) -> bool:
        """Return whether its Python runs, has pip, and has the version of this Python."""
        if not os.path.exists(self.python):
            return False
        command = [self.python, "-c", "import sys, pip; print(*sys.version_info[:3])"]
        result = subprocess.run(
            command, env=clean_environ(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        return result.stdout.decode().split() == [str(part) for part in sys.version_info[:3]]

    def refuse_foreign_folder(self) -> None:
        """Refuse a folder of other files, because creating the environment empties its folder."""
        if not os.path.isdir(self.folder) or not os.listdir(self.folder):
            return
        if not os.path.exists(os.path.join(self.folder, "pyvenv.cfg")):
            raise SetupError(
                "{} is not a virtual environment and is not empty.\n"
                "  Specify another folder: make VENV=.venv ...".format(self.shown)
            )

    def pip(self, arguments: List[str], count: Optional[int] = None) -> None:
        """Run 'pip install'; its output goes to the log, and its last lines into an error."""
        command = [
            self.python,
            "-m",
            "pip",
            "--no-input",
            "--disable-pip-version-check",
            "install",
            *arguments,
        ]
        with open(self.log, "a") as log:
            log.write("$ pip install {}\n".format(" ".join(arguments)))
            process = subprocess.Popen(
                command, env=clean_environ(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            lines = log_output(process, log, count)
        if process.returncode:
            raise SetupError(
                "pip could not install the packages; its complete output is in {}:\n{}\n"
                "  Check the network (or your pip.conf, or PIP_INDEX_URL), then try again: "
                "finished downloads are kept.".format(os.path.relpath(self.log), last_lines("".join(lines)))
            )

    def run(self, arguments: List[str]) -> int:
        """Run its Python in this checkout, and return the exit code."""
        return subprocess.run(
            [self.python, *arguments], env=clean_environ(), cwd=ROOT, check=False
        ).returncode

    def has_stamp(self, name: str, digest: str) -> bool:
        """Return whether a stage has finished with the same inputs."""
        try:
            with open(os.path.join(self.folder, name)) as file:
                return file.read() == digest
        except OSError:
            return False

    def write_stamp(self, name: str, digest: str) -> None:
        """Record that a stage has finished."""
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(digest)

    def forget(self) -> None:
        """Remove the stamps, before what they record is removed."""
        if not os.path.isdir(self.folder):
            return
        for name in os.listdir(self.folder):
            if name.startswith(".ready-"):
                os.remove(os.path.join(self.folder, name))


# --- Small parts --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lock_checkout() -> Iterator[None]:
    """Make other setups of this checkout wait until the block or the process ends."""
    import fcntl

    folder = os.open(ROOT, os.O_RDONLY)
    try:
        # Some network file systems have no locks; on those, two setups at once may interfere.
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def log_output(process: "subprocess.Popen[bytes]", log: TextIO, count: Optional[int]) -> List[str]:
    """Copy a process's output to the log, show a count of packages on a terminal, and return the lines."""
    lines = []
    packages = 0
    for raw in process.stdout or ():
        line = raw.decode("utf-8", "replace")
        lines.append(line)
        log.write(line)
        if line.startswith("Collecting ") and count and sys.stdout.isatty():
            packages += 1
            print("\r  {} of {}: {:<40}".format(packages, count, line.split()[1][:40]), end="", flush=True)
    process.wait()
    if packages:
        print("\r" + " " * 60, end="\r", flush=True)
    return lines


def digest_of(lock: str) -> str:
    """Return a digest of the inputs: the lock file, this Python and the project's metadata."""
    digest = hashlib.sha256("{}{}".format(version_text(sys.version_info), ROOT).encode())
    for path in (lock, os.path.join(ROOT, "pyproject.toml")):
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def stamp_name(lock: str) -> str:
    """Return the name of a stamp, such as .ready-run for requirements/run.lock."""
    return ".ready-" + os.path.splitext(os.path.basename(lock))[0]


def block_of(package: str, lock_text: str) -> str:
    """Return the lines of a lock file that pin one package and its hashes."""
    found = re.search(r"^{}==(?:.*\\\n)*.*\n".format(re.escape(package)), lock_text, re.MULTILINE)
    if found is None:
        raise SetupError("the lock file lacks {}. Write it again: make lock".format(package))
    return found.group()


def clean_environ() -> Dict[str, str]:
    """Return the variables for processes of the virtual environment, without any that name other packages."""
    ignored = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in ignored}
    kept["PYTHONUNBUFFERED"] = "1"  # Progress is read line by line.
    return kept


def last_lines(text: str) -> str:
    """Return the end of a process's output, indented."""
    return "\n".join("    " + line for line in text.strip().splitlines()[-LOG_LINES_SHOWN:])


def say(message: str) -> None:
    """Print one line per stage."""
    print("Setup: {}".format(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
