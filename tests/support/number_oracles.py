"""What others than our rules say to a number: where a published library judges a kind, it is the oracle.

Where the oracle is wrong for us (formats.md §3.3) an excuse names the case and says what we read instead; kinds that no library
knows are stated a second time, in another way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import phonenumbers
from stdnum import luhn, numdb
from stdnum.cn import ric
from stdnum.exceptions import InvalidComponent, ValidationError
from stdnum.iso7064 import mod_11_2

from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import IdentifierKind, IdNumber, parse_document, parse_phone
from idp.people.rules.item_numbers import ItemNumber, parse_item
from tests.support import drawn_numbers as drawn
from tests.support.drawn_numbers import DIGITS, LETTERS, TODAY, Draw, find_731_digit

AGREED: Final = ("both accept", "both refuse")


@dataclass(frozen=True)
class Comparison:
    """One kind: how numbers are made, what we read in them, what the oracle reads, and where the oracle is known to be wrong.

    Readers return what they read (a date, a spelling, True), or None when they refuse. An excuse judges the number and our reading.
    """

    name: str
    oracle_name: str
    make: Callable[[Draw], str]
    read: Callable[[str], object]
    ask_oracle: Callable[[str], object]
    excuses: Mapping[str, Callable[[str, object], bool]] = field(default_factory=dict)

    def compare(self, data: bytes) -> str:
        """Return how the two agree on the number made of ``data``, or the excuse; raise AssertionError when they differ without one."""
        number = self.make(Draw(data))
        ours, theirs = self.read(number), self.ask_oracle(number)
        if ours == theirs:
            return AGREED[0] if ours is not None else AGREED[1]
        for reason, applies in self.excuses.items():
            if applies(number, ours):
                return reason
        raise AssertionError(f"{self.name} {number}: we read {ours!r}, {self.oracle_name} reads {theirs!r}")


# ------------------------------------------------------------------------------------------------------------ our readers


def _read_document(kind: IdentifierKind) -> Callable[[str], object]:
    def read(number: str) -> object:
        found = parse_document(kind, number, TODAY)
        return (found.birthdate or found.list_birthdates(TODAY) or True, found.doubtful) if isinstance(found, IdNumber) else None

    return read


def _read_item(kind: CheckKind) -> Callable[[str], object]:
    def read(number: str) -> object:
        found = parse_item(kind, number)
        return found.value if isinstance(found, ItemNumber) else None

    return read


def _read_phone(number: str) -> object:
    found = parse_phone(number)
    return found.value if found else None


# ------------------------------------------------------------------------------------------------------------ the oracles


def _is_resident_id(number: str) -> bool:
    """Ask python-stdnum; of a county that it does not know in a province that it knows it raises KeyError, which is a refusal too."""
    try:
        return ric.is_valid(number)
    except KeyError:
        return False


def ask_resident_id(number: str) -> object:
    """python-stdnum's resident identity card: form, check character, birth date, county."""
    return (ric.get_birth_date(number), False) if _is_resident_id(number) else None


def is_future(number: str, ours: object) -> bool:
    """python-stdnum accepts births to come (formats.md §3.3)."""
    return ours is None and _is_resident_id(number) and ric.get_birth_date(number) > TODAY


def is_too_old(number: str, ours: object) -> bool:
    """python-stdnum accepts any year of birth."""
    return ours is None and _is_resident_id(number) and ric.get_birth_date(number).year < TODAY.year - 130


def has_unknown_county(number: str, ours: object) -> bool:
    """python-stdnum's list of counties ages; the codes are those at issue, so we refuse none in a province that exists."""
    try:
        ric.validate(number)
    except (InvalidComponent, KeyError):
        # It looks at the date before the place, so the date is right when it can be read.
        return _is_province(number[:2]) and ours == (date.fromisoformat(number[6:14]), False)
    except ValidationError:
        return False
    return False


def _ask_mod_11_2(number: str, beginning: Callable[[str], bool]) -> object:
    if len(number) != 18 or not mod_11_2.is_valid(number) or not beginning(number):
        return None
    if not _is_date(number[6:14]):
        return None
    born = date.fromisoformat(number[6:14])
    return (born, False) if TODAY.year - 130 <= born.year and born <= TODAY else None


def ask_hmt(number: str) -> object:
    """ISO 7064 MOD 11-2 of python-stdnum; its card of residents is no oracle here (see test_oracles.py)."""
    return _ask_mod_11_2(number, lambda n: n[0] == "8" and n[1] in "123" and n[2:6] == "0000")


def ask_foreign_card(number: str) -> object:
    """ISO 7064 MOD 11-2 of python-stdnum and its provinces; its card of residents is no oracle here (see test_oracles.py)."""
    return _ask_mod_11_2(number, lambda n: n[0] == "9" and _is_province(n[1:3]))


def ask_foreign_card_2017(number: str) -> object:
    """The same number in pieces; a wrong check digit makes doubtful."""
    letters, digits = number[:3], number[3:]
    if len(number) != 15 or not set(letters) <= set(LETTERS) or not set(digits) <= set(DIGITS) or not _is_province(digits[:2]):
        return None
    written = [century + digits[4:10] for century in ("20", "19") if _is_date(century + digits[4:10])]
    born = tuple(day for day in map(date.fromisoformat, written) if day <= TODAY)
    return (born, find_731_digit(number[:14]) != number[14]) if born else None


def _is_date(eight: str) -> bool:
    try:
        date.fromisoformat(eight)
    except ValueError:
        return False
    return True


def _is_province(two: str) -> bool:
    """As python-stdnum's list of regions has it, without Hong Kong and Macao, whose people hold permits."""
    return two not in {"81", "82"} and bool(numdb.get("cn/loc").info(two)[0][1])


def ask_hk_macao(number: str) -> object:
    """No library knows the permit: its letter, then 8 or 10 digits."""
    return (True, False) if number[:1] in {"H", "M"} and len(number) in {9, 11} and set(number[1:]) <= set(DIGITS) else None


def ask_taiwan(number: str) -> object:
    """No library knows the permit: 8 digits."""
    return (True, False) if len(number) == 8 and set(number) <= set(DIGITS) else None


def ask_passport(number: str) -> object:
    """No library knows passports of every country: letters and digits that nothing else of ours is made of."""
    run = max(len(piece) for piece in "".join(c if c in DIGITS else " " for c in number).split(" "))
    right = 5 <= len(number) <= 20 and len(number) != 18 and set(number) <= set(DIGITS + LETTERS) and 0 < run < 10
    return (True, False) if right else None


def ask_phonenumbers(number: str) -> object:
    """libphonenumber: a mobile of the mainland."""
    try:
        parsed = phonenumbers.parse(number, "CN")
    except phonenumbers.NumberParseException:
        return None
    if parsed.country_code != 86 or phonenumbers.number_type(parsed) != phonenumbers.PhoneNumberType.MOBILE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_dialled(number: str, ours: object) -> bool:
    """It takes the prefixes of dialling away (0, 00, 17951), which are no part of a number."""
    return ours is None and number.removeprefix("+86").removeprefix("86").startswith(("0", "1795"))


def is_of_no_handset(number: str, ours: object) -> bool:
    """It calls 1610 and the satellite phones of 17400 to 17405 mobiles; they are not in the list of formats.md §3.1."""
    found = ask_phonenumbers(number)
    return ours is None and isinstance(found, str) and found[3:].startswith(("1610", "1740"))


def ask_luhn(number: str) -> object:
    """python-stdnum's Luhn check and the lengths of ISO/IEC 7812-1."""
    return number if 13 <= len(number) <= 19 and luhn.is_valid(number) else None


def is_of_no_issuer(number: str, ours: object) -> bool:
    """Zeros pass the Luhn check."""
    return ours is None and luhn.is_valid(number) and number[:6] == "000000"


def ask_license(number: str) -> object:
    """No checksum: twelve digits in a region of python-stdnum."""
    return number if len(number) == 12 and set(number) <= set(DIGITS) and _is_province(number[:2]) else None


def _ask_account(shortest: int, longest: int) -> Callable[[str], object]:
    """No library knows the accounts of a province: letters and digits of a length."""
    return lambda number: number if shortest <= len(number) <= longest and set(number) <= set(DIGITS + LETTERS) else None


REGIONS = "python-stdnum cn.ric"
RESTATED = "the rule, stated twice"

COMPARISONS: Final = (
    Comparison(
        "resident_id",
        REGIONS,
        drawn.make_resident_id,
        _read_document(IdentifierKind.RESIDENT_ID),
        ask_resident_id,
        {
            "the oracle accepts a birth to come": is_future,
            "the oracle accepts a birth more than 130 years ago": is_too_old,
            "the oracle does not know the county": has_unknown_county,
        },
    ),
    Comparison(
        "hmt_residence_permit",
        "python-stdnum iso7064.mod_11_2",
        drawn.make_hmt_residence_permit,
        _read_document(IdentifierKind.HMT_RESIDENCE_PERMIT),
        ask_hmt,
    ),
    Comparison(
        "foreign_permanent_resident",
        "python-stdnum iso7064.mod_11_2",
        drawn.make_foreign_card,
        _read_document(IdentifierKind.FOREIGN_PERMANENT_RESIDENT),
        ask_foreign_card,
    ),
    Comparison(
        "foreign_permanent_resident_2017",
        "python-stdnum's weights 7 3 1",
        drawn.make_foreign_card_2017,
        _read_document(IdentifierKind.FOREIGN_PERMANENT_RESIDENT_2017),
        ask_foreign_card_2017,
    ),
    Comparison(
        "hk_macao_travel_permit",
        RESTATED,
        drawn.make_hk_macao_travel_permit,
        _read_document(IdentifierKind.HK_MACAO_TRAVEL_PERMIT),
        ask_hk_macao,
    ),
    Comparison(
        "taiwan_travel_permit", RESTATED, drawn.make_taiwan_travel_permit, _read_document(IdentifierKind.TAIWAN_TRAVEL_PERMIT), ask_taiwan
    ),
    Comparison("passport", RESTATED, drawn.make_passport, _read_document(IdentifierKind.PASSPORT), ask_passport),
    Comparison(
        "phone",
        "phonenumbers",
        drawn.make_phone,
        _read_phone,
        ask_phonenumbers,
        {
            "the oracle takes a dialling prefix away": is_dialled,
            "the oracle accepts satellite phones and 1610": is_of_no_handset,
        },
    ),
    Comparison(
        "bank_card",
        "python-stdnum luhn",
        drawn.make_bank_card,
        _read_item(CheckKind.BANK_CARD),
        ask_luhn,
        {"the oracle accepts an issuer of zeros": is_of_no_issuer},
    ),
    Comparison(
        "driver_license_file_number",
        "python-stdnum's regions",
        drawn.make_license_file_number,
        _read_item(CheckKind.DRIVER_LICENSE_FILE_NUMBER),
        ask_license,
    ),
    Comparison("social_security_card", RESTATED, drawn.make_account, _read_item(CheckKind.SOCIAL_SECURITY_CARD), _ask_account(9, 12)),
    Comparison("housing_fund_account", RESTATED, drawn.make_account, _read_item(CheckKind.HOUSING_FUND_ACCOUNT), _ask_account(6, 20)),
)
