# SPDX-License-Identifier: Apache-2.0
"""The conditions of rules in words, in the names and units of what a rule looks at."""

from __future__ import annotations

from typing import Any

from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.ports import Directory
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.author.group import parse_group
from armillary.twin.rule.json_form import parse_document
from armillary.twin.rule.rule import Rule
from armillary.twin.rule.words import condition_words
from armillary.twin.template.value_names import Naming


class RuleConditions:
    """Puts conditions into words. Methods block for a read or two.

    Args:
        authored: Device groups and templates.
        directory: Whose devices are.
        naming: What values are called.
    """

    def __init__(self, authored: AuthoredDocuments, directory: Directory, naming: DeviceNaming) -> None:
        self._authored = authored
        self._directory = directory
        self._naming = naming

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
            known[key] = self._names(rule, whose)
        return {**document, "conditions": [condition_words(each, known[key], window_s) for each in rule.conditions]}

    def _names(self, rule: Rule, catalog: str | None) -> Naming:
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
