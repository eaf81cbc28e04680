"""URIs of storage accounts."""

import re
import string
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError
from harness.storage.uris import StorageUri, explain_unusable, explain_unusable_root
from tests.properties import given, st

ROOT = "abfss://lake@dlsloandev.dfs.core.windows.net"
NO_URI = "is not a URI of a storage account"
NO_CONTAINER = "Invalid container name "
_SEGMENT = st.text(string.ascii_letters + string.digits + "-_.=%@ ä", min_size=1)
_PATH = st.lists(_SEGMENT, max_size=4).map("/".join)
_CONTAINER = st.from_regex(r"[a-z0-9]([a-z0-9]|-[a-z0-9]){1,30}[a-z0-9]", fullmatch=True)
_ACCOUNT = st.from_regex(r"[a-z0-9]{3,24}", fullmatch=True)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (ROOT, ""),
        (f"{ROOT}/", ""),
        (f"{ROOT}/runs", "runs"),
        (f"{ROOT}/runs/lc_loan/", "runs/lc_loan"),
        (f"{ROOT}//runs", "runs"),
        (f"{ROOT}/who@where/a.b?c#d", "who@where/a.b?c#d"),
    ],
    ids=["root", "root with slash", "folder", "two folders", "two slashes", "odd signs"],
)
def test_a_uri_is_parsed(uri: str, path: str) -> None:
    """A URI has a container, an account and a path without slashes at its ends."""
    assert StorageUri("lake", "dlsloandev", path) == StorageUri.parse(uri)


@given(_CONTAINER, _ACCOUNT, _PATH)
def test_a_formatted_uri_is_parsed_again(container: str, account: str, path: str) -> None:
    """A URI that is formatted and parsed again is equal to the original."""
    uri = StorageUri(container, account, path)
    assert uri == StorageUri.parse(str(uri))


@given(_PATH, _PATH)
def test_a_path_is_joined(first: str, second: str) -> None:
    """Two paths are joined by one slash, and by none if one of them is empty."""
    expected = "/".join(path for path in (first, second) if path)
    assert expected == (StorageUri.parse(ROOT) / first / second).path


def test_a_joined_uri_has_the_path() -> None:
    """The path of a joined URI comes after the account's host."""
    assert f"{ROOT}/runs/1/lc_loan" == str(StorageUri.parse(ROOT) / "/runs/1" / "lc_loan")


@pytest.mark.parametrize("container", ["abc", "a-b", "1-2-3", "a" * 63])
def test_a_valid_container_name_is_accepted(container: str) -> None:
    """A container's name has 3 to 63 lowercase letters, digits and single hyphens."""
    assert container == StorageUri.parse(f"abfss://{container}@dlsloandev.dfs.core.windows.net").container


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ("", NO_CONTAINER),
        ("ab", NO_CONTAINER),
        ("a" * 64, NO_CONTAINER),
        ("Lake", NO_CONTAINER),
        ("la--ke", NO_CONTAINER),
        ("-lake", NO_CONTAINER),
        ("lake-", NO_CONTAINER),
        ("la_ke", NO_CONTAINER),
        ("läke", NO_CONTAINER),
        ("la/ke", NO_URI),
    ],
    ids=[
        "empty",
        "2 characters",
        "64 characters",
        "capital letter",
        "double hyphen",
        "hyphen first",
        "hyphen last",
        "underscore",
        "umlaut",
        "slash",
    ],
)
def test_an_invalid_container_name_is_refused(container: str, message: str) -> None:
    """An invalid container name is refused with the rule, before Azure would."""
    uri = f"abfss://{container}@dlsloandev.dfs.core.windows.net/runs"
    with pytest.raises(PrerequisiteError, match=message) as caught:
        StorageUri.parse(uri)
    assert (ExitCode.PREREQUISITE_MISSING, True, True) == (
        caught.value.exit_code,
        uri in caught.value.message,
        bool(caught.value.remedy),
    )


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/data/lake",
        "http://lake@dlsloandev.dfs.core.windows.net",
        "https://dlsloandev.blob.core.windows.net/lake",
        "abfs://lake@dlsloandev.dfs.core.windows.net",
        "abfss://dlsloandev.dfs.core.windows.net/lake",
        "abfss://lake@.dfs.core.windows.net",
        "abfss://lake@dlsloandev.blob.core.windows.net",
        "abfss://lake@dlsloandev.dfs.core.windows.net.example",
        "abfss://lake@dlsloandev.dfs.core.windows.netx/runs",
        " abfss://lake@dlsloandev.dfs.core.windows.net",
    ],
    ids=[
        "empty",
        "local path",
        "http",
        "https",
        "abfs",
        "no container",
        "no account",
        "host of blobs",
        "another host",
        "host goes on",
        "space first",
    ],
)
def test_another_uri_is_refused(uri: str) -> None:
    """The message about another URI has the form of a valid one."""
    expected = f"{uri} {NO_URI}.\n  Use abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH."
    with pytest.raises(PrerequisiteError, match=re.escape(expected)):
        StorageUri.parse(uri)


LAKE = "abfss://lake@dlsloandev.dfs.core.windows.net/a/b"


@pytest.mark.parametrize(
    "uri",
    [
        "wasbs://lake@dlsloandev.blob.core.windows.net/a/b",
        "wasb://lake@dlsloandev.blob.core.windows.net/a/b/",
        "abfss://lake@dlsloandev.blob.core.windows.net/a/b",
        "abfss://dlsloandev.dfs.core.windows.net/lake/a/b",
        "https://dlsloandev.blob.core.windows.net/lake/a/b",
        "https://dlsloandev.dfs.core.windows.net/lake/a/b?sv=2024&sig=secret",
    ],
)
def test_a_uri_of_another_client_names_the_right_one(uri: str) -> None:
    """A URI of another client is refused with the URI that was meant; a token in it is not shown."""
    reason = explain_unusable(uri)
    assert f"{uri.partition('?')[0]} can't be used. Did you mean '{LAKE}'?" == reason
    assert reason == explain_unusable_root(uri)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://bucket/t", "the harness has no client for s3://. Use a local path or abfss://CONTAINER@"),
        ("https://example.org/loans.csv", "the harness has no client for https://"),
        ("https://me:secret@example.org/loans.csv", r"https://\*{3}@example.org/loans.csv can't be used"),
        ("wasbs://x", "is not a URI of a storage account. Use abfss://CONTAINER@"),
        ("abfss://@dlsloandev.dfs.core.windows.net/t", "is not a URI of a storage account"),
        ("abfss://Lake@dlsloandev.dfs.core.windows.net/t", "Invalid container name 'Lake' .* Use 3 to 63"),
    ],
)
def test_a_uri_that_cannot_work_is_refused(uri: str, reason: str) -> None:
    """A URI that can't work, such as one without a container, is refused with the form of a valid one."""
    for explain in (explain_unusable, explain_unusable_root):
        assert re.search(reason, explain(uri) or "")


@pytest.mark.parametrize(
    "uri", [LAKE, f"{ROOT}/a?b#c", "/data/lake", "lake", "file:///data/lake", "/Volumes/main/loans/lake", ""]
)
def test_usable_locations_are_accepted(uri: str) -> None:
    """A valid URI and a path can be used, also to store tables below."""
    assert (None, None) == (explain_unusable(uri), explain_unusable_root(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "abfss://lake@dlsloandev.dfs.core.chinacloudapi.cn/t",
        "abfs://lake@dlsloandev.dfs.core.windows.net/t",
        "hdfs://host/t",
        "dbfs:/t",
    ],
)
def test_what_only_spark_knows_is_left_to_it(uri: str) -> None:
    """Spark may read a table from another cloud or file system."""
    assert explain_unusable(uri) is None


def test_tables_are_only_stored_where_bundles_can_be() -> None:
    """What only Spark knows can't be the root of tables and bundles, which other clients write, too."""
    assert "can't be used. Use a folder or" in (explain_unusable_root("hdfs://host/t") or "")
    meant = explain_unusable_root("abfs://lake@dlsloandev.dfs.core.windows.net/a/b") or ""
    assert f"Did you mean '{LAKE}'?" in meant


@pytest.mark.parametrize(
    "uri", ["dbfs:/mnt/lake/t", "dbfs:///mnt/lake", "DBFS:/mnt", "/dbfs/mnt/lake/t.csv", "dbfs://mnt/lake"]
)
def test_a_mount_of_a_workspace_is_refused(uri: str) -> None:
    """A path in a mount of a workspace is refused with what replaces it, and where the docs explain it."""
    reason = explain_unusable(uri) or ""
    assert (
        f"{uri} is in a mount of a Databricks workspace, which the harness can't use. Instead, use the"
        in reason
    )
    assert "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH, or a volume" in reason
    assert reason == explain_unusable_root(uri)
    page, _, heading = re.search(r"see (\S+)\.$", reason)[1].partition("#")  # type: ignore[index]
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    assert f"### {heading.replace('-', ' ')}?" in text.lower()


def test_a_folder_below_mnt_is_refused_if_it_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path below /mnt may be one of this machine: it is refused only if its folder doesn't exist."""
    uri = "/mnt/lake/loans/t"
    monkeypatch.setattr(Path, "exists", lambda path: path == Path("/mnt/lake"))
    assert (None, None) == (explain_unusable(uri), explain_unusable_root(uri))
    monkeypatch.setattr(Path, "exists", lambda path: path == Path("/mnt"))
    expected = (
        f"{uri} doesn't exist on this machine. If it is in a mount of a Databricks workspace, use the mounted"
    )
    for explain in (explain_unusable, explain_unusable_root):
        assert expected in (explain(uri) or "")


@pytest.mark.parametrize(
    "uri", ["dbfs:/mnttx/t", "dbfs:/Volumes/a/b/c", "/mnt", "/data/mnt/x", "mnt/x", "/mntx/y"]
)
def test_other_paths_are_no_mounts(uri: str) -> None:
    """Only paths below /mnt are taken for mounts."""
    assert explain_unusable(uri) is None
