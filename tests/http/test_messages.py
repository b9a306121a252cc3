"""Every text exists in both languages with the same facts, and every refusal has its words and its status."""

import importlib
import pkgutil
import re

import idp
from idp.http.errors import REFUSAL_STATUS
from idp.http.languages import LANGUAGES
from idp.http.messages import load_messages
from idp.http.rendering import LINKS_ON, WAYS_ON
from idp.kernel.errors import Refusal

MESSAGES = load_messages()


def list_refusals(kind: type[Refusal] = Refusal) -> set[type[Refusal]]:
    """Return every refusal class of the product."""
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[type[Refusal]] = set()
    for child in kind.__subclasses__():
        if child.__module__.startswith("idp."):
            found |= {child, *list_refusals(child)}
    return found


def test_both_languages_say_the_same_things_with_the_same_facts() -> None:
    assert MESSAGES.keys("zh-CN") == MESSAGES.keys("en")
    for key in MESSAGES.keys("zh-CN"):
        facts = [set(re.findall(r"\{(\w+)\}", MESSAGES._texts[language][key])) for language in LANGUAGES]
        assert facts[0] == facts[1], key


def test_every_refusal_has_a_status_and_its_words() -> None:
    codes = {refusal.code for refusal in list_refusals()} | set(REFUSAL_STATUS)
    assert len(codes) > 30
    for code in codes:
        assert code in REFUSAL_STATUS, code
        for language in LANGUAGES:
            for key in (f"{code}_title", code, f"{code}_next"):
                assert MESSAGES.has(language, key), f"{language}: {key}"


def test_every_link_of_a_refusal_has_words() -> None:
    for code, (_, url, text) in LINKS_ON.items():
        assert code in REFUSAL_STATUS
        assert url.startswith("/")
        assert all(MESSAGES.has(language, text) for language in LANGUAGES)


def test_every_way_on_has_words_with_and_without_a_department() -> None:
    for language in LANGUAGES:
        for name in WAYS_ON.values():
            assert MESSAGES.has(language, name)
            assert "{department}" in MESSAGES.text(language, f"{name}_at", department="{department}")
