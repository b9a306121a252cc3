"""What is an e-mail address, how it is written, and what breaks no mail header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.people.rules.email_address import LONGEST, EmailAddress, EmailSlip, check_email

LONG_DOMAIN = ".".join(["a" * 63, "b" * 63, "c" * 62])


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("zhao.an@example.com", "zhao.an@example.com"),
        ("  Zhao.An@Example.COM\n", "Zhao.An@example.com"),
        ("ｚｈａｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", "zhao@example.com"),
        ("zhao@example。com", "zhao@example.com"),
        ("\ufeffzhao@exam\u200bple.com", "zhao@example.com"),
        ("zhao@exam\u115fple\u3164.com", "zhao@example.com"),
        ("zhao@例子.中国", "zhao@xn--fsqu00a.xn--fiqs8s"),
        ("zhao@XN--fsqu00a.xn--fiqs8s", "zhao@xn--fsqu00a.xn--fiqs8s"),
        ("zhao@bu\u0308cher.example", "zhao@xn--bcher-kva.example"),
        ("zhao@BÜCHER.example", "zhao@xn--bcher-kva.example"),
        ("o'neill+tag/1=x!#$%&*?^_`{|}~-@a-1.example", "o'neill+tag/1=x!#$%&*?^_`{|}~-@a-1.example"),
        (f"{'x' * 64}@example.com", f"{'x' * 64}@example.com"),
        (f"{'x' * 64}@{LONG_DOMAIN[: LONGEST - 65]}", f"{'x' * 64}@{LONG_DOMAIN[: LONGEST - 65]}"),
    ],
    ids=range(13),
)
def test_addresses_as_they_are_kept(typed: str, kept: str) -> None:
    assert check_email(typed) == EmailAddress(kept)


@pytest.mark.parametrize(
    ("typed", "slip"),
    [
        ("", EmailSlip.EMPTY),
        (" \u3000\u200b", EmailSlip.EMPTY),
        ("zhao.example.com", EmailSlip.ONE_AT),
        ("zhao@an@example.com", EmailSlip.ONE_AT),
        ("@example.com", EmailSlip.LOCAL_PART),
        (".zhao@example.com", EmailSlip.LOCAL_PART),
        ("zhao.@example.com", EmailSlip.LOCAL_PART),
        ("zhao..an@example.com", EmailSlip.LOCAL_PART),
        ("zhao an@example.com", EmailSlip.LOCAL_PART),
        ("赵安@example.com", EmailSlip.LOCAL_PART),
        ('"zhao an"@example.com', EmailSlip.LOCAL_PART),
        ("zhao(an)@example.com", EmailSlip.LOCAL_PART),
        ("Zhao An <zhao@example.com>", EmailSlip.LOCAL_PART),
        ("zhao@example.com,an@example.com", EmailSlip.ONE_AT),
        ("zhao@example.com\r\nBcc: an@example.com", EmailSlip.ONE_AT),
        ("zhao@example.com\r\nSubject: x", EmailSlip.DOMAIN),
        ("zhao\r\nSubject:x@example.com", EmailSlip.LOCAL_PART),
        ("zhao\x00@example.com", EmailSlip.LOCAL_PART),
        ("zhao\x7f@example.com", EmailSlip.LOCAL_PART),
        (f"{'x' * 65}@example.com", EmailSlip.LOCAL_PART),
        ("zhao@", EmailSlip.DOMAIN),
        ("zhao@localhost", EmailSlip.DOMAIN),
        ("zhao@example..com", EmailSlip.DOMAIN),
        ("zhao@example.com.", EmailSlip.DOMAIN),
        ("zhao@-example.com", EmailSlip.DOMAIN),
        ("zhao@example-.com", EmailSlip.DOMAIN),
        ("zhao@exam_ple.com", EmailSlip.DOMAIN),
        ("zhao@192.0.2.1", EmailSlip.DOMAIN),
        ("zhao@[192.0.2.1]", EmailSlip.DOMAIN),
        (f"zhao@{'a' * 64}.com", EmailSlip.DOMAIN),
        (f"zhao@{'例' * 63}.com", EmailSlip.DOMAIN),
        ("zhao@straße.example", EmailSlip.DOMAIN),
        ("zhao@a\u200db.example", EmailSlip.DOMAIN),
        ("zhao@\U0001f600.example", EmailSlip.DOMAIN),
        ("zhao@xn--a.example", EmailSlip.DOMAIN),
        ("zhao@xn--c9is0j8h.cn", EmailSlip.DOMAIN),
        ("zhao@xn--4p2g158z6tnovmizw.cn", EmailSlip.DOMAIN),
        ("zhao@xn--fi-19b090l.cn", EmailSlip.DOMAIN),
        ("zhao@xn--example-.com", EmailSlip.DOMAIN),
        ("zhao@\u202emoc.elpmaxe", EmailSlip.DOMAIN),
        (f"z@{LONG_DOMAIN}.{'d' * 62}.com", EmailSlip.DOMAIN),
        (f"{'x' * 64}@{LONG_DOMAIN}", EmailSlip.TOO_LONG),
        (f"{'x' * 10_000}@example.com", EmailSlip.TOO_LONG),
    ],
    ids=range(43),
)
def test_what_is_no_address(typed: str, slip: EmailSlip) -> None:
    assert check_email(typed) is slip


MADE = r"[a-z.]{1,5}@[a-zé例.-]{1,12}|z@xn--[a-z0-9-]{1,16}\.cn"


@given(st.text(max_size=80) | st.from_regex(MADE, fullmatch=True))
def test_what_is_kept_is_ascii_bounded_and_read_again_as_itself(typed: str) -> None:
    found = check_email(typed)
    if isinstance(found, EmailAddress):
        assert found.value.isascii()
        assert found.value.isprintable()
        assert found.value.count("@") == 1
        assert len(found.value) <= LONGEST
        assert not set(' \r\n,;<>()[]:"\\') & set(found.value)
        assert check_email(found.value) == found
        assert check_email(found.write()) == found
        assert found.write().isprintable()


@pytest.mark.parametrize("domain", ["\ufdfa" * 500, ".".join(["\ufdfa" * 3] * 126), ".".join(["例"] * 200)], ids=["one", "many", "short"])
def test_a_domain_that_is_too_long_is_not_computed_over(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.people.rules.email_address._write_label", pytest.fail)
    assert check_email(f"z@{domain}") is EmailSlip.DOMAIN


def test_an_address_prints_masked_and_its_owner_reads_the_letters_of_the_domain() -> None:
    address = EmailAddress("zhao@xn--fsqu00a.xn--fiqs8s")
    assert (str(address), f"{address!r}", f"{address:>3}") == ("z***@例子.中国", "EmailAddress(z***@例子.中国)", "z***@例子.中国")
    assert address.write() == "zhao@例子.中国"
    assert str(EmailAddress("z@example.com")) == "***@example.com"
