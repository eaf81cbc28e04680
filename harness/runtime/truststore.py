"""Java trust store with the certificate authorities that this machine trusts.

A Java has its own list of authorities, which lacks those that a company has added to the system.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

DEBIAN_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Variables that name a bundle for other programs; all that are set are used."""

PASSWORD = "harness"  # noqa: S105 - it is not a secret, see below.
"""Protects nothing: the store only has public certificates, but Java needs a password for its checksum."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def trust_options(environ: Mapping[str, str], store: Path) -> tuple[str, ...]:
    """Return options that make a Java trust what this machine trusts; empty if it has no bundle.

    Args:
        environ: Environment variables, which may name bundles.
        store: File to write the trust store to.
    """
    certificates = read_certificates(find_system_bundles(environ))
    if not certificates:
        return ()
    store.write_bytes(build_java_store(certificates))
    return list_store_options(store)


def list_store_options(store: Path | str) -> tuple[str, ...]:
    """Return options that make a Java trust the certificates in a store."""
    return (
        f"-Djavax.net.ssl.trustStore={store}",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
    )


def find_system_bundles(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the existing bundle files, those that a variable names first."""
    defaults = ssl.get_default_verify_paths()
    named = [
        *(environ.get(name) for name in BUNDLE_VARIABLES),
        defaults.cafile,
        defaults.openssl_cafile,
        DEBIAN_BUNDLE,
    ]
    resolved = (Path(name).resolve() for name in named if name)
    return tuple(dict.fromkeys(path for path in resolved if path.is_file()))


def read_certificates(bundles: Iterable[Path]) -> tuple[x509.Certificate, ...]:
    """Return every readable certificate of the bundles once; unreadable ones are skipped."""
    blocks = dict.fromkeys(block for bundle in bundles for block in _PEM.findall(bundle.read_bytes()))
    certificates = (_parse(block) for block in blocks)
    return tuple(dict.fromkeys(certificate for certificate in certificates if certificate is not None))


def _parse(block: bytes) -> x509.Certificate | None:
    try:
        # Old authorities violate newer rules (a serial number of 0), but the system trusts them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(block)
    except ValueError:
        return None


def build_java_store(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return a PKCS12 store with the attribute that Java requires of trusted certificates."""
    # Here, because a notebook's cluster has an older cryptography, and needs no such store.
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PKCS12Certificate,
        serialize_java_truststore,
    )

    entries = [
        PKCS12Certificate(certificate, f"authority-{number}".encode())
        for number, certificate in enumerate(certificates)
    ]
    return serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode()))
