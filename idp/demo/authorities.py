"""Decides what the simulated authorities know in the demo: its population, with peculiar people at its end."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from idp.demo.population import SIZE, SyntheticPerson, make_person
from idp.kernel.checks import CheckKind
from idp.sources.simulated_register import Fault, FaultKind, RegisteredPerson

FIRST_PECULIAR = 9_900
"""Everybody before is known to every register and answers well."""

Peculiarity = Callable[[RegisteredPerson], RegisteredPerson | None]


def _fail(kind: CheckKind, fault: FaultKind, seconds: float = 2.0) -> Peculiarity:
    return lambda person: replace(person, faults={kind: Fault(fault, seconds)})


PECULIAR: Mapping[range, tuple[str, Peculiarity]] = {
    range(9_900, 9_910): ("deceased: every register answers not_found", lambda person: replace(person, alive=False)),
    range(9_910, 9_920): ("unknown to every register: not_found", lambda person: None),
    range(9_920, 9_930): ("the bank-card authority is silent", _fail(CheckKind.BANK_CARD, FaultKind.SILENT)),
    range(9_930, 9_940): ("the operator does not know the new number yet: not_found", lambda person: replace(person, phone="")),
    range(9_940, 9_950): ("social security answers after two seconds", _fail(CheckKind.SOCIAL_SECURITY_CARD, FaultKind.SLOW)),
    range(9_950, 9_960): ("registering with this phone is a high risk", lambda person: replace(person, risky=True)),
    range(9_960, 9_970): ("the face never agrees", lambda person: replace(person, face_agrees=False)),
    range(9_970, 9_980): ("the housing-fund centre is unavailable", _fail(CheckKind.HOUSING_FUND_ACCOUNT, FaultKind.UNAVAILABLE)),
    range(9_980, 9_990): ("has no driving licence: not_found", lambda person: replace(person, driver_license_file_number="")),
    range(9_990, 10_000): ("the bank-card authority refuses further checks: limited", _fail(CheckKind.BANK_CARD, FaultKind.LIMIT)),
}
"""Numbers of the population → what is peculiar about them, and what it does to their entry."""


class Registers:
    """What the authorities know: the whole population, found by document or by phone. People may be added."""

    def __init__(self) -> None:
        self._by_document, self._by_phone = _index_population()
        self._added: dict[tuple[str, str], RegisteredPerson] = {}

    def add(self, person: RegisteredPerson) -> None:
        """Let the registers know one more person, or another entry for a known one."""
        self._added[person.document_kind, person.id_number] = person

    def find(self, document_kind: str, id_number: str) -> RegisteredPerson | None:
        """Return the person with this document."""
        added = self._added.get((document_kind, id_number))
        if added is not None:
            return added
        number = self._by_document.get(id_number)
        if number is None or make_person(number).document_kind != document_kind:
            return None
        return register_person(number)

    def find_by_phone(self, phone: str) -> RegisteredPerson | None:
        """Return the person whose phone (eleven digits) this is."""
        for person in self._added.values():
            if person.phone == phone:
                return person
        number = self._by_phone.get(phone)
        return None if number is None else register_person(number)


@cache
def _index_population() -> tuple[dict[str, int], dict[str, int]]:
    by_document: dict[str, int] = {}
    by_phone: dict[str, int] = {}
    for number in range(SIZE):
        person = make_person(number)
        by_document[person.id_number] = by_phone[person.phone] = number
    return by_document, by_phone


def register_person(number: int) -> RegisteredPerson | None:
    """Return the entry of a person of the population in the registers, or None for one whom they do not know."""
    entry = make_entry(make_person(number))
    for numbers, (_, change) in PECULIAR.items():
        if number in numbers:
            return change(entry)
    return entry


def make_entry(person: SyntheticPerson) -> RegisteredPerson:
    """Return the entry of a synthetic person with whom nothing is wrong."""
    return RegisteredPerson(
        name=person.name,
        document_kind=person.document_kind,
        id_number=person.id_number,
        phone=person.phone,
        social_security_card=person.social_security_card,
        bank_card=person.bank_card,
        bank_phone=person.bank_phone,
        housing_fund_account=person.housing_fund_account,
        driver_license_file_number=person.driver_license_file_number,
    )
