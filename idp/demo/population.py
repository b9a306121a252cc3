"""Decides who lives in the demo: synthetic people, the same on every machine, whose numbers are valid and nobody's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from idp.people.rules.documents import find_card_check_digit, find_check_character

REGISTERED = 4
"""The first people have accounts; everybody after them is unregistered."""

SIZE = 10_000
PASSWORD = "Lantern-Harbour-27"  # noqa: S105 - of synthetic people in a demo that only listens on loopback
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜"
GIVEN = "安宁和平书文景明清远思源嘉禾若水承泽以恒知行望舒怀瑾子衿"
LATIN = ("ANNA", "BRUNO", "CLARA", "DMITRI", "ELENA", "FARID", "GRACE", "HIROSHI", "INES", "JONAS")
LATIN_NAMED = frozenset({"passport", "foreign_permanent_resident", "foreign_permanent_resident_2017"})


def _add_check(seventeen: str) -> str:
    return seventeen + find_check_character(seventeen)


def _write_card_of_2017(number: int, birth: str) -> str:
    fourteen = f"USA3501{birth[2:]}{number % 10}"
    return fourteen + find_card_check_digit(fourteen)


OTHER_DOCUMENTS: Mapping[range, tuple[str, Callable[[int, str], str]]] = {
    range(9_800, 9_820): ("hmt_residence_permit", lambda number, birth: _add_check(f"8{1 + number % 3}0000{birth}{number % 1000:03d}")),
    range(9_820, 9_840): ("foreign_permanent_resident", lambda number, birth: _add_check(f"935840{birth}{number % 1000:03d}")),
    range(9_840, 9_860): ("foreign_permanent_resident_2017", _write_card_of_2017),
    range(9_860, 9_870): ("hk_macao_travel_permit", lambda number, _: f"H{60_000_000 + number}"),
    range(9_870, 9_880): ("taiwan_travel_permit", lambda number, _: f"{70_000_000 + number}"),
    range(9_880, 9_900): ("passport", lambda number, _: f"XA{8_000_000 + number}"),
}
"""Who is registered by another document than the resident identity card: numbers → kind, and what writes the number from a birth date."""


@dataclass(frozen=True)
class SyntheticPerson:
    """One synthetic person; the names are those of the form fields."""

    name: str
    document_kind: str
    id_number: str
    phone: str
    social_security_card: str
    bank_card: str
    bank_phone: str
    housing_fund_account: str
    driver_license_file_number: str
    password: str

    def to_json(self) -> str:
        """Return the person as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def make_person(number: int) -> SyntheticPerson:
    """Return person ``number`` (0 ≤ number < SIZE). Distinct numbers have distinct documents, phones and cards."""
    if not 0 <= number < SIZE:
        raise ValueError("there is no such synthetic person")
    # Multiplying by a number prime to the size spreads neighbours without repeating anybody.
    spread = number * 7_919 % SIZE
    year, month, day = 1940 + spread % 66, 1 + spread % 12, 1 + spread % 28
    seventeen = f"350102{year}{month:02d}{day:02d}{number % 1000:03d}"
    surname = SURNAMES[spread % len(SURNAMES)]
    first = 2 * (spread // 7 % (len(GIVEN) // 2))
    name, kind, id_number = surname + GIVEN[first : first + 1 + spread % 2], "resident_id", seventeen + find_check_character(seventeen)
    other = next((document for numbers, document in OTHER_DOCUMENTS.items() if number in numbers), None)
    if other is not None:
        kind, id_number = other[0], other[1](number, f"{year}{month:02d}{day:02d}")
        name = f"SAMPLE {LATIN[number % len(LATIN)]}" if kind in LATIN_NAMED else name
    phone = f"139{59_000_000 + number * 1_237 % 1_000_000:08d}"
    return SyntheticPerson(
        name=name,
        document_kind=kind,
        id_number=id_number,
        phone=phone,
        social_security_card=f"FJ{3_500_000 + number:07d}",
        bank_card=_add_luhn_digit(f"621483000{number:09d}"),
        bank_phone=phone,
        housing_fund_account=f"3501{20_000_000 + number:08d}",
        driver_license_file_number=f"3501{10_000_000 + number:08d}",
        password=PASSWORD,
    )


def _add_luhn_digit(digits: str) -> str:
    """Return the digits with the check digit of ISO/IEC 7812-1 Annex B."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)
