"""The secrets of the stack: their files, their owners and their content."""

import io
import os
import re
import resource
import shutil
import ssl
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from harness.errors import PrerequisiteError
from harness.runtime import truststore
from harness.targets.compose import secrets as module
from harness.targets.compose.secrets import USED_BY, StackFiles

SECRETS = {"lake_key", "models_key", "postgres_password", "pgpass", "tls_certificate", "tls_key"}


def _create(folder: Path) -> StackFiles:
    files = StackFiles(folder / "stack")
    files.create()
    return files


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> StackFiles:
    """Return the files of a stack after its first start, for tests that only read them."""
    return _create(tmp_path_factory.mktemp("home"))


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _limit_file_size(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _values(files: StackFiles) -> dict[str, str]:
    return {path.name: path.read_text() for path in files.secret("lake_key").parent.iterdir()}


def _members(archive: bytes) -> dict[str, tuple[str, int]]:
    """Return content and mode of each path in the archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        streams = {member: tar.extractfile(member) for member in tar.getmembers()}
        return {
            member.name: (stream.read().decode(), member.mode) for member, stream in streams.items() if stream
        }


def _handshake(files: StackFiles, trusted: Path, host: str) -> None:
    """Do a TLS handshake between Azurite and a client, in memory."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=trusted)
    server.load_cert_chain(files.secret("tls_certificate"), files.secret("tls_key"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        with suppress(ssl.SSLWantReadError):
            ends[0].do_handshake()
            ends.pop(0)
        ends.reverse()


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["open", "closed"])
def test_secrets_are_readable_by_their_owner_only(tmp_path: Path, mask: int) -> None:
    """Secrets have mode 600 and their folder 700, whatever the umask."""
    with _umask(mask):
        files = _create(tmp_path)
    folder = files.secret("lake_key").parent
    assert (SECRETS, {0o600}, 0o700) == (
        {path.name for path in folder.iterdir()},
        {_mode(path) for path in folder.iterdir()},
        _mode(folder),
    )


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["open", "closed"])
def test_certificates_can_be_read_by_the_containers(tmp_path: Path, mask: int) -> None:
    """Public files can be read but not written by other users, whatever the umask."""
    with _umask(mask):
        files = _create(tmp_path)
    expected = {"public": 0o755, "ca.pem": 0o644, "ca-bundle.pem": 0o644, "truststore.p12": 0o644}
    assert expected == {path.name: _mode(path) for path in (files.public, *files.public.iterdir())}


def test_no_secret_is_public(files: StackFiles) -> None:
    """No secret's value is in a file that every container sees."""
    public = b"".join(path.read_bytes() for path in files.public.iterdir())
    assert [] == [name for name, value in _values(files).items() if value.strip().encode() in public]


def test_secrets_are_generated_once(tmp_path: Path) -> None:
    """Existing secrets are kept, because the stack's data is useless without its keys."""
    files = _create(tmp_path)
    before = _values(files)
    files.create()
    assert before == _values(files)


def test_two_stacks_share_no_secret(files: StackFiles, tmp_path: Path) -> None:
    """Every stack generates its own random secrets."""
    other = _values(_create(tmp_path))
    assert {} == {name: value for name, value in _values(files).items() if value == other[name]}


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    """An unwritable home folder is reported and left unchanged."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(
        PrerequisiteError, match=r"Can't write .*home/stack: Not a directory\.\n  Make the folder"
    ):
        StackFiles(tmp_path / "home" / "stack").create()
    assert ["home"] == [path.name for path in tmp_path.iterdir()]


def test_a_full_disk_leaves_no_secrets(tmp_path: Path) -> None:
    """A full disk leaves no files, so that the next start generates all of them."""
    with (
        _limit_file_size(300),
        pytest.raises(PrerequisiteError, match=r"Can't write .*stack: File too large\."),
    ):
        _create(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_two_commands_use_the_same_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands that start the stack at once use the secrets of the faster one."""
    write = module._write
    files = StackFiles(tmp_path / "stack")

    def overtaken(part: StackFiles) -> None:
        monkeypatch.setattr(module, "_write", write)
        StackFiles(tmp_path / "quick").create()
        shutil.move(tmp_path / "quick", files.folder)
        write(part)

    monkeypatch.setattr(module, "_write", overtaken)
    files.create()
    assert (["stack"], SECRETS) == ([path.name for path in tmp_path.iterdir()], set(_values(files)))


def test_each_service_gets_what_it_uses(files: StackFiles) -> None:
    """The archive has each service's own secrets, read-only and for their owner only."""
    values = _values(files)
    expected = {
        f"{service}/{name}": (values[name], 0o400) for service, names in USED_BY.items() for name in names
    }
    assert expected == _members(files.archive({}))


def test_only_the_job_gets_further_secrets(files: StackFiles) -> None:
    """Secrets of the accounts in the settings go to the job and to no other service."""
    more = set(_members(files.archive({"account_other": "größer"})).items()) - set(
        _members(files.archive({})).items()
    )
    assert {("job/account_other", ("größer", 0o400))} == more


def test_every_secret_is_used() -> None:
    """Every generated secret is used by some service."""
    assert SECRETS == {name for names in USED_BY.values() for name in names}


def test_mlflow_has_the_password_of_postgres(files: StackFiles) -> None:
    """The password file of MLflow's Postgres client has the password of Postgres."""
    assert f"postgres:5432:mlflow:mlflow:{_values(files)['postgres_password']}\n" == _values(files)["pgpass"]


@pytest.mark.parametrize("host", ["azurite", "localhost", "127.0.0.1"])
@pytest.mark.parametrize("trusted", ["ca.pem", "ca-bundle.pem"])
def test_azurite_is_trusted_by_its_names(files: StackFiles, trusted: str, host: str) -> None:
    """A client that trusts the stack's authority accepts Azurite's inner and outer host name."""
    _handshake(files, files.public / trusted, host)


def test_azurite_is_not_trusted_by_another_name(files: StackFiles) -> None:
    """Azurite's certificate is not valid for any other host name."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(files, files.ca_bundle, "mlflow")


def test_azurite_is_not_trusted_in_another_stack(files: StackFiles, tmp_path: Path) -> None:
    """Each stack has its own authority."""
    with pytest.raises(ssl.SSLCertVerificationError, match=re.escape("certificate verify failed")):
        _handshake(files, _create(tmp_path).ca_bundle, "azurite")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_java_trusts_the_authority(files: StackFiles) -> None:
    """Spark's trust store contains the stack's authority exactly once."""
    authority = x509.load_pem_x509_certificate((files.public / "ca.pem").read_bytes())
    store = pkcs12.load_pkcs12((files.public / "truststore.p12").read_bytes(), truststore.PASSWORD.encode())
    assert [authority] == [
        each.certificate for each in store.additional_certs if each.certificate == authority
    ]
