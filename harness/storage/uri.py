"""URIs of storage accounts: ``abfss://container@account.dfs.core.windows.net/path``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import NotThereError

SCHEME = "abfss://"
VOLUMES = "/Volumes/"
"""Where a Databricks cluster has Unity Catalog's volumes: paths for Spark and for the file system alike."""
_URI = re.compile(r"abfss://([^@/]*)@([^./]+)\.dfs\.core\.windows\.net(?:/(.*))?")
# docs: Naming and Referencing Containers, Blobs, and Metadata.
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class StorageUri:
    """A place in a container of a storage account."""

    container: str
    account: str
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> StorageUri:
        """Take a URI apart.

        Raises:
            NotThereError: It is none, or its container can't exist.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise NotThereError(
                f"{uri} is no URI of a storage account.",
                remedy="Such a URI reads abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.",
            )
        container, account, path = found.groups()
        if not _CONTAINER.fullmatch(container):
            raise NotThereError(
                f"The storage account '{account}' can't have a container '{container}' ({uri}).",
                remedy="A container's name has 3 to 63 small letters, digits and single hyphens.",
            )
        return cls(container, account, (path or "").strip("/"))

    def __truediv__(self, path: str) -> StorageUri:
        return StorageUri(self.container, self.account, f"{self.path}/{path.strip('/')}".strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.container}@{self.account}.dfs.core.windows.net/{self.path}".rstrip("/")
