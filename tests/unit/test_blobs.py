"""The connection to a storage account."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from azure.core.exceptions import ResourceNotFoundError

from harness.errors import PrerequisiteError
from harness.plan import Account, Secret
from harness.storage.blobs import Blobs
from harness.storage.model_store import AccountStore, ModelStore
from harness.storage.uris import StorageUri
from harness.targets.compose.secrets import StackFiles


class Endpoint:
    """An account's endpoint with its own certificate, which closes every connection."""

    def __init__(self, files: StackFiles) -> None:
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.secret("tls_certificate"), files.secret("tls_key"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._listen)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port of the endpoint."""
        return "127.0.0.1:{1}".format(*self._socket.getsockname())

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError), self._context.wrap_socket(connection, server_side=True):
                pass


@pytest.fixture
def files(tmp_path: Path) -> StackFiles:
    created = StackFiles(tmp_path / "stack")
    created.create()
    return created


@pytest.fixture
def endpoint(files: StackFiles) -> Iterator[Endpoint]:
    listening = Endpoint(files)
    yield listening
    listening.close()


def test_an_untrusted_certificate_is_reported_at_once(files: StackFiles, endpoint: Endpoint) -> None:
    """An untrusted certificate is reported after a single connection, without retries."""
    secret = Secret(file=str(files.secret("lake_key")))
    account = Account(name="dlsloandev", auth="key", secret=secret, endpoint=endpoint.address)
    with pytest.raises(PrerequisiteError) as raised:
        Blobs(StorageUri.parse("abfss://lake@dlsloandev.dfs.core.windows.net"), account)
    assert 1 == endpoint.connections
    assert f"at {endpoint.address}" in str(raised.value)
    assert "certificate verify failed" in str(raised.value)
    assert "its certificate is trusted" in (raised.value.remedy or "")


class Container:
    """A container with these blobs, as far as listing them needs."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def walk_blobs(self, name_starts_with: str, delimiter: str) -> list[SimpleNamespace]:
        """Return the blobs and folders directly below a prefix."""
        if not self._names:
            raise ResourceNotFoundError("The specified container does not exist.")
        below = [
            name.removeprefix(name_starts_with) for name in self._names if name.startswith(name_starts_with)
        ]
        found = dict.fromkeys("".join(name.partition(delimiter)[:2]) for name in below)
        return [SimpleNamespace(name=name_starts_with + name) for name in found]

    def list_blobs(self, name_starts_with: str) -> list[SimpleNamespace]:
        """Return the blobs below a prefix; the later ones in the list are newer by a day each."""
        first = datetime(2026, 3, 1, tzinfo=UTC)
        return [
            SimpleNamespace(name=name, last_modified=first + timedelta(days=at))
            for at, name in enumerate(self._names)
            if name.startswith(name_starts_with)
        ]

    def get_blob_client(self, name: str) -> SimpleNamespace:
        """Return a client that knows whether the blob exists."""
        return SimpleNamespace(exists=lambda: name in self._names)


@pytest.mark.parametrize("root", ["", "below/here"])
def test_bundles_of_an_account_are_listed(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    """The bundles of a store are its tables' folders with a manifest, wherever the store's root is."""
    prefix = f"{root}/" if root else ""
    files = (
        "t/v0-a/manifest.json",
        "t/v0-a/classifier/MLmodel",
        "t/v1-b/half",
        "u/v0-c/manifest.json",
        "note",
    )
    container = Container(*(prefix + file for file in files), "elsewhere/v0-d/manifest.jsonl")
    uri = StorageUri.parse(f"abfss://models@account.dfs.core.windows.net/{root}")
    assert ["t/v0-a", "u/v0-c"] == list(_open(monkeypatch, uri, container).list_bundles())


def test_unfinished_copies_of_an_account_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy without a manifest, all of whose files are old enough, is unfinished."""
    old, young, whole, none = (f"t/v{at}-{'a' * 32}" for at in range(4))
    names = (f"{whole}/manifest.json", f"{old}/half", f"{young}/half", f"{young}/rest")
    uri = StorageUri.parse("abfss://models@account.dfs.core.windows.net")
    store = _open(monkeypatch, uri, Container(*names))
    before = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert [old] == list(store.list_unfinished(before))
    assert [old] == [path for path in (old, young, whole, none) if store.is_unfinished(path, before)]


def test_a_missing_container_has_no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that does not exist has no bundles, and listing does not create it."""
    uri = StorageUri.parse("abfss://models@account.dfs.core.windows.net")
    assert [] == list(_open(monkeypatch, uri, Container()).list_bundles())


def _open(monkeypatch: pytest.MonkeyPatch, uri: StorageUri, container: Container) -> ModelStore:
    """Open a store whose container is another one."""
    monkeypatch.setenv("KEY", "a2V5")
    account = Account(name=uri.account, auth="key", secret=Secret(variable="KEY"))
    blobs = Blobs(uri, account, create=False)
    vars(blobs)["_container"] = container
    return AccountStore(uri, blobs)
