"""URIs of storage accounts: ``abfss://container@account.dfs.core.windows.net/path``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import PrerequisiteError

SCHEME = "abfss://"
VOLUMES = "/Volumes/"
"""Root of Unity Catalog's volumes on a Databricks cluster, in Spark and in the file system alike."""
_URI = re.compile(r"abfss://([^@/]*)@([^./]+)\.dfs\.core\.windows\.net(?:/(.*))?")
# docs: Naming and Referencing Containers, Blobs, and Metadata.
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class StorageUri:
    """A path in a container of a storage account."""

    container: str
    account: str
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> StorageUri:
        """Parse a URI.

        Raises:
            PrerequisiteError: It is not a URI of a storage account, or the name of its container is invalid.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise PrerequisiteError(
                f"{uri} is not a URI of a storage account.",
                remedy="Use abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.",
            )
        container, account, path = found.groups()
        if not _CONTAINER.fullmatch(container):
            raise PrerequisiteError(
                f"Invalid container name '{container}' ({uri}).",
                remedy="Use 3 to 63 lowercase letters, digits and single hyphens.",
            )
        return cls(container, account, (path or "").strip("/"))

    def __truediv__(self, path: str) -> StorageUri:
        return StorageUri(self.container, self.account, f"{self.path}/{path.strip('/')}".strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.container}@{self.account}.dfs.core.windows.net/{self.path}".rstrip("/")
