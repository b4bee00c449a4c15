"""An invented certificate authority on loopback: it issues, revokes, answers OCSP, publishes a CRL
and stamps times. Its clock is `sokhoe.clock`, so a test may let years pass.

    root (25 years) ─ issuing CA (20) ─┬─ people, organisations   as asked
                                       ├─ OCSP responder (20)
                                       └─ TSA                     as asked, 12 years
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sokhoe import clock

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
YEAR = timedelta(days=365)
DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")


def now() -> datetime:
    return datetime.fromtimestamp(clock.now() // 1_000_000, tz=UTC)


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """RSA keys are slow to make: the tests share a few."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Issued:
    key: Key
    chain: tuple[x509.Certificate, ...]  # its own first, without the root

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    def write(self, folder: Path, password: bytes = b"demo") -> Path:
        """As a PKCS#12 file."""
        file = folder / "key.p12"
        held = serialization.pkcs12.serialize_key_and_certificates(
            b"key",
            self.key,
            self.certificate,
            self.chain[1:],
            serialization.BestAvailableEncryption(password),
        )
        file.write_bytes(held)
        return file


class Authority:
    """`with Authority() as it:` answers at `it.url` until the end."""

    def __init__(self, name: str = "Test Root CA") -> None:
        self.asked: list[str] = []
        self.down = False
        self._revoked: dict[int, datetime] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        begins = now() - timedelta(days=1)
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._certify(
            _name(name), self._root_key.public_key(), begins, begins + 25 * YEAR, ca=True
        )
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.issuing = self._certify(
            _name(name.replace("Root", "Issuing")),
            self._key.public_key(),
            begins,
            begins + 20 * YEAR,
            ca=True,
            by=(self.root, self._root_key),
        )
        self._responder = self.issue("OCSP", kind="ocsp", years=20)
        self.tsa = self.issue("Test TSA", kind="tsa", key=rsa_key(0), years=12)

    # -- issuing ---------------------------------------------------------------------------

    def issue(
        self,
        name: str = "Bác sĩ Lê Thị Hoa",
        organisation: str = "Trạm Y tế Cái Nhum",
        *,
        kind: str = "signing",
        key: Key | None = None,
        begins: datetime | None = None,
        years: float = 2,
    ) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        chain = self.certify(
            key.public_key(), name, organisation, kind=kind, begins=begins, years=years
        )
        return Issued(key, chain)

    def certify(
        self,
        public: Any,
        name: str = "Bác sĩ Lê Thị Hoa",
        organisation: str = "Trạm Y tế Cái Nhum",
        *,
        kind: str = "signing",
        begins: datetime | None = None,
        years: float = 2,
    ) -> tuple[x509.Certificate, ...]:
        """The chain of a key that lies elsewhere (a token)."""
        begins = begins or now() - timedelta(hours=1)
        made = self._certify(
            _name(name, organisation),
            public,
            begins,
            begins + years * YEAR,
            by=(self.issuing, self._key),
            kind=kind,
        )
        return made, self.issuing

    def revoke(self, issued: Issued, at: datetime | None = None) -> None:
        self._revoked[issued.certificate.serial_number] = at or now()

    def _certify(
        self,
        subject: x509.Name,
        public: Any,
        begins: datetime,
        ends: datetime,
        *,
        ca: bool = False,
        by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
        kind: str = "",
    ) -> x509.Certificate:
        issuer, key = by or (None, self._root_key)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_usage(ca, kind), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                critical=False,
            )
        )
        purposes = {
            "signing": [ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENTS],
            "server": [ExtendedKeyUsageOID.SERVER_AUTH],
            "tsa": [ExtendedKeyUsageOID.TIME_STAMPING],
            "ocsp": [ExtendedKeyUsageOID.OCSP_SIGNING],
        }.get(kind)
        if purposes:
            critical = kind == "tsa"
            built = built.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
        if kind == "ocsp":
            built = built.add_extension(x509.OCSPNoCheck(), critical=False)
        elif issuer is not None:
            level = "root" if ca else "ca"
            uri = x509.UniformResourceIdentifier
            built = built.add_extension(
                x509.CRLDistributionPoints(
                    [x509.DistributionPoint([uri(f"{self.url}/{level}.crl")], None, None, None)]
                ),
                critical=False,
            )
            if not ca:
                where = x509.AccessDescription(
                    AuthorityInformationAccessOID.OCSP, uri(f"{self.url}/ocsp")
                )
                built = built.add_extension(
                    x509.AuthorityInformationAccess([where]), critical=False
                )
        return built.sign(key, hashes.SHA256())

    # -- answering -------------------------------------------------------------------------

    def crl(self, level: str = "ca") -> bytes:
        issuer, key = (self.root, self._root_key) if level == "root" else (self.issuing, self._key)
        built = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(now())
            .next_update(now() + timedelta(days=7))
            .add_extension(x509.CRLNumber(int(now().timestamp())), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
                critical=False,
            )
        )
        for serial, at in self._revoked.items() if level == "ca" else ():
            gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            built = built.add_revoked_certificate(gone.build())
        return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def status(self, request: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(request)
        revoked = self._revoked.get(asked.serial_number)
        built = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=now(),
            next_update=now() + timedelta(days=1),
            revocation_time=revoked,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        responder = self._responder
        built = built.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        built = built.certificates([responder.certificate])
        return built.sign(responder.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def stamp(self, request: bytes, at: datetime | None = None, by: Issued | None = None) -> bytes:
        """A time-stamp response (RFC 3161)."""
        tsa = by or self.tsa
        key = tsa.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certs = [asn1_x509.Certificate.load(der(one)) for one in tsa.chain]
        others: Any = SimpleCertificateStore()
        for one in certs[1:]:
            others.register(one)
        stamper = DummyTimeStamper(
            certs[0],
            asn1_keys.PrivateKeyInfo.load(key),
            certs_to_embed=others,
            fixed_dt=at or now(),
        )
        response = stamper.request_tsa_response(tsp.TimeStampReq.load(request))
        return bytes(response.dump())

    def anchors(self, folder: Path) -> Path:
        """A folder with the root in it."""
        folder.mkdir(exist_ok=True)
        (folder / "test-root.pem").write_bytes(self.root.public_bytes(serialization.Encoding.PEM))
        return folder

    def __enter__(self) -> Authority:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _usage(ca: bool, kind: str) -> x509.KeyUsage:
    signs = kind != "encrypting"
    return x509.KeyUsage(
        digital_signature=signs and not ca,
        content_commitment=kind == "signing",
        key_encipherment=kind == "encrypting",
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _handler(authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            level = "root" if self.path == "/root.crl" else "ca"
            self._answer("application/pkix-crl", authority.crl(level))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/tsa":
                self._answer("application/timestamp-reply", authority.stamp(body))
            else:
                self._answer("application/ocsp-response", authority.status(body))

        def _answer(self, kind: str, body: bytes) -> None:
            authority.asked.append(self.path)
            self.send_response(503 if authority.down else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def a_line_cut(authority: Authority) -> Iterator[None]:
    """Meanwhile nobody answers."""
    authority.down = True
    try:
        yield
    finally:
        authority.down = False
