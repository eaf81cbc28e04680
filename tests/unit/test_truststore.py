"""The trust store that Java gets."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from harness.runtime import truststore
from harness.runtime.java import find_java


def authority(name: str) -> bytes:
    """Return a self-signed certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Create a bundle of two authorities."""
    path = tmp_path / "bundle.pem"
    path.write_bytes(b"# first\n" + authority("one") + b"# second\n" + authority("two"))
    return path


def test_java_trusts_the_bundle(tmp_path: Path, bundle: Path) -> None:
    """A real Java trusts the authorities of the bundle."""
    store = tmp_path / "store.p12"
    truststore.trust_options({"SSL_CERT_FILE": str(bundle)}, store)
    keytool = find_java(os.environ.get("HARNESS_JAVA_HOME"), os.environ).home / "bin" / "keytool"

    listed = subprocess.run(
        [str(keytool), "-list", "-keystore", str(store), "-storepass", truststore.PASSWORD],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert listed.count("trustedCertEntry") >= 2


def test_options_name_the_store(tmp_path: Path, bundle: Path) -> None:
    """The options name the store that was written, and its type."""
    store = tmp_path / "store.p12"

    options = truststore.trust_options({"SSL_CERT_FILE": str(bundle)}, store)

    assert options[0] == f"-Djavax.net.ssl.trustStore={store}"
    assert options[-1] == "-Djavax.net.ssl.trustStoreType=PKCS12"
    assert store.is_file()


@pytest.mark.parametrize("variable", truststore.BUNDLE_VARIABLES)
def test_each_variable_counts(bundle: Path, variable: str) -> None:
    """A bundle is found by each of the variables that name one for other programs."""
    assert bundle in truststore.find_system_bundles({variable: str(bundle)})


def test_a_missing_bundle_is_ignored(tmp_path: Path) -> None:
    """A variable that names a missing file is ignored."""
    missing = tmp_path / "missing.pem"

    assert missing not in truststore.find_system_bundles({"SSL_CERT_FILE": str(missing)})


def test_without_a_bundle_no_store_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bundle, Java keeps its own authorities, and no store is written."""
    nowhere = ssl.DefaultVerifyPaths("", "", "X", "/nonexistent", "Y", "/nonexistent")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(truststore, "DEBIAN_BUNDLE", "/nonexistent")

    assert truststore.trust_options({}, tmp_path / "store.p12") == ()
    assert not (tmp_path / "store.p12").exists()


def test_an_authority_is_stored_once(tmp_path: Path, bundle: Path) -> None:
    """An authority that is in two bundles is stored once."""
    copy = tmp_path / "copy.pem"
    copy.write_bytes(bundle.read_bytes())

    assert len(truststore.read_certificates([bundle, copy])) == 2


def test_an_unreadable_certificate_is_skipped(bundle: Path) -> None:
    """A certificate that can't be read is skipped, and the others are stored."""
    odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(odd + bundle.read_bytes())

    assert len(truststore.read_certificates([bundle])) == 2
