# SPDX-License-Identifier: Apache-2.0
"""Names in a rule: which of them nothing has, and what those that something has are called.

A name that nothing has is said when the rule is kept, so that a misspelt one does not wait in silence. It is a warning:
data that is in no device template is kept like any other, and rules may look at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from armillary.engines.series.store import SeriesStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.device_facts import MAX_LATEST, of_catalog
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.ports import Directory
from armillary.platform.templates.templates import Templates
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.author.group import parse_group
from armillary.twin.rule.json_form import parse_document
from armillary.twin.rule.rule import Rule, telemetry_names, unmodelled
from armillary.twin.rule.words import condition_words
from armillary.twin.template.name import split_id
from armillary.twin.template.value_names import Naming

if TYPE_CHECKING:
    from armillary.twin.template.template import Template


@dataclass(eq=False)
class RuleNames:
    """Looks for what a rule names. Methods block for a read or two."""

    _series: SeriesStore
    _authored: AuthoredDocuments
    _templates: Templates
    _directory: Directory
    _naming: DeviceNaming

    def warnings_of(self, rule: Rule, catalog: str | None = None) -> list[str]:
        """What the rule names and its device template does not have, or no device has sent, as sentences.

        Another catalog's template, group or device is as good as none.
        """
        wanted = rule.target.template
        found = self._group(rule.target.group, catalog)
        if wanted:
            template = self._template(rule)
            if template is None or not _is_for(template, catalog):
                return [*found, f"there is no device template {wanted}: the rule looks at no device until there is"]
            return found + unmodelled(rule, _telemetry(template, rule), _properties(template, rule))
        return found + [
            f"telemetry {name}: no device has sent such a value yet; the rule waits for it"
            for name in telemetry_names(rule)
            if not self._was_sent(name, catalog)
        ]

    def shown(
        self, document: dict[str, Any], catalog: str | None, known: dict[Any, Naming] | None = None
    ) -> dict[str, Any]:
        """A rule's document with each of its conditions in words that who speaks for a catalog may read.

        ``known`` keeps names of a catalog and target from one rule of a list to the next.
        """
        try:
            own, rule = parse_document(document["body"])
        except InvalidArgumentError:  # kept by another program: shown as it is
            return {**document, "conditions": []}
        window_s = rule.window.length_s if rule.window else 0
        whose = own if catalog is None else catalog
        known, key = {} if known is None else known, (whose, rule.target)
        if key not in known:
            known[key] = self._names_for(rule, whose)
        return {**document, "conditions": [condition_words(each, known[key], window_s) for each in rule.conditions]}

    def _was_sent(self, name: str, catalog: str | None) -> bool:
        """Whether a device of a catalog (None: any) has sent a value of this name."""
        number = self._series.tail.index.name_number(name)
        if number is None or catalog is None:
            return number is not None
        senders = [device_id for device_id, _, _ in self._series.fleet.latest(None, name, MAX_LATEST)]
        return bool(of_catalog(self._directory, senders, catalog))

    def _group(self, group_id: str, catalog: str | None) -> list[str]:
        if not group_id:
            return []
        try:
            self._authored.visible("group", group_id, catalog)
        except (InvalidArgumentError, NotFoundError):
            return [f"there is no device group {group_id}: the rule looks at no device until there is"]
        return []

    def _template(self, rule: Rule) -> Template | None:
        """The newest version of the rule's template that it is for; a draft where nothing is published."""
        name, span = rule.target.template, rule.target.versions
        try:
            versions = [split_id(each.id)[1] for each in self._templates.versions(name)]
            fitting = [each for each in versions if span is None or span[0] <= each <= span[1]]
            return self._templates.get(name, fitting[0] if fitting else 0).template
        except (InvalidArgumentError, NotFoundError):
            return None

    def _names_for(self, rule: Rule, catalog: str | None) -> Naming:
        """Names for what a rule looks at: of its template, else of its devices, else of its device group's template.

        Another catalog's template, device or group is as good as none.
        """
        template, group, devices = rule.target.template, rule.target.group, rule.target.devices
        if not template and devices:
            mine = devices if catalog is None else of_catalog(self._directory, devices, catalog)
            return self._naming.of_devices([each for each in devices if each in mine])
        try:
            if not template and group:
                template = parse_group(self._authored.visible("group", group, catalog).content).template or ""
            if template:
                self._authored.visible("template", template, catalog)
        except (InvalidArgumentError, NotFoundError):  # there is none of this id (yet)
            return Naming()
        return self._naming.of_template(template) if template else Naming()


def _is_for(template: Template, catalog: str | None) -> bool:
    return None in (template.catalog, catalog) or str(template.catalog).lower() == str(catalog).lower()


def _telemetry(template: Template, rule: Rule) -> list[str]:
    """Telemetry of the template, and those names of the rule that are within one (a field of an object)."""
    known = [name for name, each in template.capabilities.items() if each.kind == "telemetry"]
    nested = [name for name in telemetry_names(rule) if any(name.startswith(f"{each}.") for each in known)]
    return known + nested


def _properties(template: Template, rule: Rule) -> list[str]:
    """Property paths of the template, and those of the rule that are within one."""
    names = [name for name, each in template.capabilities.items() if each.kind == "property"]
    known = [f"{section}.{name}" for section in ("reported", "desired") for name in names]
    known += [f"cloud.{name}" for name in template.cloud]
    nested = [path for path in _paths(rule) if any(path.startswith(f"{each}.") for each in known)]
    return known + nested


def _paths(rule: Rule) -> list[str]:
    found = [each.prop for each in rule.conditions if each.prop]
    return found + [each.prop for each in rule.target.filters]
