"""Decides how settings are shown to the operator: a line each, and nothing that may hold a secret."""

import msgspec

from idp.settings.sections import Settings

SECRET_WORDS = ("dsn", "secret", "redis_url", "access_key", "metrics_token", "fixed_code")


def describe_settings(settings: Settings) -> list[str]:
    """Return one ``section.key = value`` line per setting; whatever may hold a secret is only said to be set or empty."""
    lines = []
    for name, value in msgspec.to_builtins(settings).items():
        for key, inner in value.items() if isinstance(value, dict) else [("", value)]:
            path = f"{name}.{key}" if key else name
            secret = any(word in path for word in SECRET_WORDS) and not path.endswith("_file")
            shown = ("(set)" if inner else "(empty)") if secret else repr(inner)
            lines.append(f"{path} = {shown}")
    return lines
