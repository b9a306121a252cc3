"""Decides what an operator can set; read by those who compose and command, handed to everybody else as values."""

from idp.settings.describing import describe_settings
from idp.settings.reading import load_settings, read_settings
from idp.settings.sections import (
    AuditSettings,
    DatabaseSettings,
    FetchingSettings,
    KeySettings,
    MtlsSettings,
    RegistrationSettings,
    Server,
    Settings,
    SignInSettings,
    SmsSettings,
    SourceSettings,
    TransientSettings,
)
from idp.settings.sense import SettingsError

__all__ = [
    "AuditSettings",
    "DatabaseSettings",
    "FetchingSettings",
    "KeySettings",
    "MtlsSettings",
    "RegistrationSettings",
    "Server",
    "Settings",
    "SettingsError",
    "SignInSettings",
    "SmsSettings",
    "SourceSettings",
    "TransientSettings",
    "describe_settings",
    "load_settings",
    "read_settings",
]
