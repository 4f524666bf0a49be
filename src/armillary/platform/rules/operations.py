# SPDX-License-Identifier: Apache-2.0
"""Operations on rules: make, change, enable, delete, try on past data, explain why one fired or did not.

A rule is of one catalog or of all, as every author's document (``platform/authored/documents.py``). The secrets that
sign its webhooks are kept apart from it and never shown.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import check_url, place_of
from armillary.engines.rules import rows
from armillary.engines.rules.store import RuleStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import AuthoredDocuments, check_catalog, document_of
from armillary.platform.rules.facts import RuleFacts, groups_of
from armillary.platform.rules.names import RuleNames
from armillary.platform.rules.rules import Rules
from armillary.platform.rules.trial import RuleTrial, Tried
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.rule.action import split_secrets
from armillary.twin.rule.json_form import parse_document
from armillary.twin.rule.rule import Rule, RuleAction, sections_of, unconcerned
from armillary.twin.rule.words import summary, unreachable
from armillary.twin.template.value_names import Naming

KIND: Final = "rule"

# Finds the devices that a rule is tried on, of those that the caller may see.
Devices = Callable[[], Sequence[str]]


# Rules read at once to see whom they reach.
REACH_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class SilentRule:
    """A rule that can reach nobody, or not everybody that it names; ``why`` in sentences without their full stop."""

    rule_id: str
    name: str
    catalog: str | None
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom rules can tell: ``naming`` counts rules by their catalog and the channel that they name."""

    mail: MailServer
    naming: Mapping[tuple[str | None, str], int]
    silent: Sequence[SilentRule]


@dataclass(eq=False)
class RuleOperations:
    """Operations on rules. Methods block for the disk: call them from threads."""

    _authored: AuthoredDocuments
    _rules: Rules
    _store: OnDemand[RuleStore]
    _facts: RuleFacts
    _names: RuleNames
    _trial: RuleTrial
    _naming: DeviceNaming
    _changing_secrets: threading.Lock  # Held from looking at a document with secrets until both are changed

    def listed(self, catalog: str | None, limit: int, after: str | None, search: str | None = None) -> dict[str, Any]:
        """Rules by id, each with its conditions in words; ``search`` stands in the name or id of each."""
        page = self._authored.listed(KIND, catalog, limit, after, search)
        known: dict[Any, Naming] = {}  # many rules look at one template, all of whose versions are read for its names
        return {**page, "items": [self._names.shown(each, catalog, known) for each in page["items"]]}

    def show(self, rule_id: str, catalog: str | None) -> dict[str, Any]:
        """A rule with its conditions in words; ``unreachable`` says why it can reach nobody, empty where it can."""
        document = document_of(self._authored.visible(KIND, rule_id, catalog))
        return {**self._names.shown(document, catalog), "unreachable": self._unreachable(document["body"])}

    def put(
        self, actor: Operator, rule_id: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> dict[str, Any]:
        """Make or change a rule; ``warnings`` says what its device template does not have.

        Raises:
            InvalidArgumentError: it makes no sense, a webhook's address is not allowed, or a signed one has no secret.
            ConflictError, NotFoundError, PermissionDeniedError: it is not the caller's, or another version.
        """
        given, secrets = split_secrets(body)
        if not isinstance(given, dict):
            raise InvalidArgumentError("rule: expected a JSON object", remedy="Send the rule itself.")
        _, rule = parse_document(given)
        self._authored.check_free(KIND, rule_id, catalog, if_match)
        for each in rule.actions:
            if each.kind == "webhook":
                check_url(each.options["url"], self._rules.actions.settings.hosts)
        with self._changing_secrets:
            version = self._authored.check_put(KIND, rule_id, given, catalog, if_match)
            before = self._keep_secrets(rule_id, rule, secrets)
            try:
                made = self._authored.put(actor, KIND, rule_id, given, catalog, version)
            except BaseException:  # whatever it is: the rule stays as it was, and so do its secrets
                if before is not None:
                    self._store.get().commits.commit(rows.secrets_changed(rule_id, before, before))
                raise
        warnings = self._names.warnings_of(rule, made["body"].get("catalog"))
        unreachable_why = self._unreachable(made["body"])
        return {**self._names.shown(made, catalog), "warnings": warnings, "unreachable": unreachable_why}

    def delete(self, actor: Operator, rule_id: str, catalog: str | None, if_match: str | None) -> dict[str, Any]:
        """Delete a rule and its secrets; its alerts stay."""
        deleted = self._authored.delete(actor, KIND, rule_id, catalog, if_match)
        self.forget_secrets(rule_id)
        return deleted

    def forget_secrets(self, rule_id: str) -> None:
        """Forget what signs the webhooks of a rule that is no more: the next of its id signs with none of it."""
        if self._store.exists:
            self._store.get().commits.commit(rows.secrets_changed(rule_id, {}, ()))

    def switch(self, actor: Operator, rule_id: str, catalog: str | None, *, enabled: bool) -> dict[str, Any]:
        """Enable a rule from the next message on, or disable it, which drops its states."""
        found = self._authored.owned(KIND, rule_id, catalog)
        body = {**found.content, "enabled": enabled}
        return self._names.shown(self._authored.put(actor, KIND, rule_id, body, catalog, found.etag), catalog)

    def trace(self, rule_id: str, device_id: str, since_ms: int) -> dict[str, Any]:
        """Why a rule fired or did not for a device: its last evaluations in this life of the hub, newest first.

        The rule is one of the device's catalog or of all, whoever asks. Evaluations before ``since_ms`` (Unix
        milliseconds) are another owner's.

        Raises:
            NotFoundError: there is no such rule.
        """
        _, owner = self._facts.read(device_id, frozenset(), 0)
        catalog, rule = parse_document(self._authored.visible(KIND, rule_id, owner).content)
        facts, _ = self._facts.read(device_id, sections_of(rule), 0, groups_of(rule))
        why = unconcerned(rule.target, facts)
        if why is None and not rule.enabled:
            why = "the rule is disabled"
        naming = self._naming.of_devices((device_id,))
        items = [each for each in self._rules.trace(rule_id, device_id) if each["at_ms"] >= since_ms]
        return {
            "rule_id": rule_id,
            "device_id": device_id,
            "catalog": catalog,
            "state": self._rules.state_of(rule_id, device_id),
            "unconcerned": why,
            "items": [_said(each, naming) for each in items],
            "next": None,
        }

    def try_kept(
        self, rule_id: str, devices: Devices, start_ms: int, end_ms: int, catalog: str | None
    ) -> dict[str, Any]:
        """As :meth:`try_new`, a rule that is kept."""
        document = self._authored.visible(KIND, rule_id, catalog).content
        return self.try_new(document, devices, start_ms, end_ms, catalog)

    def try_new(
        self, document: object, devices: Devices, start_ms: int, end_ms: int, catalog: str | None
    ) -> dict[str, Any]:
        """When a rule would have fired on values stored from ``start_ms`` to before ``end_ms``, and why.

        ``devices`` finds none for all that the rule concerns. Nothing is kept or done.

        Raises:
            InvalidArgumentError: the rule or the range makes no sense, or there are too many devices.
        """
        own, rule = parse_document(split_secrets(document)[0])
        whose = own if catalog is None else catalog
        check_catalog(KIND, whose if own is None else own, catalog)
        run = self._trial.run(whose, rule, devices(), start_ms, end_ms)
        return {
            "start_ms": start_ms,
            "end_ms": end_ms,
            "firings": sum(each.firings for each in run.devices),
            "is_cut": run.is_cut,
            "devices": [self._in_words(each) for each in run.devices],
            "warnings": self._names.warnings_of(rule, whose),
        }

    def reach(self, catalog: str | None) -> Reach:
        """Whom the rules that the caller may see can tell: channels that they name, and those that reach nobody."""
        naming: Counter[tuple[str | None, str]] = Counter()
        silent: list[SilentRule] = []
        page: dict[str, Any] = {"next": None}
        while True:
            page = self._authored.listed(KIND, catalog, REACH_PAGE, page["next"])
            for each in page["items"]:
                body = each["body"]
                named = {action["channel"] for action in body.get("actions", ()) if action.get("channel")}
                naming.update((body.get("catalog"), name) for name in named)
                if why := self._unreachable(body):
                    silent.append(SilentRule(each["id"], str(body["name"]), body.get("catalog"), why))
            if page["next"] is None:
                return Reach(self._rules.actions.settings.mail, naming, silent)

    def _unreachable(self, body: Mapping[str, Any]) -> list[str]:
        try:
            _, rule = parse_document(body)
        except InvalidArgumentError:  # kept by another program
            return []
        found, catalog = self._rules.actions.settings, body.get("catalog")
        is_heard = self._rules.actions.is_heard(catalog, rule.severity)
        said = unreachable(rule, has_mail_server=bool(found.mail.host and found.mail.sender), is_heard=is_heard)
        return [*said, *filter(None, (self._gone(each, catalog) for each in rule.actions))]

    def _gone(self, action: RuleAction, catalog: str | None) -> str:
        """Why an action can do nothing as things are now; "" where it can."""
        settings, options, name = self._rules.actions.settings, action.options, f"Action {action.name}"
        if action.kind == "webhook":
            try:
                check_url(options["url"], settings.hosts)
            except InvalidArgumentError:
                _, host, port, _ = place_of(options["url"])
                return (
                    f"{name}: the outbound rules of this service refuse {host}:{port}, so nothing is sent; an "
                    "administrator can name the host in webhook_hosts"
                )
        if action.kind == "job":
            try:
                self._authored.visible("job", options["job"], catalog)
            except NotFoundError:
                return f"{name}: the job {options['job']} does not exist any more, so nothing is run"
        if action.kind == "channel" and not (
            settings.channels and settings.channels.is_there(options["channel"], catalog)
        ):
            return f"{name}: the notification channel {options['channel']} does not exist, so nobody is told"
        return ""

    def _in_words(self, tried: Tried) -> dict[str, Any]:
        naming = self._naming.of_devices((tried.device_id,))
        said = {name: [_said(each, naming) for each in getattr(tried, name)] for name in ("fired", "last")}
        return {**dataclasses.asdict(tried), **said}

    def _keep_secrets(self, rule_id: str, rule: Rule, secrets: dict[str, str]) -> dict[str, str] | None:
        """Keep a rule's secrets; those that it had before, or None when there was nothing to do.

        Raises:
            InvalidArgumentError: a signed action has none.
        """
        signed = {each.name for each in rule.actions if each.options.get("signed")}
        store = self._store.get()
        had = {action: store.secret(rule_id, action) or "" for action in store.secrets(rule_id)}
        for name in sorted(signed - set(secrets) - set(had)):
            raise InvalidArgumentError(
                f"actions: {name!r} is signed and has no secret", remedy="Give it a secret of 16 to 128 characters."
            )
        if not secrets and set(had) <= signed:
            return None
        store.commits.commit(rows.secrets_changed(rule_id, secrets, signed))
        return had


def _said(trace: Mapping[str, Any], naming: Naming) -> dict[str, Any]:
    """An evaluation with its summary."""
    return {**trace, "summary": summary(trace, naming)}
