"""The proxy's certificate: made once for localhost, or the operator's, checked."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scopegate.app.cannot_start import CannotStart
from scopegate.app.certificates import CertificatePair, certificate_pair, check_pair
from scopegate.app.prefix import Prefix
from scopegate.app.settings.settings import Settings, load_settings

NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def settings(tmp_path: Path, **environment: str) -> Settings:
    return load_settings(None, environment, folder=tmp_path)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    made = Prefix(tmp_path / "p")
    made.prepare()
    return made


def test_a_pair_for_localhost_is_made_once(tmp_path: Path, prefix: Prefix) -> None:
    pair = certificate_pair(settings(tmp_path), prefix, NOW)
    certificate = pair.certificate.read_bytes()
    assert pair.key.stat().st_mode & 0o777 == 0o600
    assert certificate_pair(settings(tmp_path), prefix, NOW) == pair
    assert pair.certificate.read_bytes() == certificate
    names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "localhost" in names.value.get_values_for_type(x509.DNSName)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.certificate, pair.key)


def test_the_made_up_pair_is_renewed_before_it_expires(tmp_path: Path, prefix: Prefix) -> None:
    pair = certificate_pair(settings(tmp_path), prefix, NOW)
    first = pair.certificate.read_bytes()
    later = NOW + datetime.timedelta(days=380)
    assert certificate_pair(settings(tmp_path), prefix, later) == pair
    assert pair.certificate.read_bytes() != first
    check_pair(pair, later + datetime.timedelta(days=100))


def test_a_configured_pair_is_used_and_checked(tmp_path: Path, prefix: Prefix) -> None:
    made = certificate_pair(settings(tmp_path), prefix, NOW)
    given = settings(
        tmp_path,
        SCOPEGATE_SSL_CERT=str(made.certificate),
        SCOPEGATE_SSL_CERT_KEY=str(made.key),
    )
    assert certificate_pair(given, prefix, NOW) == made
    with pytest.raises(CannotStart, match=r"ssl_cert: .* expired on 2027-12-26; give a newer"):
        certificate_pair(given, prefix, NOW + datetime.timedelta(days=400))


def test_a_pair_that_cannot_serve_says_what_is_wrong(tmp_path: Path, prefix: Prefix) -> None:
    made = certificate_pair(settings(tmp_path), prefix, NOW)
    other = tmp_path / "other.key"
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    other.write_bytes(key.private_bytes(*pkcs8, serialization.NoEncryption()))
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(*pkcs8, serialization.BestAvailableEncryption(b"passphrase"))
    )
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for pair, message in (
        (CertificatePair(made.certificate, other), "is not the key of the first certificate"),
        (CertificatePair(made.certificate, locked), "is encrypted; give a key without"),
        (CertificatePair(made.certificate, text), "should hold a private key in PEM"),
        (CertificatePair(text, made.key), "should hold a certificate in PEM"),
        (CertificatePair(tmp_path / "none", made.key), "no such file or directory; give a file"),
    ):
        with pytest.raises(CannotStart, match=message):
            check_pair(pair, NOW)
