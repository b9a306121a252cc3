"""The wheel carries everything a provider needs, and nothing that would land in another library's place."""

import re
import subprocess
import sys
import zipfile

import pytest

from tests.support.import_violations import CHECKOUT, PACKAGES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def names(wheel: zipfile.ZipFile) -> set[str]:
    return set(wheel.namelist())


def list_checkout(*patterns: str) -> set[str]:
    return {str(path.relative_to(CHECKOUT)) for pattern in patterns for path in CHECKOUT.glob(pattern) if path.is_file()}


def test_top_level_holds_our_packages_only(names: set[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not re.fullmatch(r"yizheng-[0-9a-z.]+\.dist-info", name)} == set(PACKAGES)


def test_migrations_travel_inside_idp(names: set[str]) -> None:
    scripts = {name.removeprefix("alembic/") for name in list_checkout("alembic/*.py", "alembic/*.mako", "alembic/versions/*.*")}
    assert {"versions/0001_bones.sql", "versions/0001_bones.py"} <= scripts
    assert {name.removeprefix("idp/migrations/") for name in names if name.startswith("idp/migrations/")} == scripts
    assert "idp/migrations/__init__.py" not in names


def test_every_module_and_page_part_is_there(names: set[str]) -> None:
    parts = list_checkout(
        *(f"{package}/**/*.py" for package in PACKAGES),
        "idp/**/templates/**/*.*",
        "idp/**/locales/*.toml",
        "idp/**/static/**/*.*",
        "*/py.typed",
        "idp/authenticators/*.bin",
    )
    assert parts <= names, sorted(parts - names)
    for suffix in (".html", ".toml", ".css"):
        assert any(name.startswith("idp/") and name.endswith(suffix) for name in names), f"the wheel holds no {suffix} file"


def test_nothing_of_the_workshop_is_there(names: set[str]) -> None:
    assert not [name for name in names if re.search(r"(^|/)(tests?|bench|examples|scripts|var|__pycache__)/|\.pyc$", name)]


def test_licence_and_command_are_declared(wheel: zipfile.ZipFile, names: set[str]) -> None:
    (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
    text = wheel.read(metadata).decode()
    assert "Name: yizheng\n" in text
    assert "License-Expression: Apache-2.0\n" in text
    assert "Requires-Python: >=3.11\n" in text
    (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "idp = idp.cli:main" in wheel.read(entry_points).decode()
