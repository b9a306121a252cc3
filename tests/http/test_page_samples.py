"""Every page can be drawn from its sample, in both languages; the preview and the template's comment agree with the page."""

import re
from pathlib import Path

import pytest

import idp
from idp.http.languages import LANGUAGES, Language
from idp.http.messages import load_messages
from idp.http.rendering import Pages, Service
from idp.http.static import StaticFiles
from tests.support.page_samples import fill_refusal, list_samples, make_context

MESSAGES = load_messages()
PAGES = Pages(MESSAGES, Service("一证通", "Yizheng", "12345"), StaticFiles())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sample_is_a_page(language: Language) -> None:
    for name, (template, values) in list_samples(MESSAGES).items():
        page = PAGES.write(make_context(language), template, **fill_refusal(MESSAGES, language, values))
        assert "<h1>" in page, name
        assert "…" not in page, f"{name}: a fact is missing"


def test_every_page_has_a_sample() -> None:
    templates = {path.name: path.read_text(encoding="utf-8") for path in Path(idp.__file__).parent.glob("*/templates/*.html")}
    parts = {name for text in templates.values() for name in re.findall(r'\{%-?\s*(?:extends|include|import|from)\s+"([^"]+)"', text)}
    assert set(templates) - parts == {template for template, _ in list_samples(MESSAGES).values()}
