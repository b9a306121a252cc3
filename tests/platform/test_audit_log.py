"""What one audit row holds, what its mac covers, and how an altered row is told."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
from idp.kernel.clock import read_system_random
from idp.platform.audit_log import COLUMNS, INSERT_EVENT, AuditLog, RowFault, encode_row, read_place, verify_row
from keys import Mac, Sealer, Unsealable

NOW = datetime(2026, 3, 1, 8, 30, 15, 123_456, tzinfo=UTC)
PERSON = UUID("0195f3a0-0000-7000-8000-000000000001")
EVENT = AuditEvent(
    Kind.AUTHORIZED,
    Result.DONE,
    actor="person",
    person_id=PERSON,
    client_id="department-one",
    request_id="r-1",
    details={"acr": "low", "tries": 2, "returning": True, "reason": None},
    place=Place("203.0.113.9", "phone"),
)


@pytest.fixture
def mac() -> Mac:
    return Mac({"audit-1": b"1" * 32, "audit-2": b"2" * 32}, "audit-2")


@pytest.fixture
def places() -> Sealer:
    return Sealer({"places-1": b"p" * 32}, "places-1")


@pytest.fixture
def log(mac: Mac, places: Sealer) -> AuditLog:
    return AuditLog(mac, places, lambda: NOW, read_system_random)


def as_row(log: AuditLog, event: AuditEvent = EVENT) -> dict[str, Any]:
    return msgspec.structs.asdict(log.prepare(event))


def test_a_row_carries_the_event(log: AuditLog, places: Sealer) -> None:
    row = as_row(log)
    assert row["at"] == NOW
    assert row["id"].version == 7
    assert (row["kind"], row["result"], row["actor"], row["client_id"]) == ("authorized", "done", "person", "department-one")
    assert type(row["kind"]) is str
    assert json.loads(row["details"]) == EVENT.details
    assert row["key_id"] == "audit-2"
    assert read_place(row, places) == EVENT.place
    assert b"203.0.113.9" not in row["sealed_place"]


def test_columns_and_statement_agree() -> None:
    named = INSERT_EVENT.split("(", 1)[1].split(")", 1)[0]
    assert tuple(name.strip() for name in named.split(",")) == COLUMNS


def test_an_untouched_row_verifies(log: AuditLog, mac: Mac) -> None:
    assert verify_row(as_row(log), mac) is None
    assert verify_row(as_row(log, dataclasses.replace(EVENT, place=None, person_id=None, client_id=None)), mac) is None


@pytest.mark.parametrize(
    "column, value",
    [
        ("at", NOW + timedelta(microseconds=1)),
        ("id", UUID(int=7)),
        ("kind", "token_issued"),
        ("result", "refused"),
        ("actor", "someone"),
        ("person_id", None),
        ("client_id", None),
        ("client_id", "department-two"),
        ("request_id", "r-2"),
        ("details", '{"acr":"high","tries":2,"returning":true,"reason":null}'),
        ("place_hash", bytes(32)),
        ("place_hash", None),
        ("key_id", "audit-1"),  # another key of ours
        ("mac", bytes(32)),
    ],
)
def test_every_altered_column_is_told(log: AuditLog, mac: Mac, column: str, value: object) -> None:
    row = as_row(log)
    row[column] = value
    assert verify_row(row, mac) is RowFault.MAC


def test_every_column_was_tried() -> None:
    tried = {case[0] for case in test_every_altered_column_is_told.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert tried == set(COLUMNS) - {"sealed_place"}


def test_an_exchanged_place_is_told_and_an_erased_one_is_not(log: AuditLog, mac: Mac, places: Sealer) -> None:
    row, other = as_row(log), as_row(log)
    row["sealed_place"] = other["sealed_place"]
    assert verify_row(row, mac) is RowFault.PLACE
    with pytest.raises(Unsealable):
        read_place(row, places)
    row["sealed_place"] = None
    assert verify_row(row, mac) is None
    assert read_place(row, places) is None


def test_an_invented_place_is_told(log: AuditLog, mac: Mac) -> None:
    row = as_row(log, dataclasses.replace(EVENT, place=None))
    row["sealed_place"] = b"x"
    assert verify_row(row, mac) is RowFault.PLACE


def test_an_unknown_key_is_told(log: AuditLog, mac: Mac) -> None:
    row = as_row(log)
    assert verify_row(row, Mac({"audit-3": b"3" * 32}, "audit-3")) is RowFault.KEY


def test_older_keys_still_verify(log: AuditLog) -> None:
    row = as_row(log)
    assert verify_row(row, Mac({"audit-2": b"2" * 32, "audit-9": b"9" * 32}, "audit-9")) is None


def test_no_two_rows_share_an_encoding() -> None:
    one = encode_row(NOW, PERSON, "k", "r", "a,b", None, None, "", "{}", None, "1")
    assert one != encode_row(NOW, PERSON, "k", "r", "a", None, None, 'b",', "{}", None, "1")
    assert encode_row(NOW, PERSON, "k", "r", "", None, None, "", "", None, "1") != encode_row(
        NOW, PERSON, "k", "r", "", None, "", "", "", None, "1"
    )
    elsewhere = NOW.astimezone(__import__("zoneinfo").ZoneInfo("Asia/Shanghai"))
    assert one == encode_row(elsewhere, PERSON, "k", "r", "a,b", None, None, "", "{}", None, "1")


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 5_000, "\n"])
def test_odd_text_is_made_storable(log: AuditLog, mac: Mac, odd: str) -> None:
    row = as_row(log, AuditEvent(Kind.AUTHORIZATION_REFUSED, client_id=odd, request_id=odd, actor=odd))
    for column in ("client_id", "request_id", "actor"):
        assert "\0" not in row[column]
        assert len(row[column].encode()) <= 800
    assert verify_row(row, mac) is None


def test_over_long_details_are_a_defect(log: AuditLog) -> None:
    with pytest.raises(ValueError, match="details"):
        log.prepare(AuditEvent(Kind.AUTHORIZED, details={"x": "y" * 5_000}))
