"""The authorization decision, step by step."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idp.kernel.levels import Acr, Factor, Proved
from idp.protocol.rules.authorization import (
    FIRST_VISIT,
    AccountChoiceRequired,
    Barred,
    ConsentRequired,
    Denied,
    Granted,
    LevelUnreachable,
    Progress,
    ProofRequired,
    SignInRequired,
    Standing,
    decide,
)
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.claims_request import VERIFIED, Asked, ClaimAsk, ClaimsRequest, VerifiedAsk
from idp.protocol.rules.client import Basis, Client, Entitlement
from idp.protocol.rules.consents import NO_CONSENTS
from idp.protocol.rules.terms import Terms
from tests.support.protocol_samples import CLIENT, NOW, make_client, make_request, make_standing

CONSENT = Entitlement("公积金提取", Basis.CONSENT, ("name", "birthdate"))
DUTY = Entitlement("不动产登记", Basis.STATUTORY_DUTY, ("name",))
PASSWORD_ONLY = (Factor.PASSWORD,)
SUBSTANTIAL = make_client(minimum_acr=Acr.SUBSTANTIAL)


def test_a_live_session_is_enough() -> None:
    decision = decide(make_request(), CLIENT, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(decision, Granted)
    assert (decision.acr, decision.aal, decision.auth_time) == (Acr.SUBSTANTIAL, 2, NOW - timedelta(seconds=60))


def test_nobody_here_must_sign_in() -> None:
    assert decide(make_request(), SUBSTANTIAL, None, None, FIRST_VISIT, NOW) == SignInRequired(Acr.SUBSTANTIAL, None)


@pytest.mark.parametrize("status", ["pending", "frozen", "banned", "unban_requested", "closing", "closed", "deceased"])
def test_every_status_but_active_counts_as_nobody(status: str) -> None:
    assert isinstance(decide(make_request(), CLIENT, make_standing(person_status=status), None, FIRST_VISIT, NOW), SignInRequired)


def test_s16_too_little_is_a_step_up_and_with_prompt_none_login_required() -> None:
    standing = make_standing(*PASSWORD_ONLY)
    assert isinstance(decide(make_request(), CLIENT, standing, None, FIRST_VISIT, NOW), Granted)
    wanted = make_request(wanted=Acr.SUBSTANTIAL)
    assert decide(wanted, CLIENT, standing, None, FIRST_VISIT, NOW) == SignInRequired(Acr.SUBSTANTIAL, None)
    silent = wanted._replace(prompts=frozenset({"none"}))
    decision = decide(silent, CLIENT, standing, None, FIRST_VISIT, NOW)
    assert isinstance(decision, Denied)
    assert decision.error.error == "login_required"


def test_a_person_too_little_known_is_led_to_prove_more_before_anything_is_lowered() -> None:
    for request, client in ((make_request(wanted=Acr.SUBSTANTIAL), CLIENT), (make_request(), SUBSTANTIAL)):
        assert decide(request, client, make_standing(ial=2), None, FIRST_VISIT, NOW) == ProofRequired(Acr.SUBSTANTIAL)
        silent = decide(request._replace(prompts=frozenset({"none"})), client, make_standing(ial=2), None, FIRST_VISIT, NOW)
        assert isinstance(silent, Denied)
        assert silent.error.error == "login_required"


def test_what_can_be_proved_today_comes_before_the_page_that_raises_the_rest() -> None:
    nothing_fresh = Progress(fresh_after=NOW, signed_in=True)
    asked = decide(make_request(wanted=Acr.SUBSTANTIAL), CLIENT, make_standing(ial=2, age=60), None, nothing_fresh, NOW)
    assert isinstance(asked, SignInRequired)
    assert decide(make_request(), SUBSTANTIAL, make_standing(ial=1), None, FIRST_VISIT, NOW) == ProofRequired(Acr.SUBSTANTIAL)


def test_what_waits_for_tomorrow_is_told_at_once_without_a_page() -> None:
    recovered = make_standing()._replace(recovered_at=NOW - timedelta(hours=1))
    assert isinstance(decide(make_request(), SUBSTANTIAL, recovered, None, FIRST_VISIT, NOW), LevelUnreachable)
    silent = decide(make_request(prompts=frozenset({"none"})), SUBSTANTIAL, recovered, None, FIRST_VISIT, NOW)
    assert isinstance(silent, Denied)
    assert silent.error.error == "unmet_authentication_requirements"


def test_what_items_cannot_lead_to_is_not_asked_for() -> None:
    decision = decide(make_request(wanted=Acr.HIGH), CLIENT, make_standing(ial=2), None, FIRST_VISIT, NOW)
    assert isinstance(decision, Granted)
    assert decision.acr is Acr.LOW


def test_a_person_who_declines_gets_the_true_lower_class() -> None:
    decision = decide(make_request(wanted=Acr.SUBSTANTIAL), CLIENT, make_standing(ial=2), None, Progress(declined=True), NOW)
    assert isinstance(decision, Granted)
    assert decision.acr is Acr.LOW


def test_a_person_who_declines_the_clients_minimum_is_never_lowered() -> None:
    decision = decide(make_request(), SUBSTANTIAL, make_standing(ial=2), None, Progress(declined=True), NOW)
    assert isinstance(decision, LevelUnreachable)
    assert decision.error.error == "unmet_authentication_requirements"


def test_a_wish_beyond_reach_asks_for_the_best_that_can_be_reached() -> None:
    wishing = make_request(wanted=Acr.HIGH)
    assert decide(wishing, CLIENT, make_standing(*PASSWORD_ONLY), None, FIRST_VISIT, NOW) == SignInRequired(Acr.SUBSTANTIAL, None)


def test_what_is_counted_is_what_is_told() -> None:
    old = make_standing(age=3600)
    fresh = old._replace(proved=(Proved(Factor.PASSWORD, NOW), *(p for p in old.proved if p.factor is Factor.SMS)))
    decision = decide(make_request(), CLIENT, fresh, None, Progress(fresh_after=NOW - timedelta(seconds=1), signed_in=True), NOW)
    assert isinstance(decision, Granted)
    assert decision.proved == (Proved(Factor.PASSWORD, NOW),)
    assert (decision.auth_time, decision.acr) == (NOW, Acr.LOW)


def test_max_age_holds_for_a_flow_that_waited_for_another_tab() -> None:
    begun = decide(make_request(max_age=10), CLIENT, None, None, FIRST_VISIT, NOW)
    assert begun == SignInRequired(Acr.LOW, NOW - timedelta(seconds=10))
    later = decide(make_request(max_age=10), CLIENT, make_standing(age=600), None, Progress(fresh_after=begun.fresh_after), NOW)
    assert isinstance(later, SignInRequired)


def test_high_is_not_reached_here_and_counts_as_a_wish() -> None:
    decision = decide(make_request(wanted=Acr.HIGH), CLIENT, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(decision, Granted)
    assert decision.acr is Acr.SUBSTANTIAL


def test_an_old_phone_match_makes_the_code_no_second_factor() -> None:
    stale = make_standing(phone_matched_at=NOW - timedelta(days=90))
    assert decide(make_request(), SUBSTANTIAL, stale, None, FIRST_VISIT, NOW) == ProofRequired(Acr.SUBSTANTIAL)
    lowered = decide(make_request(wanted=Acr.SUBSTANTIAL), CLIENT, stale, None, Progress(declined=True), NOW)
    assert isinstance(lowered, Granted)
    assert (lowered.acr, lowered.aal) == (Acr.LOW, 1)
    assert isinstance(decide(make_request(), SUBSTANTIAL, stale, None, Progress(declined=True), NOW), LevelUnreachable)


@pytest.mark.parametrize("asked", [{"prompts": frozenset({"login"})}, {"max_age": 0}, {"prompts": frozenset({"login", "select_account"})}])
def test_prompt_login_asks_even_in_the_very_second_of_a_sign_in(asked: dict[str, Any]) -> None:
    request = make_request(**asked)
    decision = decide(request, CLIENT, make_standing(age=0), None, FIRST_VISIT, NOW)
    assert decision == SignInRequired(Acr.LOW, NOW)
    again = decide(request, CLIENT, make_standing(age=0), None, Progress(fresh_after=NOW, signed_in=True), NOW)
    assert isinstance(again, Granted)
    old = decide(request, CLIENT, make_standing(age=1), None, Progress(fresh_after=NOW, signed_in=True), NOW)
    assert isinstance(old, SignInRequired)


def test_max_age_counts_the_oldest_factor() -> None:
    assert isinstance(decide(make_request(max_age=60), CLIENT, make_standing(age=60), None, FIRST_VISIT, NOW), Granted)
    assert decide(make_request(max_age=59), CLIENT, make_standing(age=60), None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, NOW)
    fresh = decide(
        make_request(max_age=1), CLIENT, make_standing(age=5), None, Progress(fresh_after=NOW - timedelta(seconds=9), signed_in=True), NOW
    )
    assert isinstance(fresh, Granted)


@pytest.mark.parametrize(
    ("max_age", "age", "again"),
    [
        (600, 600, False),
        (600, 601, True),
        (60, 300, False),  # the sign-in itself takes time, so who proved everything in the last minutes is here
        (60, 301, True),
        (0, 3_000, False),
        (None, 3_000, False),
    ],
)
def test_max_age_runs_out_while_a_flow_waits(max_age: int | None, age: int, again: bool) -> None:
    request, standing = make_request(max_age=max_age), make_standing(age=age)
    begun = NOW - timedelta(seconds=age)
    waited = decide(request, CLIENT, standing, None, Progress(fresh_after=begun, signed_in=True), NOW)
    assert waited == SignInRequired(Acr.LOW, NOW) if again else isinstance(waited, Granted)
    anew = decide(request, CLIENT, make_standing(age=0), None, Progress(fresh_after=NOW, signed_in=True), NOW + timedelta(seconds=300))
    assert isinstance(anew, Granted)


def test_max_age_is_looked_at_after_all_that_the_person_is_asked() -> None:
    request, client = make_request(max_age=60, scope=("openid", "profile")), make_client(entitlements=(CONSENT,))
    assert isinstance(decide(request, client, make_standing(age=1_000), None, Progress(signed_in=True), NOW), ConsentRequired)


def test_every_factor_counts_while_a_flow_waits() -> None:
    old = make_standing(age=900)
    proved = (old.proved[0], replace(old.proved[1], at=NOW))
    decision = decide(make_request(max_age=600), CLIENT, old._replace(proved=proved), None, Progress(signed_in=True), NOW)
    assert decision == SignInRequired(Acr.LOW, NOW), "auth_time is that of the oldest"


def test_max_age_with_prompt_none_is_login_required() -> None:
    decision = decide(make_request(max_age=1, prompts=frozenset({"none"})), CLIENT, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(decision, Denied)
    assert decision.error.error == "login_required"


def test_consent_is_asked_once_per_purpose_and_version() -> None:
    client = make_client(entitlements=(CONSENT, DUTY))
    assert decide(make_request(), client, make_standing(), None, FIRST_VISIT, NOW) == ConsentRequired((CONSENT,))
    agreed = make_standing(consents={(CONSENT.purpose, 1): frozenset(CONSENT.claims)})
    assert isinstance(decide(make_request(), client, agreed, None, FIRST_VISIT, NOW), Granted)
    for now in (replace(CONSENT, version=2), replace(CONSENT, claims=(*CONSENT.claims, "id_document"))):
        changed = make_client(entitlements=(now,))
        assert isinstance(decide(make_request(), changed, agreed, None, FIRST_VISIT, NOW), ConsentRequired)


def test_how_claims_were_verified_is_part_of_the_question() -> None:
    client = make_client(entitlements=(CONSENT, DUTY))
    asks = (VerifiedAsk({"trust_framework": None}, {"birthdate": ClaimAsk()}),)
    request = make_request(terms=Terms(claims=ClaimsRequest(userinfo=Asked(verified=asks))))
    question = replace(CONSENT, claims=(*CONSENT.claims, VERIFIED))
    for before in (NO_CONSENTS, {(CONSENT.purpose, 1): frozenset(CONSENT.claims)}):
        assert decide(request, client, make_standing(consents=before), None, FIRST_VISIT, NOW) == ConsentRequired((question,))
    agreed = {(CONSENT.purpose, 1): frozenset(question.claims)}
    assert isinstance(decide(request, client, make_standing(consents=agreed), None, FIRST_VISIT, NOW), Granted)
    assert isinstance(decide(request, make_client(entitlements=(DUTY,)), make_standing(), None, FIRST_VISIT, NOW), Granted)


def test_s57_a_statutory_duty_asks_no_page() -> None:
    assert isinstance(decide(make_request(), make_client(entitlements=(DUTY,)), make_standing(), None, FIRST_VISIT, NOW), Granted)


def test_consent_is_not_asked_for_what_the_scope_does_not_want() -> None:
    assert isinstance(
        decide(make_request(scope=("openid",)), make_client(entitlements=(CONSENT,)), make_standing(), None, FIRST_VISIT, NOW), Granted
    )


def test_prompt_consent_asks_again_once() -> None:
    client = make_client(entitlements=(CONSENT,))
    agreed = make_standing(consents={(CONSENT.purpose, 1): frozenset(CONSENT.claims)})
    request = make_request(prompts=frozenset({"consent"}))
    assert isinstance(decide(request, client, agreed, None, FIRST_VISIT, NOW), ConsentRequired)
    assert isinstance(decide(request, client, agreed, None, Progress(consented=True), NOW), Granted)


def test_prompt_none_with_a_missing_consent() -> None:
    decision = decide(
        make_request(prompts=frozenset({"none"})), make_client(entitlements=(CONSENT,)), make_standing(), None, FIRST_VISIT, NOW
    )
    assert isinstance(decision, Denied)
    assert decision.error.error == "consent_required"


def test_who_does_not_agree_is_told_to_the_client() -> None:
    decision = decide(make_request(), make_client(entitlements=(CONSENT,)), make_standing(), None, Progress(denied=True), NOW)
    assert isinstance(decision, Denied)
    assert decision.error.error == "access_denied"


def test_an_id_token_hint_of_somebody_else_never_grants() -> None:
    hinted = make_request(id_token_hint="token")
    assert isinstance(decide(hinted, CLIENT, make_standing(), "sub-7", FIRST_VISIT, NOW), Granted)
    assert isinstance(decide(hinted, CLIENT, make_standing(), "sub-8", FIRST_VISIT, NOW), SignInRequired)
    for request, progress in ((hinted._replace(prompts=frozenset({"none"})), FIRST_VISIT), (hinted, Progress(signed_in=True))):
        decision = decide(request, CLIENT, make_standing(), "sub-8", progress, NOW)
        assert isinstance(decision, Denied)
        assert decision.error.error == "login_required"


def test_prompt_none_grants_where_nothing_is_missing() -> None:
    silent = make_request(prompts=frozenset({"none"}))
    assert isinstance(decide(silent, CLIENT, make_standing(), None, FIRST_VISIT, NOW), Granted)


@pytest.mark.parametrize("hours, granted", [(0, False), (23, False), (24, True), (None, True)])
def test_within_a_day_of_a_recovery_nothing_counts_as_more_than_one_factor(hours: int | None, granted: bool) -> None:
    recovered_at = None if hours is None else NOW - timedelta(hours=hours)
    somebody = make_standing()._replace(recovered_at=recovered_at)
    decision = decide(make_request(), SUBSTANTIAL, somebody, None, FIRST_VISIT, NOW)
    assert isinstance(decision, Granted if granted else LevelUnreachable), "proving more does not shorten the day"
    lower = decide(make_request(), CLIENT, somebody, None, FIRST_VISIT, NOW)
    assert isinstance(lower, Granted)
    assert (lower.aal == 2) is granted
    assert len(lower.proved) == lower.aal, "no more factors are told than were counted"


PASSKEY_ONLY = (Factor.PASSKEY,)
HIGH = make_client(minimum_acr=Acr.HIGH)
PHR = make_request(wanted=Acr.PHR)


def test_s12_who_has_a_passkey_uses_it_where_a_phishing_resistant_sign_in_is_asked() -> None:
    holder = make_standing(has_passkey=True)
    assert decide(PHR, CLIENT, holder, None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None, resistant=True)
    assert decide(PHR, SUBSTANTIAL, holder, None, FIRST_VISIT, NOW) == SignInRequired(Acr.SUBSTANTIAL, None, resistant=True)
    assert decide(PHR, CLIENT, None, None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None, resistant=True)
    used = decide(PHR, SUBSTANTIAL, make_standing(*PASSKEY_ONLY, has_passkey=True), None, FIRST_VISIT, NOW)
    assert isinstance(used, Granted)
    assert (used.acr, used.aal) == (Acr.PHR, 2)
    silent = decide(make_request(wanted=Acr.PHR, prompts=frozenset({"none"})), CLIENT, holder, None, FIRST_VISIT, NOW)
    assert isinstance(silent, Denied)
    assert silent.error.error == "login_required"


@pytest.mark.parametrize("standing", [make_standing(), make_standing(has_passkey=True)])
def test_s12_a_wish_ends_in_the_true_lower_class_for_who_has_none_or_cannot_now(standing: Standing) -> None:
    progress = Progress(without_passkey=True) if standing.has_passkey else FIRST_VISIT
    lowered = decide(PHR, CLIENT, standing, None, progress, NOW)
    assert isinstance(lowered, Granted)
    assert lowered.acr is Acr.SUBSTANTIAL


@pytest.mark.parametrize("request_, client", [(make_request(wanted=Acr.PHR, essential=(Acr.PHR,)), CLIENT), (make_request(), HIGH)])
def test_s12_what_is_insisted_on_is_never_lowered(request_: AuthorizationRequest, client: Client) -> None:
    wanted = Acr.HIGH if client is HIGH else Acr.LOW
    for standing in (make_standing(ial=4), make_standing(ial=4, has_passkey=True), None):
        assert decide(request_, client, standing, None, FIRST_VISIT, NOW) == SignInRequired(wanted, None, resistant=True, insists=True)
        ended = decide(request_, client, standing, None, Progress(without_passkey=True), NOW)
        assert isinstance(ended, LevelUnreachable)
        assert ended.without_passkey
        assert ended.error.error == "unmet_authentication_requirements"
    used = decide(request_, client, make_standing(*PASSKEY_ONLY, ial=4), None, FIRST_VISIT, NOW)
    assert isinstance(used, Granted)
    assert used.acr is (Acr.HIGH if client is HIGH else Acr.PHR)


def test_high_asks_no_passkey_of_who_is_too_little_known() -> None:
    assert isinstance(decide(make_request(), HIGH, make_standing(ial=3, has_passkey=True), None, FIRST_VISIT, NOW), LevelUnreachable)
    wish = decide(make_request(wanted=Acr.HIGH), CLIENT, make_standing(ial=3), None, FIRST_VISIT, NOW)
    assert isinstance(wish, Granted)
    assert wish.acr is Acr.SUBSTANTIAL


def test_nothing_reaches_hardware_and_the_wish_ends_in_what_is_true() -> None:
    hardware = make_request(wanted=Acr.PHRH)
    used = decide(hardware, CLIENT, make_standing(*PASSKEY_ONLY, has_passkey=True), None, FIRST_VISIT, NOW)
    assert isinstance(used, Granted)
    assert used.acr is Acr.PHR
    insisted = hardware._replace(essential=(Acr.PHRH,))
    assert isinstance(decide(insisted, CLIENT, make_standing(*PASSKEY_ONLY), None, FIRST_VISIT, NOW), LevelUnreachable)
    assert isinstance(decide(insisted, CLIENT, make_standing(*PASSKEY_ONLY), None, Progress(), NOW), LevelUnreachable)


def test_on_the_day_of_a_recovery_no_passkey_is_phishing_resistant() -> None:
    recovered = make_standing(*PASSKEY_ONLY, has_passkey=True, recovered_at=NOW - timedelta(hours=1))
    wish = decide(PHR, CLIENT, recovered, None, FIRST_VISIT, NOW)
    assert isinstance(wish, Granted)
    assert (wish.acr, wish.aal) == (Acr.LOW, 1)
    insisted = decide(PHR._replace(essential=(Acr.PHR,)), CLIENT, recovered, None, FIRST_VISIT, NOW)
    assert isinstance(insisted, LevelUnreachable)
    assert not insisted.without_passkey, "the day is the reason"


def test_an_essential_class_is_the_one_that_is_told_and_never_lowered() -> None:
    essential = make_request(wanted=Acr.LOW, essential=(Acr.LOW,))
    granted = decide(essential, CLIENT, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(granted, Granted)
    assert granted.acr is Acr.LOW, "what is asked for, which is true of more as well"
    substantial = make_request(wanted=Acr.SUBSTANTIAL, essential=(Acr.SUBSTANTIAL,))
    stale = make_standing(phone_matched_at=NOW - timedelta(days=90))
    assert isinstance(decide(substantial, CLIENT, stale, None, Progress(declined=True), NOW), LevelUnreachable)
    assert decide(substantial, CLIENT, make_standing(*PASSWORD_ONLY), None, FIRST_VISIT, NOW) == SignInRequired(Acr.SUBSTANTIAL, None)


def test_of_several_essential_classes_the_one_within_reach_is_asked() -> None:
    either = make_request(wanted=Acr.HIGH, essential=(Acr.SUBSTANTIAL, Acr.HIGH))
    granted = decide(either, CLIENT, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(granted, Granted)
    assert granted.acr is Acr.SUBSTANTIAL
    better = decide(either, CLIENT, make_standing(*PASSKEY_ONLY, ial=4, has_passkey=True), None, FIRST_VISIT, NOW)
    assert isinstance(better, Granted)
    assert better.acr is Acr.HIGH


@pytest.mark.parametrize("progress", [FIRST_VISIT, Progress(signed_in=True)])
def test_s10_who_is_barred_here_is_told_and_then_the_client(progress: Progress) -> None:
    barred = decide(make_request(), CLIENT, make_standing(barred=True), None, progress, NOW)
    assert isinstance(barred, Barred)
    assert barred.error.error == "access_denied"
    silent = decide(make_request(prompts=frozenset({"none"})), CLIENT, make_standing(barred=True), None, progress, NOW)
    assert isinstance(silent, Denied)
    assert silent.error.error == "access_denied"


CONFIRMING = make_client(confirms_sign_on=True)
ISOLATED = make_client(isolated=True)


def test_s13_who_is_signed_in_already_is_asked_once_by_a_client_that_wants_it() -> None:
    assert decide(make_request(), CONFIRMING, make_standing(), None, FIRST_VISIT, NOW) == AccountChoiceRequired()
    assert isinstance(decide(make_request(), CONFIRMING, make_standing(), None, Progress(confirmed=True), NOW), Granted)
    assert isinstance(decide(make_request(), CONFIRMING, make_standing(confirmed=True), None, FIRST_VISIT, NOW), Granted)
    assert isinstance(decide(make_request(), CONFIRMING, make_standing(), None, Progress(signed_in=True), NOW), Granted)
    assert isinstance(decide(make_request(), CLIENT, make_standing(), None, FIRST_VISIT, NOW), Granted)
    silent = decide(make_request(prompts=frozenset({"none"})), CONFIRMING, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(silent, Denied)
    assert silent.error.error == "interaction_required"


def test_prompt_select_account_asks_every_time_and_proves_nothing_anew() -> None:
    request = make_request(prompts=frozenset({"select_account"}))
    assert decide(request, CLIENT, make_standing(confirmed=True), None, FIRST_VISIT, NOW) == AccountChoiceRequired()
    assert isinstance(decide(request, CLIENT, make_standing(), None, Progress(confirmed=True), NOW), Granted)
    assert decide(request, CLIENT, None, None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None)


def test_s33_an_isolated_client_takes_what_was_proved_for_itself_alone() -> None:
    assert decide(make_request(), ISOLATED, make_standing(), None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None)
    silent = decide(make_request(prompts=frozenset({"none"})), ISOLATED, make_standing(), None, FIRST_VISIT, NOW)
    assert isinstance(silent, Denied)
    assert silent.error.error == "login_required"
    own = (Proved(Factor.PASSWORD, NOW - timedelta(seconds=60)),)
    granted = decide(make_request(), ISOLATED, make_standing(own=own), None, FIRST_VISIT, NOW)
    assert isinstance(granted, Granted)
    assert (granted.acr, granted.proved) == (Acr.LOW, own), "the code was typed elsewhere"
    older = (Proved(Factor.PASSWORD, NOW - timedelta(seconds=61)),)
    assert isinstance(decide(make_request(), ISOLATED, make_standing(own=older), None, FIRST_VISIT, NOW), Granted), "proved again since"
    newer = (Proved(Factor.PASSWORD, NOW - timedelta(seconds=59)),)
    left = decide(make_request(), ISOLATED, make_standing(own=newer), None, FIRST_VISIT, NOW)
    assert left == SignInRequired(Acr.LOW, None), "the sign-in here does not have this proof"
    gone = make_standing(Factor.SMS, own=own)
    assert isinstance(decide(make_request(), ISOLATED, gone, None, FIRST_VISIT, NOW), SignInRequired)
    assert decide(make_request(max_age=60), ISOLATED, make_standing(), None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None)
    assert decide(make_request(max_age=30), ISOLATED, make_standing(own=own), None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, NOW)


def test_prompt_create_leads_to_registration_once() -> None:
    request = make_request(prompts=frozenset({"create"}))
    for standing in (None, make_standing()):
        assert decide(request, CLIENT, standing, None, FIRST_VISIT, NOW) == SignInRequired(Acr.LOW, None, creates=True)
    assert isinstance(decide(request, CLIENT, make_standing(), None, Progress(signed_in=True), NOW), Granted)
