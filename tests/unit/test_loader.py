"""The loading of scenarios; those in tests/unit/bad have the messages that they expect."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, HarnessError, ScenarioError, UsageError
from harness.files import sha256_of
from harness.loading.loader import find_scenario, load_scenario

BAD = Path(__file__).parent / "bad"
GOOD = Path(__file__).parents[2] / "scenarios" / "three_versions.yaml"
FILES = sorted(BAD.glob("*.yaml"))
_MARK = "# expect: "
_ATTEMPTS = 4


def _expected(file: Path) -> str:
    """Return the output that ``# expect: LINE: MESSAGE`` comments expect, with ``-`` for no line."""
    expected = []
    for text in _lines(file):
        if text.startswith(_MARK):
            line, _, message = text.rstrip("\n").removeprefix(_MARK).partition(": ")
            location = f"{file}" if line == "-" else f"{file}:{line}"
            expected.append(f"{location}: {message}".replace("{folder}", str(BAD)))
    return "\n".join(expected)


def _lines(file: Path) -> list[str]:
    # Some files are not UTF-8, on purpose.
    return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)


def _update(file: Path) -> None:
    """Rewrite the expectations of a bad file, in place, from what ``harness check`` reports now."""
    for _ in range(_ATTEMPTS):
        output = CliRunner().invoke(app, ["check", str(file)]).stderr
        if output == _expected(file) + "\n":
            return
        lines = _lines(file)
        expectations = [index for index, text in enumerate(lines) if text.startswith(_MARK)]
        first = expectations[0] if expectations else 0
        rest = [text for index, text in enumerate(lines) if index not in expectations]
        comments = [f"{_MARK}{_comment(text, file)}\n" for text in output.splitlines()]
        if len(comments) == len(expectations):
            for index, comment in zip(expectations, comments, strict=True):
                lines[index] = comment
        else:
            # The number of lines changes, and with it those that messages name: see the next attempt.
            lines = [*rest[:first], *comments, *rest[first:]]
        file.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def _comment(output: str, file: Path) -> str:
    location, _, message = output.removeprefix(str(file)).partition(": ")
    return f"{location.removeprefix(':') or '-'}: {message}".replace(str(BAD), "{folder}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_mistake_is_reported_with_its_file_and_line(file: Path, request: pytest.FixtureRequest) -> None:
    """Each bad file leads to the messages that it expects, to nothing else, and to exit code 2.

    ``pytest tests/unit/test_loader.py --update`` rewrites the expectations; review them with ``git diff``.
    """
    if request.config.getoption("--update"):
        _update(file)
    outcome = CliRunner().invoke(app, ["check", str(file)])
    assert (ExitCode.WRONG_INPUT, _expected(file) + "\n") == (outcome.exit_code, outcome.stderr)


def test_update_rewrites_an_expectation_in_place(tmp_path: Path) -> None:
    """With ``--update``, outdated, missing and surplus expectations of a file become today's messages."""
    file = tmp_path / "bad.yaml"
    text = (BAD / "at_unknown.yaml").read_text(encoding="utf-8").replace("data/", f"{BAD}/data/")
    body = text.partition("\n")[2]
    for comments in (f"{_MARK}3: outdated\n", "", f"{_MARK}1: outdated\n" * 2):
        file.write_text(comments + body, encoding="utf-8")
        _update(file)
        assert [line.startswith(_MARK) for line in _lines(file)].count(True) == 1
        assert "outdated" not in file.read_text(encoding="utf-8")
        assert CliRunner().invoke(app, ["check", str(file)]).stderr == _expected(file) + "\n"


def test_every_bad_file_expects_a_message() -> None:
    """Every file in the folder of bad scenarios expects at least one message."""
    assert [file.name for file in FILES if not _expected(file)] == []


def test_a_good_scenario_is_loaded_with_its_file_and_data() -> None:
    """A loaded scenario has the digest of its file, and the absolute path and format of each source."""
    loaded = load_scenario(str(GOOD))
    path = "data/lc_loan_2018q1.csv"
    source = loaded.sources[path]
    assert (sha256_of(GOOD), str(GOOD.parent / path), "csv") == (loaded.sha256, source.uri, source.format)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing but a comment\n"])
def test_an_empty_file_is_reported(tmp_path: Path, content: bytes) -> None:
    """A file that is empty or has only comments is reported, with the command to begin with."""
    file = tmp_path / "empty.yaml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"empty\.yaml: the file is empty; 'harness init' writes"):
        load_scenario(str(file))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 500 + "]" * 500, "nested too deeply."),
        ("9" * 5000, "Exceeds the limit (4300 digits)"),
        ("!!bool maybe", ""),
        ("!!int some", "invalid literal for int()"),
        ("!!timestamp soon", ""),
    ],
    ids=["deep", "huge", "bool", "int", "timestamp"],
)
def test_invalid_yaml_is_one_message(tmp_path: Path, value: str, message: str) -> None:
    """Whatever error the YAML library raises, the user gets one message about the file."""
    file = tmp_path / "odd.yaml"
    file.write_text(f"seed: {value}\n")
    with pytest.raises(ScenarioError, match=rf"odd\.yaml(:1)?: not valid YAML: {re.escape(message)}"):
        load_scenario(str(file))


def test_text_that_is_not_unicode_hides_no_other_mistake(tmp_path: Path) -> None:
    """Half of a surrogate pair in a path causes no traceback, and a mistyped key is still reported."""
    text = GOOD.read_text().replace("data/lc_loan_2018q1.csv", '"\\ud800.csv"').replace("seed:", "sed:")
    (tmp_path / "half.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=r"unknown key 'sed'\. Did you mean 'seed'\?$"):
        load_scenario(str(tmp_path / "half.yaml"))


def test_anchors_and_merge_keys_can_be_used(tmp_path: Path) -> None:
    """Versions can share expectations by YAML anchors and merge keys."""
    text = GOOD.read_text().split("versions:")[0].replace("data/", f"{GOOD.parent}/data/") + (
        "versions:\n"
        "  - { name: one, append: {}, expect: &all { rows: 10000 } }\n"
        "  - { name: two, append: {}, expect: { <<: *all } }\n"
    )
    (tmp_path / "anchors.yaml").write_text(text)
    one, two = load_scenario(str(tmp_path / "anchors.yaml")).scenario.versions
    assert one.expect == two.expect


def test_a_scenario_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a scenario stands for the file of that name in the folder scenarios."""
    monkeypatch.chdir(GOOD.parents[1])
    assert Path("scenarios/three_versions.yaml") == find_scenario("three_versions")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("three_version", "Unknown scenario 'three_version': .* Did you mean 'three_versions'?"),
        (
            "scenarios/tree_versions.yaml",
            ".*tree_versions.yaml doesn't exist. Did you mean 'scenarios/three_versions.yaml'?",
        ),
        ("", "Unknown scenario ''"),
        ("scenarios", "scenarios is a folder; name a .yaml file in it."),
        ("scenarios/data/README.md", r"Not a scenario file: scenarios/data/README\.md\."),
        ("a" * 5000, "Can't access .*: File name too long"),
        ("no/such/folder.yaml", "The scenario file no/such/folder.yaml doesn't exist"),
        ("null\0byte", "Unknown scenario"),
    ],
    ids=["name", "file", "empty", "is a folder", "no scenario", "long", "folder", "null"],
)
def test_an_unknown_scenario_is_reported(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """A scenario that does not exist is reported, with the nearest existing name."""
    monkeypatch.chdir(GOOD.parents[1])
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        find_scenario(name)


def test_an_unreadable_scenario_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario file without read permission leads to one message."""
    file = tmp_path / "secret.yaml"
    file.write_text("name: secret\n")

    def refuse(*_arguments: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(HarnessError, match=r"Can't read .*secret\.yaml: Permission denied"):
        load_scenario(str(file))
