"""A PKCS #11 token of SoftHSM in a folder of its own, as an operator would set one up."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.discipline import find_program

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")
TOKEN, PIN = "yizheng", "synthetic-pin-1"


@dataclass(frozen=True)
class SoftToken:
    """Where the library, the token and the file of its pin are."""

    module: str
    token: str
    pin_file: Path
    configuration: Path

    def write_settings(self) -> dict[str, str]:
        """Return the settings that use it for new keys."""
        return {
            "IDP_KEYS__PROVIDER": "pkcs11",
            "IDP_KEYS__PKCS11_MODULE": self.module,
            "IDP_KEYS__PKCS11_TOKEN": self.token,
            "IDP_KEYS__PKCS11_PIN_FILE": str(self.pin_file),
        }


def make_token(folder: Path, token: str = TOKEN) -> SoftToken:
    """Make a new token in ``folder``. The library reads ``SOFTHSM2_CONF`` of its process once: ``configuration`` is to be there before."""
    program = find_program("hsm")
    module = next((name for name in MODULES if Path(name).exists()), None)
    assert program is not None
    assert module is not None, "SoftHSM's library is not where it usually is"
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    pin_file = folder / "pin"
    pin_file.write_text(PIN)
    pin_file.chmod(0o600)
    add_token(configuration, token)
    return SoftToken(module, token, pin_file, configuration)


def add_token(configuration: Path, token: str) -> None:
    """Initialise one more token in the same place."""
    command = [find_program("hsm") or "", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", "synthetic-so-pin"]
    subprocess.run(command, env={"SOFTHSM2_CONF": str(configuration)}, check=True, capture_output=True, timeout=30)
