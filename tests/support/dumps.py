"""Everything that a database holds, as whoever stole it would read it, and a search in it for what must not be there (S47)."""

import base64
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import asyncpg

TABLES = """
    SELECT n.nspname AS schema, c.relname AS name, c.relpersistence = 'u' AS unlogged
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2
"""
FORMATS: tuple[Literal["text", "binary"], ...] = ("text", "binary")


async def dump_database(dsn: str) -> dict[str, bytes]:
    """Return every table (UNLOGGED ones, partitions and sequences too) by name as COPY writes it, in text and in binary form."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        found = {}
        for row in await connection.fetch(TABLES):
            written = io.BytesIO()
            for form in FORMATS:
                table = '"{}"."{}"'.format(row["schema"], row["name"])
                await connection.copy_from_query(f"SELECT * FROM {table}", output=written, format=form)
            found[row["name"] + (" (unlogged)" if row["unlogged"] else "")] = written.getvalue()
        return found
    finally:
        await connection.close()


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return every file of a data folder by its path, long runs of zeros shortened; WAL and dead rows are in there too."""
    return {
        str(path.relative_to(folder)): re.sub(rb"\0{32,}", bytes(32), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def disguise(text: str) -> dict[str, bytes]:
    """Return the ways a text may stand in a dump without being sealed: clear, hex, base64 at each of its three offsets, quoted."""
    raw = text.encode()
    forms = {
        "clear": raw,
        "clear UTF-16": text.encode("utf-16-le"),
        "quoted": quote(text, safe="").encode(),
        "escaped": text.encode("unicode_escape"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "hex of hex": raw.hex().encode().hex().encode(),
        "reversed": raw[::-1],
    }
    for offset in range(3):
        # The characters that depend on what stands before and after are left out.
        encoded = base64.b64encode(b"\0" * offset + raw)
        whole = encoded[(0, 2, 3)[offset] : len(encoded.rstrip(b"=")) - (1 if (len(raw) + offset) % 3 else 0)]
        forms[f"base64 at {offset}"] = whole
        forms[f"base64url at {offset}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    # The same bytes are looked for once: what has no special character is its own quoted form.
    different = {form: name for name, form in reversed(forms.items()) if len(form) >= 6}
    return {name: form for form, name in different.items()}


def find_clear(places: Mapping[str, bytes], secrets: Mapping[str, Iterable[str]]) -> list[str]:
    """Return "what, how, where" of every secret that stands in a place in any of its forms; the secret itself is not repeated."""
    found = []
    for what, texts in secrets.items():
        for text in texts:
            for how, form in disguise(text).items():
                found += [f"{what}, {how}, in {where}" for where, content in places.items() if form in content]
    return found
