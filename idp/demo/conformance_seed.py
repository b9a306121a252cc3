"""Decides what a conformance run finds at its start: its clients registered, and a configuration for each plan to paste into the suite."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from idp.app import Services, build_services
from idp.composition import open_platform
from idp.demo.certificates import CertificateFolder
from idp.demo.conformance_clients import PLANS, Credentials, Plan, find_credentials, make_registration
from idp.demo.conformance_plans import write_configuration, write_dynamic
from idp.demo.seed import ACTOR, SecretLost
from idp.kernel.clock import read_system_clock, read_system_random
from idp.platform.child_processes import write_private
from idp.protocol.rules.client import Client
from idp.settings import Settings

PLACES = (1, 2)
KEPT = (
    "version",
    "status",
    "sector_id",
    "secret_mac",
    "sealed_secret",
    "previous_secret_mac",
    "previous_sealed_secret",
    "previous_secret_until",
)
"""What a registration of before keeps when addresses or keys changed."""


async def seed_conformance(settings: Settings, folder: Path, certificates: CertificateFolder, suite: str) -> list[Path]:
    """Register the clients of every plan that can run, write the configurations into ``folder``, and return their files."""
    clients_folder = folder / "clients"
    clients_folder.mkdir(mode=0o700, exist_ok=True)
    platform = await open_platform(settings, read_system_clock, read_system_random)
    issuer, door, code = settings.server.issuer, settings.mtls.origin, settings.sms.fixed_code
    made = {"dynamic": write_dynamic(issuer, code)}
    try:
        services = build_services(platform)
        for plan in PLANS:
            if plan.mtls and not door:
                (folder / f"{plan.name}.json").unlink(missing_ok=True)
                continue
            clients = {place: find_credentials(plan, place, clients_folder, certificates) for place in PLACES}
            secrets = await _register(services, plan, clients, clients_folder, suite)
            made[plan.name] = write_configuration(plan, issuer, door, clients, secrets, code)
    finally:
        await platform.close()
    # One module of the basic plan is about the other way to send a secret, and has a block of its own for it.
    made["basic"]["client_secret_post"] = made["post"]["client"]
    return [_write(folder / f"{name}.json", configuration) for name, configuration in made.items()]


async def _register(services: Services, plan: Plan, clients: Mapping[int, Credentials], folder: Path, suite: str) -> dict[int, str]:
    secrets = {}
    for place, credentials in clients.items():
        file = folder / f"{plan.name_client(place)}.secret"
        await _register_client(services, make_registration(plan, place, credentials, suite), file)
        if file.exists():
            secrets[place] = file.read_text(encoding="ascii").strip()
    return secrets


async def _register_client(services: Services, registration: Client, secret_file: Path) -> None:
    known = await services.directory.find(registration.client_id)
    async with services.platform.database.transaction() as tx:
        if known is None:
            secret = await services.clients.add(tx, registration, actor=ACTOR)
            if secret:
                write_private(secret_file, secret + "\n")
            return
        if known.secret_mac is not None and not os.path.exists(secret_file):  # noqa: ASYNC240 - one look, once at the start
            raise SecretLost(f"The secret of {registration.client_id} is gone; begin anew with --reset.")
        moved = replace(registration, **{name: getattr(known, name) for name in KEPT})
        if moved != known:
            await services.clients.replace(tx, moved, actor=ACTOR)


def _write(path: Path, configuration: dict[str, Any]) -> Path:
    write_private(path, json.dumps(configuration, ensure_ascii=False, indent=2) + "\n")
    return path
