"""A Java trust store of the certificate authorities that this machine trusts.

A Java brings authorities of its own and knows nothing of a company's, which the system has been told of.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
)
from cryptography.utils import CryptographyDeprecationWarning

DEBIAN_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Variables by which other programs are told of a bundle; each one that is set counts."""

PASSWORD = "harness"  # noqa: S105 - it is no secret, see below.
"""Protects nothing: the store holds public certificates only, and Java wants a word for its checksum."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def java_options(environ: Mapping[str, str], store: Path) -> tuple[str, ...]:
    """Options with which a Java trusts what this machine trusts; none where the machine has no bundle.

    Args:
        environ: Where the variables that name a bundle are read from.
        store: The file to write the trust store to.
    """
    certificates = trusted_certificates(system_bundles(environ))
    if not certificates:
        return ()
    store.write_bytes(java_store(certificates))
    return options_for(store)


def options_for(store: Path | str) -> tuple[str, ...]:
    """Options with which a Java trusts what is in a store."""
    return (
        f"-Djavax.net.ssl.trustStore={store}",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
    )


def system_bundles(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The bundle files there are, those that a variable names first, each once."""
    defaults = ssl.get_default_verify_paths()
    named = [
        *(environ.get(name) for name in BUNDLE_VARIABLES),
        defaults.cafile,
        defaults.openssl_cafile,
        DEBIAN_BUNDLE,
    ]
    resolved = (Path(name).resolve() for name in named if name)
    return tuple(dict.fromkeys(path for path in resolved if path.is_file()))


def trusted_certificates(bundles: Iterable[Path]) -> tuple[x509.Certificate, ...]:
    """Every readable certificate of the bundles, each once; one odd certificate does not spoil the rest."""
    blocks = dict.fromkeys(block for bundle in bundles for block in _PEM.findall(bundle.read_bytes()))
    certificates = (_parse(block) for block in blocks)
    return tuple(dict.fromkeys(certificate for certificate in certificates if certificate is not None))


def _parse(block: bytes) -> x509.Certificate | None:
    try:
        # Old authorities break newer rules (a serial number of 0) and are trusted by the system nevertheless.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(block)
    except ValueError:
        return None


def java_store(certificates: Iterable[x509.Certificate]) -> bytes:
    """PKCS12 with the attribute without which Java takes no certificate for trusted."""
    entries = [
        PKCS12Certificate(certificate, f"authority-{number}".encode())
        for number, certificate in enumerate(certificates)
    ]
    return serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode()))
