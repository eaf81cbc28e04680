"""A key vault, and the login of Microsoft Entra, on loopback.

Azure's clients are the real ones: they open Azure's own addresses through ``HTTPS_PROXY``, check the
certificate, answer the vault's challenge with a token of Entra, and read the secret. Requests and responses
are those of Azure's documentation: "Authentication, requests and responses" and "Get Secret" for Key Vault,
"OAuth 2.0 client credentials flow" for Entra.
"""

from __future__ import annotations

import io
import json
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOGIN = "login.microsoftonline.com"
VAULT = "harness-vault"
TENANT, CLIENT, CLIENT_SECRET = "11111111-1111-1111-1111-111111111111", "client", "client-secret-value"
_TOKEN = "token-of-entra"
_RESOURCE = "https://vault.azure.net"


@dataclass
class KeyVault:
    """What the vault has and how it answers."""

    environ: dict[str, str]
    """Variables with which Azure's clients find the vault and log in."""
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a secret to its value and attributes."""
    refusal: tuple[int, str, str, str] | None = None
    """Status, code, inner code and message with which it refuses each request that has a token."""
    resource: str = _RESOURCE
    """Resource that its challenge names."""
    requests: list[str] = field(default_factory=list)
    """Host and path of each request."""

    def add(
        self, name: str, value: str, dates: Iterable[tuple[str, int]] = (), *, enabled: bool = True
    ) -> None:
        """Add a secret; dates are ``exp`` and ``nbf``, in seconds from now."""
        now = int(time.time())
        attributes = {"enabled": enabled, "created": now, "updated": now, "recoveryLevel": "Recoverable"}
        attributes |= {key: now + seconds for key, seconds in dates}
        self.secrets[name] = {"value": value, "attributes": attributes}

    def count_reads(self, name: str) -> int:
        """Return how many requests have read a secret, without those that were answered with a challenge."""
        return self.requests.count(f"read {name}")


@contextmanager
def serve_key_vault(folder: Path) -> Iterator[KeyVault]:
    """Serve a vault until the end of the block.

    Args:
        folder: Folder for its certificate.
    """
    context = _make_context(folder)
    vault = KeyVault({})

    class Handler(_Handler):
        state = vault
        tls = context

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vault.environ |= {
        "HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}",
        "REQUESTS_CA_BUNDLE": str(folder / "authority.pem"),
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": CLIENT_SECRET,
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield vault
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: KeyVault
    tls: ssl.SSLContext
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        if self.host not in (LOGIN, f"{VAULT}.vault.azure.net"):
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        with self.tls.wrap_socket(self.connection, server_side=True) as connection:
            self.rfile, self.wfile = connection.makefile("rb"), connection.makefile("wb")
            self.close_connection = False
            while not self.close_connection:
                self.handle_one_request()
            self.rfile.close()
            self.wfile.close()
        self.rfile, self.wfile = io.BufferedReader(io.BytesIO()), io.BytesIO()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.state.requests.append(f"{self.host}{path}")
        if self.host == LOGIN:
            self._describe_login(path)
        else:
            self._read_secret(path.strip("/").split("/")[1])

    def do_POST(self) -> None:
        self.state.requests.append(f"{self.host}{self.path}")
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if sent.get("client_secret") != [CLIENT_SECRET] or sent.get("client_id") != [CLIENT]:
            text = "AADSTS7000215: Invalid client secret provided. Trace ID: 0"
            self._answer(401, {"error": "invalid_client", "error_description": text})
            return
        if sent.get("scope") != [f"{_RESOURCE}/.default"]:
            self._answer(
                400, {"error": "invalid_scope", "error_description": f"AADSTS70011: {sent['scope']}"}
            )
            return
        self._answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": _TOKEN})

    def _describe_login(self, path: str) -> None:
        base = f"https://{LOGIN}/{TENANT}"
        if path.endswith("/openid-configuration"):
            endpoints = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
            document = {name: f"{base}/oauth2/v2.0/{end}" for name, end in endpoints.items()}
            self._answer(200, {**document, "issuer": f"{base}/v2.0"})
        else:
            cloud = {"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}
            discovery = f"{base}/v2.0/.well-known/openid-configuration"
            self._answer(200, {"tenant_discovery_endpoint": discovery, "metadata": [cloud]})

    def _read_secret(self, name: str) -> None:
        if self.headers["Authorization"] != f"Bearer {_TOKEN}":
            text = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="{self.state.resource}"'
            self._refuse(401, "Unauthorized", "", "AKV10000: Request is missing a Bearer token.", text)
            return
        self.state.requests.append(f"read {name}")
        if self.state.refusal is not None:
            self._refuse(*self.state.refusal)
        elif name not in self.state.secrets:
            text = f"A secret with (name/id) {name} was not found in this key vault."
            self._refuse(404, "SecretNotFound", "", text)
        elif not self.state.secrets[name]["attributes"]["enabled"]:
            text = "Operation get is not allowed on a disabled secret."
            self._refuse(403, "Forbidden", "SecretDisabled", text)
        else:
            version = f"https://{self.host}/secrets/{name}/{'0' * 32}"
            self._answer(200, {**self.state.secrets[name], "id": version})

    def _refuse(self, status: int, code: str, inner: str, message: str, challenge: str = "") -> None:
        error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self._answer(status, {"error": error}, challenge)

    def _answer(self, status: int, document: dict[str, Any], challenge: str = "") -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


def _make_context(folder: Path) -> ssl.SSLContext:
    """Write an authority's certificate, and return a context with a certificate that it has issued."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    authority = (
        _start_certificate(issuer, issuer, authority_key)
        .add_extension(constraints, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName(LOGIN), x509.DNSName("*.vault.azure.net")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOGIN)])
    certificate = (
        _start_certificate(subject, issuer, key)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    chain = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _start_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
