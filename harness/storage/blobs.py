"""Files in a container of a storage account, copied with Azure's client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import PrerequisiteError, format_first_line
from harness.files import sha256_of
from harness.plan import Account
from harness.storage.accounts import make_azure_credential, make_credential_error
from harness.storage.uris import StorageUri

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient, ExponentialRetry

_SHA256 = "sha256"
_OPTIONS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60}


def find_account(uri: StorageUri, accounts: Sequence[Account]) -> Account:
    """Return the account of a URI.

    Raises:
        PrerequisiteError: It has no credential.
    """
    for account in accounts:
        if account.name == uri.account:
            return account
    raise make_credential_error(uri.account, str(uri))


def has_credential(accounts: Sequence[Account], uri: str) -> bool:
    """Return whether the storage account of a URI is among those with a credential."""
    return StorageUri.parse(uri).account in {account.name for account in accounts}


class Blobs:
    """Files below a root in a container.

    Args:
        root: The root.
        account: Its storage account.
        create: Whether to create the container if it does not exist.
    """

    def __init__(self, root: StorageUri, account: Account, *, create: bool = True) -> None:
        self._root = root
        self._account = account
        self._container = self._open(create=create)

    def exists(self, path: str) -> bool:
        """Return whether a file exists."""
        with self._translate_errors():
            return bool(self._container.get_blob_client(self._name(path)).exists())

    def read(self, path: str) -> str | None:
        """Return the text of a file, or ``None`` if it does not exist."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._translate_errors():
            try:
                return bytes(self._container.download_blob(self._name(path)).readall()).decode()
            except ResourceNotFoundError:
                return None

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's content, read back; ``None`` if it does not exist."""
        from azure.core.exceptions import ResourceNotFoundError

        digest = hashlib.sha256()
        with self._translate_errors():
            try:
                for chunk in self._container.download_blob(self._name(path)).chunks():
                    digest.update(chunk)
            except ResourceNotFoundError:
                return None
        return digest.hexdigest()

    def put(self, path: str, file: Path) -> None:
        """Copy a local file unless its content exists already; it appears completely or not at all."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError

        blob = self._container.get_blob_client(self._name(path))
        metadata = {_SHA256: sha256_of(file)}
        with self._translate_errors():
            try:
                with file.open("rb") as content:
                    blob.upload_blob(content, overwrite=False, metadata=metadata)
            except ResourceExistsError:
                existing = blob.get_blob_properties()
                if (existing.metadata or {}).get(_SHA256) == metadata[_SHA256]:
                    return
                # Replace only what was compared, not what somebody else has written since.
                with file.open("rb") as content:
                    blob.upload_blob(
                        content,
                        overwrite=True,
                        metadata=metadata,
                        etag=existing.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )

    def write(self, path: str, text: str) -> None:
        """Write a text file, replacing an existing one."""
        with self._translate_errors():
            self._container.upload_blob(self._name(path), text.encode(), overwrite=True)

    def remove(self, path: str) -> None:
        """Remove a file if it exists."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._translate_errors():
            try:
                self._container.delete_blob(self._name(path))
            except ResourceNotFoundError:
                return

    def remove_all(self, path: str) -> None:
        """Remove every file below a path."""
        with self._translate_errors():
            names = list(self._container.list_blob_names(name_starts_with=f"{self._name(path)}/"))
            # The folder's own marker is last: a hierarchical namespace only removes empty folders.
            for name in sorted(names, reverse=True):
                self.remove(str(name).removeprefix(f"{self._root.path}/" if self._root.path else ""))

    def find_last_change(self, path: str) -> datetime | None:
        """Return when a file below a path was last written; ``None`` if there is none."""
        with self._translate_errors():
            blobs = self._container.list_blobs(name_starts_with=f"{self._name(path)}/")
            return max((each.last_modified for each in blobs), default=None)

    def list_folders(self, path: str = "") -> list[str]:
        """Return the paths of the folders in a folder; none if the container does not exist."""
        from azure.core.exceptions import ResourceNotFoundError

        prefix = f"{self._name(path)}/".removeprefix("/")
        with self._translate_errors():
            try:
                found = [str(each.name) for each in self._container.walk_blobs(prefix, delimiter="/")]
            except ResourceNotFoundError:
                return []
        root = f"{self._root.path}/" if self._root.path else ""
        return [name.removeprefix(root).rstrip("/") for name in found if name.endswith("/")]

    def _open(self, *, create: bool) -> ContainerClient:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import BlobServiceClient

        account = self._account
        options = {**_OPTIONS, **({"connection_verify": account.ca_file} if account.ca_file else {})}
        url = (
            f"https://{account.endpoint}/{account.name}"
            if account.endpoint
            else f"https://{account.name}.blob.core.windows.net"
        )
        service = BlobServiceClient(
            url, make_azure_credential(account), retry_policy=_make_retry_policy(), **options
        )
        container = service.get_container_client(self._root.container)
        with self._translate_errors():
            if create and not container.exists():
                try:
                    container.create_container()
                except ResourceExistsError:
                    return container
        return container

    def _name(self, path: str) -> str:
        return f"{self._root.path}/{path}".strip("/")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate Azure's errors into messages with a remedy."""
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        account = self._account
        where = f"The storage account '{account.name}'" + (
            f" at {account.endpoint}" if account.endpoint else ""
        )
        try:
            yield
        except ClientAuthenticationError as error:
            raise PrerequisiteError(
                f"{where} refuses its credential: {format_first_line(error)}",
                remedy=f"Correct the credential of [accounts.{account.name}] in harness.toml.",
            ) from error
        except HttpResponseError as error:
            if error.status_code == _FORBIDDEN:
                raise PrerequisiteError(
                    f"{where} refuses its credential: {format_first_line(error)}",
                    remedy=f"Correct the credential of [accounts.{account.name}] in harness.toml, or give it "
                    "the role Storage Blob Data Contributor.",
                ) from error
            raise PrerequisiteError(f"{where} refuses the request: {format_first_line(error)}") from error
        except AzureError as error:
            raise PrerequisiteError(
                f"{where} doesn't answer: {format_first_line(error)}",
                remedy="Check that it runs and that its certificate is trusted.",
            ) from error


def _make_retry_policy() -> ExponentialRetry:
    """Return a policy of a few retries in about 20 s, not minutes; TLS errors are not retried."""
    from azure.storage.blob import ExponentialRetry
    from requests.exceptions import SSLError

    class Retry(ExponentialRetry):
        def increment(self, *arguments: Any, **named: Any) -> bool:
            cause = getattr(named.get("error"), "inner_exception", None)
            return not isinstance(cause, SSLError) and super().increment(*arguments, **named)

    return Retry(initial_backoff=1, increment_base=2, retry_total=3)


_FORBIDDEN = 403
