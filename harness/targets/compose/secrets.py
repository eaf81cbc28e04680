"""Secrets of the stack: generated at the first start, in files that only their owner can read."""

from __future__ import annotations

import base64
import io
import ipaddress
import os
import secrets
import shutil
import tarfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from harness.files import make_unwritable_error, write_text
from harness.runtime import truststore

USED_BY = {
    "azurite": ("lake_key", "models_key", "tls_certificate", "tls_key"),
    "postgres": ("postgres_password",),
    "mlflow": ("lake_key", "pgpass"),
    "job": ("lake_key", "models_key"),
}
"""Secrets that each service can read."""
_KEY_BYTES = 64
_HOSTS = ("azurite", "localhost")
_VALIDITY = timedelta(days=3650)
_ID = "id"
"""File with the ID of the stack that the secrets belong to."""


@dataclass(frozen=True)
class StackFiles:
    """Folder with one file per secret, and a separate folder for public files."""

    folder: Path

    @property
    def public(self) -> Path:
        """Folder that containers see: trusted certificates for Java and for everything else."""
        return self.folder / "public"

    @property
    def ca_bundle(self) -> Path:
        """File with all trusted certificates, including the stack's own."""
        return self.public / "ca-bundle.pem"

    @property
    def id(self) -> str:
        """ID of the stack that the secrets belong to; empty if there are none."""
        return read_id(self.folder)

    def secret(self, name: str) -> Path:
        """Return the file of a secret."""
        return self.folder / "secrets" / name

    def create(self) -> None:
        """Create the folder with everything in it, unless it exists.

        Raises:
            PrerequisiteError: The folder can't be written.
        """
        if self.id:
            return
        if self.folder.is_dir():
            # The secrets are from before there were IDs.
            _write_id(self.folder)
            return
        part = StackFiles(self.folder.with_name(f".{self.folder.name}.{os.getpid()}"))
        try:
            part.public.mkdir(parents=True)
            part.secret("x").parent.mkdir(mode=0o700)
            _write(part)
            part.folder.rename(self.folder)
        except OSError as error:
            # Another command may have been faster, and have created everything.
            if not self.folder.is_dir():
                raise make_unwritable_error(self.folder, error) from error
        finally:
            shutil.rmtree(part.folder, ignore_errors=True)

    def archive(self, more: Mapping[str, str]) -> bytes:
        """Return a tar file with a folder of secrets for each service.

        Args:
            more: Further secrets of the job, by name.
        """
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for service, names in USED_BY.items():
                values = {name: self.secret(name).read_text(encoding="utf-8") for name in names}
                for name, value in (values | (dict(more) if service == "job" else {})).items():
                    content = value.encode()
                    entry = tarfile.TarInfo(f"{service}/{name}")
                    entry.size, entry.mode = len(content), 0o400
                    archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()


def read_id(folder: Path) -> str:
    """Return the ID in a folder of secrets; empty if it has none."""
    try:
        return (folder / _ID).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write_id(folder: Path) -> None:
    write_text(folder / _ID, f"{uuid.uuid4().hex}\n")


def _write(files: StackFiles) -> None:
    _write_id(files.folder)
    password = secrets.token_urlsafe(32)
    authority, certificate, key = _make_certificates()
    for name, value in {
        "lake_key": _make_account_key(),
        "models_key": _make_account_key(),
        "postgres_password": password,
        "pgpass": f"postgres:5432:mlflow:mlflow:{password}\n",
        "tls_certificate": _format_pem([certificate]),
        "tls_key": key,
    }.items():
        path = files.secret(name)
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
    trusted = [authority, *truststore.read_certificates(truststore.find_system_bundles(os.environ))]
    (files.public / "ca.pem").write_text(_format_pem([authority]), encoding="utf-8")
    files.ca_bundle.write_text(_format_pem(trusted), encoding="utf-8")
    (files.public / "truststore.p12").write_bytes(truststore.build_java_store(trusted))
    # The user in the containers is another one, so the umask of this one must not apply.
    files.public.chmod(0o755)
    for path in files.public.iterdir():
        path.chmod(0o644)


def _make_account_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _make_certificates() -> tuple[x509.Certificate, x509.Certificate, str]:
    """Return an authority, whose key is discarded at once, and Azurite's certificate with its key."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _make_name("harness stack authority")
    authority = (
        _make_certificate(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = [
        *(x509.DNSName(host) for host in _HOSTS),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        _make_certificate(_make_name("azurite"), issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return authority, certificate, private.decode()


def _make_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Tolerates a clock that is up to an hour behind.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALIDITY)
    )


def _make_name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _format_pem(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)
