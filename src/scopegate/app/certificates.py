"""The proxy's own certificate: the operator's, or one made once for localhost."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import Prefix
from scopegate.app.private_files import write_private
from scopegate.app.settings.settings import Settings

MADE_UP_DAYS = 397  # what browsers accept at most
RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """Paths of a certificate (with its chain) and its private key, PEM."""

    certificate: Path
    key: Path


def pair_of(settings: Settings, prefix: Prefix) -> CertificatePair:
    """Where the pair lies that the TLS ports use, whether it is there or not."""
    if settings.ssl_cert is not None and settings.ssl_cert_key is not None:
        return CertificatePair(settings.ssl_cert, settings.ssl_cert_key)
    return CertificatePair(prefix.ssl / "localhost.crt", prefix.ssl / "localhost.key")


def certificate_pair(settings: Settings, prefix: Prefix, now: datetime.datetime) -> CertificatePair:
    """The pair that the TLS ports use: the configured one, checked, or the made-up one.

    The made-up one is kept in the prefix and made anew when it has expired or is about to.
    Raises CannotStart.
    """
    pair = pair_of(settings, prefix)
    if settings.ssl_cert is not None:
        check_pair(pair, now)
        return pair
    try:
        check_pair(pair, now + datetime.timedelta(days=RENEW_DAYS))
    except CannotStart:
        _make(pair, now)
    return pair


def check_pair(pair: CertificatePair, now: datetime.datetime) -> None:
    """See that both can be read, belong together and have not expired. Raises CannotStart."""
    certificate = _first_certificate(pair.certificate)
    text = _read(pair.key, "ssl_cert_key")
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except TypeError:
        raise CannotStart(
            f"ssl_cert_key: {pair.key} is encrypted; give a key without a passphrase"
        ) from None
    except ValueError:
        raise CannotStart(f"ssl_cert_key: {pair.key} should hold a private key in PEM") from None
    public = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*public) != certificate.public_key().public_bytes(*public):
        raise CannotStart(
            f"ssl_cert_key: {pair.key} is not the key of the first certificate in"
            f" {pair.certificate}; give the two that belong together"
        )
    if certificate.not_valid_after_utc <= now:
        raise CannotStart(
            f"ssl_cert: {pair.certificate} expired on"
            f" {certificate.not_valid_after_utc:%Y-%m-%d}; give a newer one"
        )


def _first_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(path, "ssl_cert"))[0]
    except ValueError:
        raise CannotStart(f"ssl_cert: {path} should hold a certificate in PEM") from None


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise CannotStart(f"{setting}: {path}: {reason}; give a file that can be read") from None


def _make(pair: CertificatePair, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    hosts = dict.fromkeys(("localhost", socket.gethostname()))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour of slack for clocks that are behind.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=MADE_UP_DAYS))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(host) for host in hosts if host and host.isascii()),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                    x509.IPAddress(ipaddress.ip_address("::1")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(
        pair.key,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))
