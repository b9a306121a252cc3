"""Decides what proving people is made of: the services of registration, raising and waiting, built from one platform."""

from dataclasses import dataclass
from pathlib import Path

from idp.authenticators.services.codes import Codes
from idp.authenticators.services.passwords import Passwords
from idp.composition import Platform, SettingRefused
from idp.people.rules.item_numbers import ItemForm, ItemForms
from idp.people.rules.proofing_items import ItemPlan
from idp.people.services.activation import Activation
from idp.people.services.agreements import UnusableAgreement, load_agreements
from idp.people.services.check_limits import CheckLimits
from idp.people.services.directory import People
from idp.people.services.drafts import Drafts
from idp.people.services.proofing import Proofing
from idp.people.services.raising import Raising
from idp.people.services.registration import Registration
from idp.people.services.waiting import Waiting
from idp.settings import RegistrationSettings


@dataclass(frozen=True)
class Enrolment:
    """What pages and further services use to prove people."""

    proofing: Proofing
    registration: Registration
    raising: Raising


def build_enrolment(platform: Platform, people: People, passwords: Passwords, codes: Codes) -> Enrolment:
    """Build the services. Raises SettingRefused when the agreement's text cannot be read."""
    clock, random, audit, database = platform.clock, platform.random, platform.audit_log, platform.database
    index = platform.data_keys.index("index")
    chosen = platform.settings.registration
    try:
        agreements = load_agreements(chosen.agreement_version, Path(chosen.agreement_folder) if chosen.agreement_folder else None)
    except UnusableAgreement as error:
        raise SettingRefused(str(error)) from None
    drafts = _make_drafts(platform)
    proofing = Proofing(
        database,
        platform.transients,
        platform.sources,
        index,
        platform.data_keys.mac("evidence"),
        audit,
        clock,
        random,
        _read_limits(chosen),
        _read_plan(chosen),
    )
    activation = Activation(database, drafts, passwords, platform.data_keys.sealer("people"), index, platform.outbox, audit, clock, random)
    return Enrolment(
        proofing=proofing,
        registration=Registration(database, drafts, codes, proofing, passwords, activation, agreements, index, audit, clock),
        raising=Raising(database, drafts, people, proofing, activation, audit, clock),
    )


def build_waiting(platform: Platform) -> Waiting:
    """Build what the worker does about registrations that nobody is working on."""
    return Waiting(platform.database, _make_drafts(platform), platform.sources, platform.outbox, platform.audit_log, platform.clock)


def _make_drafts(platform: Platform) -> Drafts:
    keys = platform.data_keys
    return Drafts(platform.database, keys.sealer("drafts"), platform.clock, platform.random)


def _read_plan(chosen: RegistrationSettings) -> ItemPlan:
    forms = ItemForms(
        social_security_card=ItemForm(chosen.social_security_card_shortest, chosen.social_security_card_longest, letters=True),
        housing_fund_account=ItemForm(chosen.housing_fund_account_shortest, chosen.housing_fund_account_longest, letters=True),
    )
    return ItemPlan(forms, bank_phone=chosen.bank_card_factors == 4)


def _read_limits(chosen: RegistrationSettings) -> CheckLimits:
    return CheckLimits(
        person=chosen.checks_per_person_and_day or None,
        unproven_phone=chosen.checks_per_unproven_phone,
        device_day=chosen.checks_per_device_and_day,
        address_hour=chosen.checks_per_address_and_hour,
        network_hour=chosen.checks_per_network_and_hour,
        budget_minute=chosen.checks_per_minute,
        starts_address_hour=chosen.starts_per_address_and_hour,
        starts_device_day=chosen.starts_per_device_and_day,
    )
