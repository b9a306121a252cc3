"""Log lines are JSON and never name a person. All numbers are synthetic."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from idp.platform.logging import LONGEST_TEXT, configure_logging, get_logger, mask_text, mask_value

ID_NUMBER = "110101199003070038"  # synthetic
PHONE = "13900001234"  # synthetic


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging("info", written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_level_and_time(stream: io.StringIO) -> None:
    get_logger("idp.test").info("flush failed", rows=3, text="两\n行")
    get_logger("idp.test").debug("not shown")
    (line,) = read(stream)
    assert (line["event"], line["level"], line["rows"], line["source"], line["text"]) == ("flush failed", "info", 3, "idp.test", "两\n行")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "text",
    [
        ID_NUMBER,
        "11010119900307003X",
        f"id={ID_NUMBER},",
        f"号码{ID_NUMBER}错误",
        PHONE,
        f"+86{PHONE}",
        f"+86 {PHONE}",
        "139-0000-1234",
        f"phone:{PHONE}.",
        "911840199003070014",
        "USA110090030712",
        "usa110090030712",
        "6214830000000000015",
        "6214 8300 0000 0000 015",
        "5100000000000008",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "postgresql://idp:hunter2@127.0.0.1/idp",
        "Authorization: Bearer abcdefghijklmnop",
    ],
)
def test_nothing_personal_is_written(stream: io.StringIO, text: str) -> None:
    get_logger("t").warning(f"seen {text}", field=text, nested={"list": [text, {"deep": text}], text: 1}, error_object=ValueError(text))
    written = stream.getvalue()
    for hidden in (ID_NUMBER, "11010119900307003X", PHONE, "139-0000-1234", "eyJzdWIi", "hunter2", "abcdefghijklmnop", "900307", "0000"):
        assert hidden not in written


def test_numbers_and_field_names_are_masked_too(stream: io.StringIO) -> None:
    get_logger("t").info("x", number=int(ID_NUMBER), phone_number=int(PHONE), password="synthetic-password", code="480213", raw=b"bytes")
    (line,) = read(stream)
    assert line["number"] == line["phone_number"] == line["password"] == line["code"] == "***"
    assert line["raw"] == "<bytes>"


def test_what_proves_a_person_is_never_written(stream: io.StringIO) -> None:
    fields = ("social_security_card", "bank_card", "bank_phone", "housing_fund_account", "driver_license_file_number", "birthdate")
    get_logger("t").info("x", **dict.fromkeys(fields, "AB123"), card=6214830000000000015)
    (line,) = read(stream)
    assert [line[field] for field in (*fields, "card")] == ["***"] * 7


@pytest.mark.parametrize(
    "harmless",
    ["2026-03-02T01:00:00.123456Z", "019a2b3c-4d5e-7f80-9123-456789abcdef", "1772413200000", "1772413200000000000", "abc13900001234"],
)
def test_what_is_harmless_stays(harmless: str) -> None:
    assert mask_text(harmless) == harmless


def test_an_error_is_its_type_and_places_without_its_text(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"bad value 张三 {PHONE}")
    except ValueError:
        get_logger("t").exception("failed")
    (line,) = read(stream)
    assert line["error"] == "ValueError"
    assert "test_an_error_is_its_type_and_places_without_its_text" in line["at"][-1]
    assert "张三" not in stream.getvalue()


def test_libraries_write_the_same_lines(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("odd thing of %s", PHONE)
    (line,) = read(stream)
    assert line["source"] == "some.library"
    assert line["event"] == "odd thing of ***"


def test_values_are_bounded() -> None:
    assert len(mask_text("x" * 100_000)) == LONGEST_TEXT
    endless: list[Any] = []
    endless.append(endless)
    assert "…" in str(mask_value(endless))
