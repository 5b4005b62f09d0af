"""The settings that a page shows: those that somebody chose, or that the size did, before the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hostemr.deployment.load import as_json
from hostemr.deployment.sizes import DEFAULT_SIZE
from hostemr.deployment.table import has_sizes, settings_of
from hostemr.operate.report.contents import SettingRow, SettingsShown


def settings_shown(deployment: str, settings: Mapping[str, object]) -> SettingsShown:
    """A row for each setting in force, under its name in cdk.json."""
    chosen: list[SettingRow] = []
    others: list[SettingRow] = []
    for row in settings_of(deployment):
        name = row.key(deployment)
        if name not in settings:
            continue
        default = as_json(row, row.default_for(deployment, DEFAULT_SIZE))
        same = settings[name] == default
        shown = SettingRow(name, _shown(settings[name]), "" if same else _shown(default), row.meaning)
        (others if same and name != "size" else chosen).append(shown)
    if has_sizes(deployment):
        return SettingsShown(chosen=tuple(chosen), others=tuple(others))
    return SettingsShown(chosen=tuple(chosen), others=tuple(others), chosen_are="Set", others_are="Defaults")


def given(deployment: str, settings: Mapping[str, object]) -> dict[str, object]:
    """The settings that have to be said to get this plan: those that are not the size's own defaults."""
    size = str(settings.get("size", DEFAULT_SIZE))
    found = {}
    for row in settings_of(deployment):
        name = row.key(deployment)
        default = DEFAULT_SIZE if name == "size" else as_json(row, row.default_for(deployment, size))
        if name in settings and settings[name] != default:
            found[name] = settings[name]
    return found


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
