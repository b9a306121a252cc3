"""The clients that a conformance suite finds: told of a sign-out by the one channel that their plan is about, or not at all."""

from pathlib import Path

import pytest

from idp.demo.certificates import CertificateFolder
from idp.demo.conformance_clients import PLANS, Plan, find_credentials, make_registration
from idp.protocol.rules.client_checks import check_client
from idp.protocol.rules.logout import Channel, choose_channel

SUITE = "https://suite.example"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_no_module_is_told_what_it_does_not_ask_for(tmp_path: Path, plan: Plan) -> None:
    client = make_registration(plan, 1, find_credentials(plan, 1, tmp_path, CertificateFolder(tmp_path)), SUITE)
    check_client(client)
    assert choose_channel(client.logout) is plan.channel
    addresses = [uri for uri in (client.logout.backchannel_logout_uri, client.logout.frontchannel_logout_uri) if uri]
    assert len(addresses) == (plan.channel is not Channel.NONE), "whoever has both is told on its own server, never through the browser"
    assert all(uri.startswith(f"{SUITE}/test/a/") for uri in addresses)


def test_each_channel_has_its_plan() -> None:
    assert [plan.name for plan in PLANS if plan.channel is not Channel.NONE] == ["back-channel", "front-channel"]
