"""Decides where settings come from: TOML file, then IDP_* variables, then secret files; an unknown key refuses to start."""

import builtins
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from idp.settings.sections import Settings
from idp.settings.sense import SettingsError, check_sense


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a TOML file overlaid by ``IDP_<SECTION>__<KEY>`` variables.

    ``IDP_<SECTION>__<KEY>_FILE`` names a file whose stripped text is the value. Raises SettingsError in one sentence.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
    _check_keys(raw, Settings, "")
    for name in sorted(environ):
        if name.startswith("IDP_") and name != "IDP_SETTINGS":
            _overlay(raw, name, environ[name])
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings are wrong: {error}.") from None
    check_sense(settings)
    return settings


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {f.name: f.type for f in msgspec.structs.fields(struct)}


def _check_keys(raw: Mapping[str, Any], struct: type[msgspec.Struct], prefix: str) -> None:
    fields = _fields(struct)
    for key, value in raw.items():
        if key not in fields:
            raise SettingsError(_name_unknown(f"{prefix}{key}", [f"{prefix}{f}" for f in fields]))
        kind = fields[key]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if not isinstance(value, dict):
                raise SettingsError(f"The setting {prefix}{key} must be a table, written as [{key}].")
            _check_keys(value, kind, f"{prefix}{key}.")
        elif (inner := _find_inner(kind)) is not None and isinstance(value, dict):
            for name, table in value.items():
                if not isinstance(table, dict):
                    raise SettingsError(f"The setting {prefix}{key}.{name} must be a table, written as [{prefix}{key}.{name}].")
                _check_keys(table, inner, f"{prefix}{key}.{name}.")


def _find_inner(kind: Any) -> type[msgspec.Struct] | None:
    """Return the Struct of a setting that is a table of named tables, or None."""
    inner = get_args(kind)[1:] if get_origin(kind) is dict else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct) else None


def _name_unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"There is no setting {name}; did you mean {near[0]}?" if near else f"There is no setting {name}."


def _overlay(raw: dict[str, Any], variable: str, value: str) -> None:
    path = variable.removeprefix("IDP_").lower().split("__")
    known = [
        "IDP_" + "__".join(p).upper()
        for name, kind in _fields(Settings).items()
        for p in ([[name, f] for f in _fields(kind)] if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else [[name]])
    ]
    if variable not in known and variable.endswith("_FILE") and variable.removesuffix("_FILE") in known:
        try:
            value = Path(value).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable} names a file that cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{variable} names a file that is not UTF-8 text; write the value into it as plain text.") from None
        path[-1] = path[-1].removesuffix("_file")
    elif variable not in known:
        table = next((name for name in known if variable.startswith(f"{name}__")), None)
        if table is not None:
            raise SettingsError(
                f"There is no setting {variable}; {table} takes the whole table as JSON, {table}_FILE a file that holds it."
            )
        raise SettingsError(_name_unknown(variable, known))
    target, kind = raw, Settings
    for part in path[:-1]:
        target, kind = target.setdefault(part, {}), _fields(kind)[part]
    match get_origin(_fields(kind)[path[-1]]):
        case builtins.dict:
            target[path[-1]] = _read_table(variable, value)
        case builtins.list:
            target[path[-1]] = [part.strip() for part in value.split(",") if part.strip()]
        case _:
            target[path[-1]] = value


def _read_table(variable: str, value: str) -> Any:
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise SettingsError(f"{variable} must hold a table as JSON: an object in braces.") from None


def read_settings(path: str | None = None) -> Settings:
    """Return the settings that this process was started with: ``--settings``, else ``IDP_SETTINGS``, else the defaults."""
    chosen = path or os.environ.get("IDP_SETTINGS")
    return load_settings(Path(chosen) if chosen else None, os.environ)
