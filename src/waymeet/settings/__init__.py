"""The only source of configuration: `load` parses it once into frozen, typed objects, which `main` passes on."""

from waymeet.settings.load import Command, SettingsError, dump, load, restore
from waymeet.settings.nodes import BeaconSettings, NodeSettings, ProgramSettings, RelaySettings
from waymeet.settings.types import (
    BeaconListSettings,
    DeploymentSettings,
    GeoSettings,
    HttpSettings,
    LimitSettings,
    LogSettings,
    RelaySessionSettings,
    SessionSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
)

__all__ = [
    "BeaconListSettings",
    "BeaconSettings",
    "Command",
    "DeploymentSettings",
    "GeoSettings",
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "NodeSettings",
    "ProgramSettings",
    "RelaySessionSettings",
    "RelaySettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "WebhookSettings",
    "dump",
    "load",
    "restore",
]
