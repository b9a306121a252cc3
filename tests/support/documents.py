"""Decides what is read out of the Markdown files: links, anchors, commands, and the tables that must equal the code."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)(```|~~~)(\w*)[^\n]*\n(.*?)^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


@cache
def list_documents() -> tuple[Path, ...]:
    """Return every Markdown file that belongs to the repository, also those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = []
    found = [ROOT / name for name in listed]
    if not found:  # a copy without its history, or a machine without git
        found = [path for folder in ("docs", "examples", "deploy") for path in (ROOT / folder).rglob("*.md")] + list(ROOT.glob("*.md"))
    return tuple(sorted(path for path in found if path.exists()))


def read(path: Path) -> str:
    """Return the text of a document."""
    return path.read_text(encoding="utf-8")


def find_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (language, body) of every fenced block."""
    for match in FENCE.finditer(text):
        yield match[3], match[4]


def find_links(text: str) -> list[str]:
    """Return the targets of the links outside code."""
    return LINK.findall(CODE.sub("", FENCE.sub("", text)))


def list_anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as the usual hosts make them."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def find_broken_links(path: Path) -> list[str]:
    """Return the links of a document that lead nowhere inside the repository; addresses elsewhere are not asked."""
    broken = []
    for target in find_links(read(path)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        reachable = file.is_relative_to(ROOT) and file.exists()
        if not reachable or (anchor and file.suffix == ".md" and anchor not in list_anchors(read(file))):
            broken.append(target)
    return broken


def find_commands(text: str) -> list[list[str]]:
    """Return the words of every ``idp`` command that a document shows, in shell blocks and in inline code."""
    lines = [line for language, body in find_blocks(text) if language in ("sh", "bash", "shell") for line in _join_lines(body)]
    lines += CODE.findall(FENCE.sub("", text))
    commands = []
    for line in lines:
        for part in re.split(r"&&|\||;", line.partition(" #")[0]):
            words = part.split()
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if len(words) > 1 and words[0].strip('"').rpartition("/")[2] == "idp" and not words[1].startswith("/"):
                commands.append(words[1:])
    return commands


def find_scripts(text: str) -> set[str]:
    """Return the paths below ``scripts/`` that a document names."""
    return set(re.findall(r"(?<![\w/.])(?:\./)?(scripts/[\w\-/]+\w)", text))


def read_table(text: str, mark: str) -> list[list[str]]:
    """Return the cells of the table that follows the comment ``<!-- mark: … -->``, without its head; KeyError when there is none."""
    found = re.search(rf"<!-- {mark}:[^>]*-->\n+\|[^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)", text)
    if found is None:
        raise KeyError(mark)
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in found[1].splitlines()]


def find_protocol_errors() -> set[str]:
    """Return every OAuth error word that the sources can answer with: the first argument of each ``ProtocolError``."""
    words = {"server_error", "temporarily_unavailable"}  # written by the shell, for faults and a lost database
    for path in (ROOT / "idp").rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "ProtocolError" and node.args:
                first = node.args[0]
                assert isinstance(first, ast.Constant), f"{path}:{node.lineno}: the word is not written out"
                words.add(str(first.value))
    return words


def _join_lines(body: str) -> list[str]:
    return body.replace("\\\n", " ").splitlines()
