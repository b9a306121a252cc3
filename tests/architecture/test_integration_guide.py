"""The guide for departments is true where a machine can tell: errors, configurations, claims, the example token, both languages."""

import ast
import base64
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from idp.demo.seed import LEVELS, STATUSES
from idp.people.rules.identifiers import DOCUMENT_KINDS
from idp.people.rules.person import Status
from idp.protocol.rules.metadata import TOKEN_CLAIMS
from idp.protocol.rules.scopes import SCOPES, list_claims
from tests.relying_parties.programs import HERE, PROGRAMS
from tests.support import documents
from tests.support.documents import ROOT

PAGES = (
    "docs/relying-party",
    *(f"docs/integration/{name}" for name in ("clients", "levels", "errors", "moving", "requests", "devices", "proving")),
)
ENDS = (".md", ".zh-CN.md")
SHELL = {"server_error", "temporarily_unavailable"}
"""Written by the shell, for faults and a lost database."""

PRODUCTS = {
    "apache": "mod_auth_openidc",
    "openid_client": "openid-client",
    "passport_openidconnect": "passport-openidconnect",
    "mozilla_django_oidc": "mozilla-django-oidc",
    "idpyoidc": "idpyoidc",
}
OWN = re.compile(r"(//|#) yours$")
"""Marks a line of the guide that every department writes for itself."""

UNSHOWN = {
    "openid_client": r"webcrypto|randomBytes|page\.mjs|PORT|write(Page|Refusal)|discovery\(|execute:|^\}\)$|/silent",
    "passport_openidconnect": r"^import|PORT|write(Page|Refusal)|/silent|express\(\)|session\(",
}
"""What a program has only because it is a test: the loopback address, its pages, and the second way in."""


def read(page: str, end: str) -> str:
    return documents.read(ROOT / f"{page}{end}")


def find_configuration(name: str, end: str = ".md") -> str:
    found = re.search(
        rf"<!-- configuration: {name} -->\n+```\w+\n(.*?)^```$", read("docs/integration/clients", end), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def list_lines(code: str) -> list[str]:
    """Return the lines of a JavaScript without comments and blank ones."""
    lines = (re.sub(r"(^|\s+)// .*$", "", line).strip() for line in code.splitlines())
    return [line for line in lines if line]


def describe_shape(text: str) -> list[str]:
    """Return what a translation must have in common: headings by depth, rows of tables, points of lists, blocks."""
    kinds = {"#": "heading", "|": "row", "-": "point", "`": "block", "<": "mark"}
    bare = documents.FENCE.sub("`\n", text)
    found = []
    for line in bare.splitlines():
        depth = len(line) - len(line.lstrip("#"))
        if line.startswith("#"):
            found.append(f"heading {depth}")
        elif re.match(r"\d+\. ", line):
            found.append("step")
        elif line[:2] in ("| ", "|-", "- ", "`", "<!"):
            found.append(kinds[line[0]] + (line if line[0] == "<" else ""))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_code(page: str) -> None:
    english, chinese = ([b for b in documents.find_blocks(read(page, end)) if b[0] != "mermaid"] for end in ENDS)
    assert english == chinese


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_parts(page: str) -> None:
    english, chinese = (describe_shape(read(page, end)) for end in ENDS)
    assert english == chinese


def list_protocol_errors() -> Iterator[tuple[str, str]]:
    """Yield (error, description) of every ProtocolError that idp/protocol raises; what is filled in at run time is `…`."""
    trees = [ast.parse(documents.read(path)) for path in sorted((ROOT / "idp/protocol").rglob("*.py"))]
    everywhere = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for tree in trees:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
            for call in calls:
                if not isinstance(call.func, ast.Name) or call.func.id != "ProtocolError":
                    continue
                error, description = call.args[0], call.args[1]
                if not isinstance(error, ast.Constant):
                    continue  # another error in other clothes; it is found where it was made
                if not isinstance(description, ast.Name):
                    yield str(error.value), write_literal(description)
                elif isinstance(function, ast.FunctionDef) and call in ast.walk(function):
                    place = [argument.arg for argument in function.args.args].index(description.id)
                    callers = calls if function.name.startswith("_") else everywhere
                    given = [c.args[place] for c in callers if isinstance(c.func, ast.Name) and c.func.id == function.name]
                    assert given, f"nobody says what {function.name} tells"
                    for text in given:
                        yield from ((str(error.value), literal) for literal in list_literals(text, trees))


def list_literals(node: ast.expr, trees: list[ast.Module]) -> list[str]:
    """Return the text of an argument; of a constant of a module, what it is bound to."""
    if not isinstance(node, ast.Name):
        return [write_literal(node)]
    bound = [n for tree in trees for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == node.id]
    return [write_literal(n.value) for n in bound]


def write_literal(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
        return re.sub("…+", "…", "".join(parts))
    return str(node.value) if isinstance(node, ast.Constant) else "…"


@pytest.mark.parametrize("end", ENDS)
def test_the_table_of_errors_is_what_the_protocol_raises(end: str) -> None:
    rows = documents.read_table(read("docs/integration/errors", end), "errors")
    words = [row[0].strip("`") for row in rows]
    assert sorted(words) == sorted({error for error, _ in list_protocol_errors()} | SHELL)
    assert all(len(row) == 5 and all(row) for row in rows)


@pytest.mark.parametrize("end", ENDS)
def test_every_description_is_explained(end: str) -> None:
    rows = documents.read_table(read("docs/integration/errors", end), "descriptions")
    written = [(row[1].strip("`"), row[0].strip("`")) for row in rows]
    assert sorted(written) == sorted(set(list_protocol_errors()))
    assert all(row[2] for row in rows)


@pytest.mark.parametrize(("end", "language"), [(".md", "en"), (".zh-CN.md", "zh-CN")])
def test_pages_are_called_as_people_read_them(end: str, language: str) -> None:
    files = sorted((ROOT / "idp/http/locales" / language).glob("*.toml"))
    texts = {text for file in files for text in tomllib.loads(documents.read(file)).values()}
    named = re.findall(r"^\| “([^”]+)”", read("docs/integration/errors", end), re.MULTILINE)
    assert len(named) == 6
    assert set(named) <= texts


@pytest.mark.parametrize("end", ENDS)
def test_what_is_called_tested_is_registered_as_the_journeys_register_it(end: str) -> None:
    rows = documents.read_table(read("docs/integration/clients", end), "registrations")
    tested = [row for row in rows if row[2] == "**CI**"]
    assert len(tested) == len(PROGRAMS)
    for name, program in PROGRAMS.items():
        [row] = [row for row in tested if PRODUCTS[name] in row[0]]
        assert row[3] == f"`{program.callback}`"
        assert " ".join(documents.CODE.findall(row[4])).split() == list(program.registered)


def test_apache_has_the_directives_of_the_journey() -> None:
    source = documents.read(HERE / "apache/httpd.conf")
    example = {
        "${ISSUER}": "https://id.example.gov.cn",
        "${CLIENT_ID}": "real-estate",
        "${CLIENT_SECRET}": "the-secret-you-were-given",
        "http://127.0.0.1:${PORT}": "https://bdc.example.gov.cn",
        "${PASSPHRASE}": "a-long-random-text-of-your-own",
        "${FOLDER}": "/etc/apache2/yizheng",
    }
    place = re.search(r"^<Location /app>.*?^</Location>", source, re.MULTILINE | re.DOTALL)
    assert place is not None
    wanted = [line for line in source.partition(place[0])[0].splitlines() if line.startswith("OIDC")] + place[0].splitlines()
    for variable, value in example.items():
        wanted = [line.replace(variable, value) for line in wanted]
    shown = [line for line in find_configuration("apache").splitlines() if line and not line.startswith("#")]
    assert shown == wanted


@pytest.mark.parametrize("name", list(UNSHOWN))
def test_a_program_for_node_is_the_journeys(name: str) -> None:
    source = list_lines(documents.read(HERE / name / "app.mjs"))
    block = find_configuration(name)
    shown = list_lines("\n".join(line for line in block.splitlines() if not OWN.search(line)))
    assert [line for line in shown if line not in source] == []
    assert [line for line in source if line not in shown and not re.search(UNSHOWN[name], line)] == []


def list_statements(code: str) -> dict[str, str]:
    """Return the top-level statements of a Python by what they bind, without comments and layout."""
    found = {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.unparse(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.unparse(node)
    return found


def list_shown(block: str) -> dict[str, str]:
    """Return the statements of a block but those that a department writes for itself."""
    own = {name for line in block.splitlines() if OWN.search(line) for name in re.findall(r"^(\w+) =", line)}
    return {name: code for name, code in list_statements(block).items() if name not in own}


def test_django_has_the_settings_and_the_backend_of_the_journey() -> None:
    folder = HERE / "mozilla_django_oidc"
    wanted = list_statements(documents.read(folder / "settings.py").replace('"backend.', '"yoursite.backend.'))
    shown = list_shown(find_configuration("mozilla_django_oidc settings"))
    needed = {
        name
        for name in wanted
        if name.startswith(("OIDC_", "LOGIN_", "LOGOUT_")) or name in ("AUTHENTICATION_BACKENDS", "END_SESSION_ENDPOINT")
    }
    assert shown == {name: wanted[name] for name in needed - {"OIDC_RP_CLIENT_ID"}}
    assert list_shown(find_configuration("mozilla_django_oidc backend")) == list_statements(documents.read(folder / "backend.py"))


def test_idpyoidc_is_configured_as_in_the_journey() -> None:
    wanted = list_statements(documents.read(HERE / "idpyoidc/app.py"))
    shown = list_shown(find_configuration("idpyoidc"))
    parts = ("CONFIGURATION", "handler", "begin", "finish", "sign_out")
    assert {name: shown[name] for name in parts} == {name: wanted[name] for name in parts}


@pytest.mark.parametrize("end", ENDS)
def test_old_fields_lead_to_claims_that_exist(end: str) -> None:
    rows = documents.read_table(read("docs/integration/moving", end), "fields")
    known = {*list_claims(SCOPES), *TOKEN_CLAIMS}
    for row in rows:
        claims = {claim.partition(".")[0] for claim in documents.CODE.findall(row[1])}
        scopes = documents.CODE.findall(row[2])
        assert claims <= known
        assert bool(claims) == bool(scopes)
        assert claims <= {*list_claims(scopes), *TOKEN_CLAIMS}
        needing = {claim for scope in scopes for claim in SCOPES[scope].needs_entitlement}
        assert row[3] == (
            "" if not claims else ("no", "不需要")[ENDS.index(end)] if not claims & needing else ("yes", "需要")[ENDS.index(end)]
        )
    assert "legacy" not in SCOPES, "the binding of old ids exists: say so in the guide"


@pytest.mark.parametrize("page", ["docs/relying-party", "docs/integration/moving"])
@pytest.mark.parametrize("end", ENDS)
def test_every_kind_of_document_is_named(page: str, end: str) -> None:
    text = read(page, end)
    assert [kind.value for kind in DOCUMENT_KINDS if f"`{kind.value}`" not in text] == []


@pytest.mark.parametrize("end", ENDS)
def test_the_example_token_verifies_and_says_what_is_shown(end: str) -> None:
    blocks = [body for _, body in documents.find_blocks(read("docs/relying-party", end))]
    token = next(body.strip() for body in blocks if body.startswith("eyJ"))
    values = [json.loads(body) for body in blocks if body.startswith('{"')]
    key = next(value for value in values if "kty" in value)
    read_token = jwt.decode(token, ECKey.import_key(key), algorithms=["ES256"])
    assert read_token.header in values
    assert read_token.claims in values
    [userinfo] = [value for value in values if "id_document" in value]
    assert userinfo["sub"] == read_token.claims["sub"]
    [introspection] = [value for value in values if value.get("active")]
    assert {name: introspection[name] for name in ("sub", "acr", "auth_time", "exp")}.items() <= read_token.claims.items()


def test_the_people_of_the_demo_are_as_the_ten_minutes_say() -> None:
    assert list(zip(LEVELS, STATUSES, strict=True)) == [(3, Status.ACTIVE), (3, Status.ACTIVE), (3, Status.BANNED), (2, Status.ACTIVE)]


def test_a_page_of_the_guide_leads_to_every_other() -> None:
    for end in ENDS:
        hub = {target.partition("#")[0] for target in documents.find_links(read("docs/relying-party", end))}
        assert {f"{page.removeprefix('docs/')}{end}" for page in PAGES[1:]} <= hub
        for page in PAGES[1:]:
            assert f"../relying-party{end}" in documents.find_links(read(page, end))
    assert not {Path(page).name for page in PAGES[1:]} ^ {file.name.partition(".")[0] for file in (ROOT / "docs/integration").glob("*.md")}


@pytest.mark.parametrize("end", ENDS)
def test_the_example_request_and_its_id_token_verify_and_say_what_is_shown(end: str) -> None:
    blocks = [body for _, body in documents.find_blocks(read("docs/integration/requests", end))]
    values = [json.loads(body) for body in blocks if body.lstrip().startswith("{")]
    keys = {value["kid"]: value for value in values if "kty" in value}
    for token in (body.strip() for body in blocks if body.startswith("eyJ")):
        kid = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
        read_token = jwt.decode(token, ECKey.import_key(keys[kid]), algorithms=["ES256"])
        claims = read_token.claims.get("claims", read_token.claims)
        assert claims in values
    assert len(keys) == 2
    [userinfo] = [value for value in values if "verified_claims" in value]
    [asked] = [value for value in values if "userinfo" in value]
    verification = asked["userinfo"]["verified_claims"]["verification"]
    assert set(userinfo["verified_claims"]["verification"]) == set(verification)
