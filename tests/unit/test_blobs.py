"""The connection to a storage account."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from harness.errors import PrerequisiteError
from harness.plan import Account, Secret
from harness.storage.blobs import Blobs
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
