"""The one stylesheet: small, its colours readable in every scheme, its controls large enough."""

import re

import pytest

from idp.http.static import STATIC

SHEET = (STATIC / "yizheng.css").read_text(encoding="utf-8")


def read_tokens(*openings: str) -> dict[str, str]:
    """Return the custom properties of the blocks that begin with these texts, later ones over earlier ones."""
    tokens: dict[str, str] = {}
    for opening in openings:
        block = SHEET[SHEET.index(opening) + len(opening) :]
        block = block[block.index("{") + 1 if "{" not in opening else 0 :]
        tokens |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[: block.index("}")]))
    return tokens


LIGHT = read_tokens(":root {")
SCHEMES = {
    "light": LIGHT,
    "dark": LIGHT | read_tokens("@media (prefers-color-scheme: dark) {\n  :root {"),
    "more contrast": LIGHT | read_tokens("@media (prefers-contrast: more) {\n  :root {"),
}


def find_luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def find_contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    dark, bright = sorted((find_luminance(one), find_luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        ("ink", "paper", 7),
        ("ink", "mist", 7),
        ("ink-2", "paper", 7),
        ("ink-2", "mist", 4.5),
        ("brand", "paper", 7),
        ("brand-deep", "paper", 7),
        ("on-brand", "brand", 7),
        ("field", "paper", 3),
        ("danger", "paper", 4.5),
        ("danger", "danger-wash", 4.5),
        ("success", "success-wash", 4.5),
        ("warn", "warn-wash", 4.5),
    ],
)
def test_colours_are_readable_in_every_scheme(scheme: str, front: str, back: str, least: float) -> None:
    tokens = SCHEMES[scheme]
    assert find_contrast(tokens[front], tokens[back]) >= least, f"{front} on {back}"


def test_the_sheet_and_the_scripts_stay_small_and_fetch_nothing() -> None:
    assert len(SHEET.encode()) <= 30_000
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 15_000
    assert "url(" not in SHEET.replace("url(data:", "")
    assert "@import" not in SHEET


def test_motion_stops_for_who_asks_and_elder_mode_is_large() -> None:
    assert "prefers-reduced-motion" in SHEET
    elder = SHEET[SHEET.index(".elder {") :]
    size = float(re.search(r"font-size: ([\d.]+)%", elder)[1]) / 100 * 16  # type: ignore[index]
    control = float(re.search(r"--control: ([\d.]+)rem", elder)[1]) * size  # type: ignore[index]
    assert size >= 22
    assert control >= 60
