"""Decides which certificates the demo has for a conformance run: an authority of its own data folder, and what it signs."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from idp.kernel.clock import read_system_clock
from idp.platform.child_processes import write_private

AUTHORITY = "Yizheng demo: synthetic, trusted by nobody else"
LIFE = timedelta(days=397)
"""No longer than browsers believe a server's certificate."""


class CertificateFolder:
    """A folder with ``authority.pem`` and what it signed. The authority is made once and kept, so that whoever trusts it may go on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.authority = folder / "authority.pem"
        self._authority_key = folder / "authority.key"
        if not (self.authority.exists() and self._authority_key.exists()) or self._read_authority().not_valid_after_utc < _soon():
            self._make_authority()

    def make_server(self, name: str, hosts: list[str]) -> tuple[Path, Path]:
        """Make a server's certificate for host names and addresses; return its file (with the authority's behind it) and its key's."""
        names = x509.SubjectAlternativeName([_name_host(host) for host in dict.fromkeys(hosts)])
        return self._make(name, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, with_authority=True)

    def make_client(self, name: str) -> tuple[Path, Path]:
        """Return the files of a client's certificate, whose subject is ``CN=name``, and of its key; what is there is kept."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        if certificate.exists() and key.exists() and _read(certificate).not_valid_after_utc > _soon():
            return certificate, key
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        return self._make(name, name, ExtendedKeyUsageOID.CLIENT_AUTH, names, with_authority=False)

    def _read_authority(self) -> x509.Certificate:
        return _read(self.authority)

    def _make_authority(self) -> None:
        key = generate_private_key(65_537, 2_048)
        subject = _name(AUTHORITY)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            _begin(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self._authority_key, _write_key(key))
        self.authority.write_bytes(made.public_bytes(Encoding.PEM))

    def _make(
        self, name: str, common_name: str, purpose: x509.ObjectIdentifier, names: x509.SubjectAlternativeName, *, with_authority: bool
    ) -> tuple[Path, Path]:
        authority = self._read_authority()
        signing_key = load_pem_private_key(self._authority_key.read_bytes(), None)
        if not isinstance(signing_key, RSAPrivateKey):
            raise TypeError("the authority's key is not the one that was made here")
        key = generate_private_key(65_537, 2_048)
        made = (
            _begin(_name(common_name), authority.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
            .sign(signing_key, hashes.SHA256())
        )
        certificate, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        chain = [made, authority] if with_authority else [made]
        write_private(key_file, _write_key(key))
        certificate.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
        return certificate, key_file


def _begin(subject: x509.Name, issuer: x509.Name, key: RSAPrivateKey) -> x509.CertificateBuilder:
    now = read_system_clock()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _name_host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _soon() -> datetime:
    return read_system_clock() + timedelta(days=7)


def _write_key(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
