"""Posted forms are read strictly: strict UTF-8, every name once, no control characters, bounded."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.http.forms import BadForm, FormTooLarge, parse_form

text = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=50)


@given(st.binary(max_size=500))
def test_any_bytes_are_a_form_or_a_bad_form(body: bytes) -> None:
    try:
        form = parse_form(body)
    except BadForm:
        return
    assert all(isinstance(form[name], str) for name in form)


@given(st.dictionaries(text.filter(bool), text, max_size=20))
def test_what_was_encoded_is_read_back(fields: dict[str, str]) -> None:
    assert dict(parse_form(urlencode(fields).encode())) == fields


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=%zz",
        b"a=%",
        b"a=%ff",
        b"a=\xff",
        b"a=%00",
        b"a=%07",
        b"=x",
        b"x" * 101 + b"=1",
        b"&".join(b"n%d=1" % n for n in range(65)),
    ],
)
def test_what_is_not_one_clean_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadForm):
        parse_form(body)


def test_a_form_and_its_fields_are_bounded() -> None:
    with pytest.raises(FormTooLarge):
        parse_form(b"a=" + b"x" * 100, limit=100)
    form = parse_form(b"a=" + b"x" * 40)
    assert form.get("a", 40) == "x" * 40
    with pytest.raises(BadForm):
        form.get("a", 39)


def test_a_form_prints_without_what_was_typed() -> None:
    assert repr(parse_form(b"password=secret&identifier=350102194001010005")) == "Form(['identifier', 'password'])"
