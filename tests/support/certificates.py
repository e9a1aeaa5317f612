"""A certificate authority for tests, and what it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


class Pki:
    """An authority in a folder."""

    def __init__(
        self, folder: Path, common_name: str = "Test authority", parent: Pki | None = None
    ) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        signer = parent or self
        builder = signer._builder(self._name, self._key, is_authority=True)
        self.certificate = builder.sign(signer._key, hashes.SHA256())
        self.bundle = folder / f"{common_name}.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def server(self, *names: str) -> tuple[str, str]:
        """Paths of a certificate for these names or addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._builder(subject, key, is_authority=False)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        path, key_path = (self.folder / f"{names[0]}.{end}" for end in ("pem", "key"))
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(path), str(key_path)

    def server_behind_intermediate(self, name: str) -> tuple[str, str]:
        """As `server`, signed by an authority that ours has signed; the file has the chain."""
        middle = Pki(self.folder, common_name="Intermediate", parent=self)
        path, key_path = middle.server(f"{name}")
        chain = Path(path).read_bytes() + middle.certificate.public_bytes(Encoding.PEM)
        Path(path).write_bytes(chain)
        return path, key_path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
