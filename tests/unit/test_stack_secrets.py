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


def _made(folder: Path) -> StackFiles:
    files = StackFiles(folder / "stack")
    files.create()
    return files


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> StackFiles:
    """What a stack has after its first start, for tests that only look."""
    return _made(tmp_path_factory.mktemp("home"))


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _no_file_longer_than(size_bytes: int) -> Iterator[None]:
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
    """Path in the archive to content and mode."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        streams = {member: tar.extractfile(member) for member in tar.getmembers()}
        return {
            member.name: (stream.read().decode(), member.mode) for member, stream in streams.items() if stream
        }


def _handshake(files: StackFiles, trusted: Path, host: str) -> None:
    """What Azurite and a client of it say to each other first, in memory."""
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
def test_secrets_are_their_owners_alone(tmp_path: Path, mask: int) -> None:
    """A secret's file has mode 600 and its folder 700, whatever new files have otherwise."""
    with _umask(mask):
        files = _made(tmp_path)
    folder = files.secret("lake_key").parent
    assert (SECRETS, {0o600}, 0o700) == (
        {path.name for path in folder.iterdir()},
        {_mode(path) for path in folder.iterdir()},
        _mode(folder),
    )


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["open", "closed"])
def test_certificates_can_be_read_by_the_containers(tmp_path: Path, mask: int) -> None:
    """Another user can read what is public, whatever new files have otherwise, and can't change it."""
    with _umask(mask):
        files = _made(tmp_path)
    expected = {"public": 0o755, "ca.pem": 0o644, "ca-bundle.pem": 0o644, "truststore.p12": 0o644}
    assert expected == {path.name: _mode(path) for path in (files.public, *files.public.iterdir())}


def test_no_secret_is_public(files: StackFiles) -> None:
    """None of the values is in a file that every container sees."""
    public = b"".join(path.read_bytes() for path in files.public.iterdir())
    assert [] == [name for name, value in _values(files).items() if value.strip().encode() in public]


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """What is there stays: the stack's data is of no use without its keys."""
    files = _made(tmp_path)
    before = _values(files)
    files.create()
    assert before == _values(files)


def test_two_stacks_share_no_secret(files: StackFiles, tmp_path: Path) -> None:
    """Every value is made at random."""
    other = _values(_made(tmp_path))
    assert {} == {name: value for name, value in _values(files).items() if value == other[name]}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A home folder that can't be written is told, and left as it is."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(
        PrerequisiteError, match=r"Can't write .*home/stack: Not a directory\.\n  Make the folder"
    ):
        StackFiles(tmp_path / "home" / "stack").create()
    assert ["home"] == [path.name for path in tmp_path.iterdir()]


def test_half_of_the_files_are_none(tmp_path: Path) -> None:
    """Where the disk does not take all of them, nothing is left, so that the next start makes all."""
    with (
        _no_file_longer_than(300),
        pytest.raises(PrerequisiteError, match=r"Can't write .*stack: File too large\."),
    ):
        _made(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_quicker_command_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two commands that start the stack at once both have the secrets of the one that was first."""
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
    """The archive has each service's own secrets, which nobody may change and only their owner reads."""
    values = _values(files)
    expected = {
        f"{service}/{name}": (values[name], 0o400) for service, names in USED_BY.items() for name in names
    }
    assert expected == _members(files.archive({}))


def test_the_job_alone_gets_more(files: StackFiles) -> None:
    """Secrets of accounts that the settings name are for the job."""
    more = set(_members(files.archive({"account_other": "größer"})).items()) - set(
        _members(files.archive({})).items()
    )
    assert {("job/account_other", ("größer", 0o400))} == more


def test_every_secret_is_used() -> None:
    """Nothing is made that no service sees."""
    assert SECRETS == {name for names in USED_BY.values() for name in names}


def test_mlflow_knows_the_password_of_postgres(files: StackFiles) -> None:
    """The line that Postgres's client reads has the password that Postgres is started with."""
    assert f"postgres:5432:mlflow:mlflow:{_values(files)['postgres_password']}\n" == _values(files)["pgpass"]


@pytest.mark.parametrize("host", ["azurite", "localhost", "127.0.0.1"])
@pytest.mark.parametrize("trusted", ["ca.pem", "ca-bundle.pem"])
def test_azurite_is_trusted_by_its_names(files: StackFiles, trusted: str, host: str) -> None:
    """Who trusts the stack's authority can speak to Azurite, from inside the stack and from outside."""
    _handshake(files, files.public / trusted, host)


def test_azurite_is_not_trusted_by_another_name(files: StackFiles) -> None:
    """The certificate stands for no other host."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(files, files.ca_bundle, "mlflow")


def test_azurite_is_not_trusted_in_another_stack(files: StackFiles, tmp_path: Path) -> None:
    """Each stack has an authority of its own."""
    with pytest.raises(ssl.SSLCertVerificationError, match=re.escape("certificate verify failed")):
        _handshake(files, _made(tmp_path).ca_bundle, "azurite")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_java_trusts_the_authority_too(files: StackFiles) -> None:
    """The trust store of Spark has the stack's authority, once."""
    authority = x509.load_pem_x509_certificate((files.public / "ca.pem").read_bytes())
    store = pkcs12.load_pkcs12((files.public / "truststore.p12").read_bytes(), truststore.PASSWORD.encode())
    assert [authority] == [
        each.certificate for each in store.additional_certs if each.certificate == authority
    ]
