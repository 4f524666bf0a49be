# SPDX-License-Identifier: Apache-2.0
"""Names in a rule that nothing has: said when the rule is kept, so that a misspelt one does not wait in silence.

They are warnings: data that is in no device template is kept like any other, and rules may look at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from armillary.engines.series.store import SeriesStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.device_facts import MAX_LATEST, of_catalog
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.ports import Directory
from armillary.platform.templates.templates import Templates
from armillary.twin.rule.rule import Rule, telemetry_names, unmodelled
from armillary.twin.template.name import split_id

if TYPE_CHECKING:
    from armillary.twin.template.template import Template


class RuleNames:
    """Looks for what a rule names. Methods block for a read or two.

    Args:
        series: What devices have sent.
        authored: Device groups.
        templates: Device templates.
        directory: Whose devices are.
    """

    def __init__(
        self, series: SeriesStore, authored: AuthoredDocuments, templates: Templates, directory: Directory
    ) -> None:
        self._series = series
        self._authored = authored
        self._templates = templates
        self._directory = directory

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


def _is_for(template: Template, catalog: str | None) -> bool:
    return None in (template.catalog, catalog) or str(template.catalog).lower() == str(catalog).lower()


def _telemetry(template: Template, rule: Rule) -> list[str]:
    """Telemetry of the template, and those names of the rule that are inside of one (a field of an object)."""
    known = [name for name, each in template.capabilities.items() if each.kind == "telemetry"]
    inside = [name for name in telemetry_names(rule) if any(name.startswith(f"{each}.") for each in known)]
    return known + inside


def _properties(template: Template, rule: Rule) -> list[str]:
    """Property paths of the template, and those of the rule that are inside of one."""
    names = [name for name, each in template.capabilities.items() if each.kind == "property"]
    known = [f"{section}.{name}" for section in ("reported", "desired") for name in names]
    known += [f"cloud.{name}" for name in template.cloud]
    inside = [path for path in _paths(rule) if any(path.startswith(f"{each}.") for each in known)]
    return known + inside


def _paths(rule: Rule) -> list[str]:
    found = [each.prop for each in rule.conditions if each.prop]
    return found + [each.prop for each in rule.target.filters]
