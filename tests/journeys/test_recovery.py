"""Somebody who forgot the password comes back over real HTTP: simulated authorities, SMS and a department, with forms alone."""

import pytest

from idp.demo.population import make_person
from tests.support.demo import RunningDemo
from tests.support.forms import FormsBrowser, enter_department, read_messages, read_sms_code

pytestmark = pytest.mark.xdist_group("journeys")
FORGETFUL = 3
"""A synthetic person with an account, whom no other journey uses; of level 2."""
FRONT = "您已登录"
CHOSEN = "seven quiet herons"


def test_a_forgotten_password_is_recovered_for_one_factor_and_a_day(demo: RunningDemo) -> None:
    person = make_person(FORGETFUL)
    browser = FormsBrowser()
    page = enter_department(browser, demo.departments[1])
    assert page.links["recover"]
    assert page.links["register"]
    page = browser.follow("recover")
    sent = len(read_messages(demo.issuer, person.phone))
    page = browser.submit(page.find_form("id_number"), name=person.name, document_kind=person.document_kind, id_number=person.id_number)
    code = read_sms_code(demo.issuer, person.phone, sent)
    assert "找回密码" in read_messages(demo.issuer, person.phone)[0]["text"]
    page = browser.submit(page.find_form("code"), code=code)
    page = browser.submit(page.find_form("bank_card"), bank_card=person.bank_card[:-1] + str((int(person.bank_card[-1]) + 1) % 10))
    assert page.status == 422
    page = browser.submit(page.find_form("bank_card"), housing_fund_account=person.housing_fund_account, bank_card="")
    sent = len(read_messages(demo.issuer, person.phone))
    page = browser.submit(page.find_form("password"), password=CHOSEN)
    assert 'data-code="recovery_day"' in page.text, "the department wants two factors, and for a day there is one"
    assert page.links["back"].startswith(demo.departments[1]), "it is told, and the way back is open"
    assert FRONT in browser.get(demo.issuer + "/").text, "the person is signed in all the same"
    again = FormsBrowser()
    page = again.get(demo.issuer + "/")
    again.submit(page.find_form("password"), identifier=person.id_number, password=CHOSEN)
    assert FRONT in again.get(demo.issuer + "/").text
    assert len(read_messages(demo.issuer, person.phone)) > sent, "and a message says that the password was changed"
