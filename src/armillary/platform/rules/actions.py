# SPDX-License-Identifier: Apache-2.0
"""What is done about firings: e-mails, webhooks, commands, jobs, quarantine requests, from a list of deliveries.

::

    waiting --attempt--> done
       ^         '-- not now --> waiting, later each time     (back-off with jitter)
       |         '-- never, or MAX_ATTEMPTS --> dead          (dead letter: an operator replays it)
       '------------------------replay----------'

A delivery is committed with its firing and leaves the list only by the outcome of an attempt, so it is made at least
once whatever happens to this process; its id is the same in all attempts. Attempts go out beside each other, few to one
target: a target that does not answer holds up its own deliveries only.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import structlog

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.outbound import email as rule_email, webhook as rule_webhook
from armillary.engines.outbound.attempts import NeverError, NotNowError, backoff, brief, check_status
from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.engines.rules import rows
from armillary.engines.rules.rows import Alert, RuleDelivery
from armillary.engines.rules.store import RuleStore
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    DeviceFault,
    DeviceOfflineError,
    DeviceTimeoutError,
    HostError,
    PermissionDeniedError,
)
from armillary.platform.jobs.jobs import Jobs
from armillary.platform.ports import AlertChannels, Devices, Directory
from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.document.document import timestamp
from armillary.twin.rule.rule import Rule

# Attempts under way at once, of one owner, and to one target: two owners whose targets do not answer leave some free.
MAX_ATTEMPTS_AT_ONCE: Final = 8
MAX_ATTEMPTS_OF_OWNER: Final = 3
MAX_ATTEMPTS_OF_TARGET: Final = 2
# Attempts of one delivery before it is a dead letter: over an hour and a half.
MAX_ATTEMPTS: Final = 12
# Deliveries read at once, and the longest sleep between two looks (seconds).
MAX_DUE: Final = 64
LOOK_S: Final = 30.0
# When the list cannot be read, it is tried again after this time (seconds).
TROUBLE_S: Final = 2.0

# The delivery to channels that chose alerts: its kind, and what it is called beside the rule's own actions.
CHOSEN: Final = "chosen-channels"

# device id, catalog, what the rule says -> None; tells whoever decides about quarantine.
Quarantine = Callable[[str, str, Mapping[str, str]], None]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ActionCounters:
    """What actions count since the start."""

    rule_actions_done: int = 0  # Deliveries made
    rule_actions_retried: int = 0  # Attempts that failed and are made again
    rule_actions_dead: int = 0  # Deliveries given up


@dataclass(slots=True)
class ActionSettings:
    """How actions of rules and data exports reach the world; ``hosts`` are those that may be called."""

    mail: MailServer = field(default_factory=MailServer)  # The mail server
    hosts: AllowedHosts = field(default_factory=lambda: AllowedHosts(public=True, named=frozenset()))
    channels: AlertChannels | None = None  # Notification channels; None when the hub runs without a security service
    quarantine: Quarantine | None = None  # Who is told of a quarantine request; None when nobody is there to be told


def deliveries_of(
    rule: Rule, alert: Alert, owner: str, *, is_of_all: bool = False, is_chosen: bool = False
) -> list[RuleDelivery]:
    """What is to be done about a firing, in the room of an owner.

    ``is_of_all``: the rule is one of all catalogs; ``is_chosen``: there are channels that chose such alerts.
    """
    wanted = [
        (each.name, each.kind, {**each.options, "is_of_all": is_of_all} if each.kind == "channel" else each.options)
        for each in rule.actions
    ]
    if is_chosen:
        named = [each.options["channel"] for each in rule.actions if each.kind == "channel"]
        wanted.append((CHOSEN, CHOSEN, {"named": named, "is_of_all": is_of_all}))
    return [
        RuleDelivery(
            id=f"{alert.id}.{number}",
            catalog=alert.catalog,
            action=name,
            kind=kind,
            target=_target(kind, options, alert.device_id),
            options=options,
            due_ms=alert.fired_ms,
            owner=owner,
            rule_id=alert.rule_id,
        )
        for number, (name, kind, options) in enumerate(wanted)
    ]


def _name_of(directory: Directory, alert: Alert) -> str | None:
    """What the device of an alert is called by the owner that the alert is for; None where it has another one now."""
    owner = directory.of((alert.device_id,)).get(alert.device_id, {}).get("catalog")
    if str(owner or "").lower() != str(alert.catalog or "").lower():
        return None
    return directory.names((alert.device_id,)).get(alert.device_id)


def _target(kind: str, options: Mapping[str, Any], device_id: str) -> str:
    if kind == "webhook":
        _, host, port, _ = rule_webhook.place_of(options["url"])
        return f"{host}:{port}"
    if kind == "channel":
        return f"channel {options['channel']}"
    if kind == CHOSEN:
        return "channels"
    return {"email": "mail server", "command": f"device {device_id}"}.get(kind, "security service")


class RuleActions:
    """Makes deliveries. Everything runs in the hub's loop, what blocks in a few threads of its own."""

    def __init__(
        self,
        store: OnDemand[RuleStore],
        devices: Devices,
        directory: Directory,
        naming: DeviceNaming,
        jobs: Jobs,
        settings: ActionSettings,
        clock: Callable[[], float],  # Unix time, seconds
    ) -> None:
        self.settings = settings
        self.counters = ActionCounters()
        self._store = store
        self._devices = devices
        self._directory = directory
        self._naming = naming
        self._jobs = jobs
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._under_way: dict[str, tuple[RuleDelivery, asyncio.Task[None]]] = {}
        self._over: set[str] = set()  # since the last look began: what it read may be older than their outcome
        self._paused: dict[str, float] = {}  # target -> until, monotonic
        self._failures: Counter[str] = Counter()  # of a target, one after the other
        self._threads: ThreadPoolExecutor | None = None
        self._counts: Mapping[str, int] = {}

    def start(self) -> None:
        """Begin; does nothing when begun."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="hub-rule-actions")

    def wake(self) -> None:
        """New deliveries are there."""
        self._woken.set()

    def is_heard(self, catalog: str | None, severity: str) -> bool:
        """Whether a notification channel chose such alerts, of a catalog or with None of all."""
        return self.settings.channels is not None and self.settings.channels.is_heard(catalog, severity)

    def wake_soon(self) -> None:
        """The same from any thread."""
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._woken.set)

    async def close(self) -> None:
        """End; attempts under way are given up, and made again after the next start."""
        tasks = [task for _, task in self._under_way.values()]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def count(self) -> dict[str, int]:
        """What actions count."""
        return {
            **asdict(self.counters),
            "rule_actions_waiting_now": self._counts.get("waiting", 0),
            "rule_actions_dead_letters_now": self._counts.get("dead", 0),
            "rule_action_owners_full_now": self._counts.get("owners_full", 0),
            "rule_action_rules_full_now": self._counts.get("rules_full", 0),
            "rule_actions_under_way_now": len(self._under_way),
        }

    # The list -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                wait_s = await self._look()
            except ArmillaryError as error:  # the disk: the list stays as it is
                _log.error("hub.rule-actions-not-readable", why=error.message)
                wait_s = TROUBLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            self._woken.clear()

    async def _look(self) -> float:
        """Begin attempts that are due; for how long there is nothing to do (seconds)."""
        store, now = self._store.get(), time.monotonic()
        self._over.clear()
        self._paused = {target: until for target, until in self._paused.items() if until > now}
        while len(self._under_way) < MAX_ATTEMPTS_AT_ONCE:
            full = self._full_targets(), self._full_owners()
            due = await asyncio.to_thread(store.deliveries.due, self._now_ms(), MAX_DUE, *full)
            if not sum(self._begin(each) for each in due):
                break
        self._counts = await asyncio.to_thread(store.deliveries.counts)
        busy = {each.target for each, _ in self._under_way.values()}
        next_ms = await asyncio.to_thread(store.deliveries.next_due_ms, [*self._paused, *busy], self._full_owners())
        waits = [LOOK_S, *(until - now for until in self._paused.values())]
        if next_ms is not None:
            waits.append((next_ms - self._now_ms()) / 1000)
        return max(0.05, min(waits))

    def _full_targets(self) -> list[str]:
        """Targets that take no further attempt now; one that failed is tried by one attempt first."""
        busy = Counter(each.target for each, _ in self._under_way.values())
        full = [one for one, count in busy.items() if count >= MAX_ATTEMPTS_OF_TARGET or self._failures[one]]
        return [*self._paused, *full]

    def _full_owners(self) -> list[str]:
        busy = Counter(each.owner for each, _ in self._under_way.values())
        return [one for one, count in busy.items() if count >= MAX_ATTEMPTS_OF_OWNER]

    def _begin(self, delivery: RuleDelivery) -> bool:
        """Begin an attempt, if there is room for it; whether it was begun."""
        if len(self._under_way) >= MAX_ATTEMPTS_AT_ONCE or delivery.id in self._under_way or delivery.id in self._over:
            return False
        if delivery.target in self._full_targets() or delivery.owner in self._full_owners():
            return False
        task = asyncio.get_running_loop().create_task(self._attempt(delivery), name="hub-rule-action")
        self._under_way[delivery.id] = (delivery, task)
        return True

    async def _attempt(self, delivery: RuleDelivery) -> None:
        state, error, wait_s = "done", "", 0.0
        try:
            alert = await asyncio.to_thread(self._store.get().deliveries.alert_of, delivery)
            error = await self._make(delivery, alert)
        except NotNowError as refusal:
            state, error, wait_s = "waiting", str(refusal), refusal.wait_s
        except NeverError as refusal:
            state, error = "dead", str(refusal)
        except Exception as fault:  # noqa: BLE001 - the outermost loop of an attempt: noted, and tried again
            _log.exception("hub.rule-action-fault", delivery=delivery.id)
            state, error = "waiting", f"a fault of this program ({type(fault).__name__})"
        try:
            await self._note(delivery, state, error, wait_s)
        finally:
            del self._under_way[delivery.id]
            self._over.add(delivery.id)
            self.wake()

    async def _note(self, delivery: RuleDelivery, state: str, error: str, wait_s: float) -> None:
        """Write the outcome down; a disk that takes nothing has it tried again."""
        now_ms, due_ms = self._now_ms(), 0
        if state == "waiting" and delivery.attempts + 1 >= MAX_ATTEMPTS:
            state = "dead"
        if state == "waiting":
            self.counters.rule_actions_retried += 1
            delay_s = max(wait_s, backoff(delivery.attempts))
            due_ms = now_ms + int(delay_s * 1000)
            self._failures[delivery.target] += 1
            self._paused[delivery.target] = time.monotonic() + backoff(self._failures[delivery.target] - 1)
        else:
            self._failures.pop(delivery.target, None)
            done = state == "done"
            self.counters.rule_actions_done += done
            self.counters.rule_actions_dead += not done
        level = _log.debug if state == "done" else _log.warning
        level("hub.rule-action", delivery=delivery.id, kind=delivery.kind, target=delivery.target, state=state)
        change = rows.tried(delivery, state=state, due_ms=due_ms, now_ms=now_ms, error=error)
        while True:
            try:
                await self._store.get().commits.run(change)
            except ArmillaryError as trouble:
                _log.error("hub.rule-action-not-noted", why=trouble.message)
                await asyncio.sleep(TROUBLE_S)
            else:
                return

    # Kinds --------------------------------------------------------------------------------------------------

    async def _make(self, delivery: RuleDelivery, alert: Alert) -> str:
        """One attempt; a remark on a success, usually empty.

        Raises:
            NotNowError: later, perhaps.
            NeverError: not at all.
        """
        kinds: Mapping[str, Callable[[RuleDelivery, Alert], Awaitable[str]]] = {
            "email": self._email,
            "webhook": self._webhook,
            "command": self._command,
            "quarantine": self._quarantine,
            "job": self._job,
            "channel": self._channel,
            CHOSEN: self._chosen_channels,
        }
        return await kinds[delivery.kind](delivery, alert)

    async def _email(self, delivery: RuleDelivery, alert: Alert) -> str:
        import smtplib  # noqa: PLC0415 - only with e-mails

        said = await asyncio.to_thread(self._naming.summary, alert.device_id, alert.trace)
        name = await asyncio.to_thread(_name_of, self._directory, alert)
        subject = delivery.options.get("subject") or f"{alert.severity}: {alert.rule_name}"
        text = (
            f"{alert.rule_name} fired for {name or 'device'} ({alert.device_id})\n"
            f"at {timestamp(alert.fired_ms)}, severity {alert.severity}.\n\n"
            f"{said}\n\n"
            + "".join(f"  {each}\n" for each in alert.trace.get("conditions", ()))
            + f"\nCatalog {alert.catalog}, rule {alert.rule_id}, alert {alert.number}.\n"
        )
        to = list(delivery.options["to"])
        try:
            remark: str = await self._in_thread(rule_email.send, self.settings.mail, delivery.id, to, subject, text)
        except rule_email.RefusedError as error:
            raise NeverError(str(error)) from error
        except ArmillaryError as error:
            raise NotNowError(error.message) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotNowError(f"the mail server does not take it ({brief(error)})") from error
        return remark

    async def _webhook(self, delivery: RuleDelivery, alert: Alert) -> str:
        import http.client  # noqa: PLC0415 - only with webhooks

        options = delivery.options
        said = await asyncio.to_thread(self._naming.summary, alert.device_id, alert.trace)
        name = await asyncio.to_thread(_name_of, self._directory, alert)
        data = {**asdict(alert), "device_name": name, "summary": said, "action": delivery.action}
        source = f"/catalogs/{alert.catalog}/rules/{alert.rule_id}"
        body = rule_webhook.event(delivery.id, source, alert.device_id, alert.fired_ms, data)
        headers = {"User-Agent": "armillary", "Armillary-Attempt": str(delivery.attempts + 1)}
        if options.get("signed"):
            secret = await asyncio.to_thread(self._store.get().secret, alert.rule_id, delivery.action)
            if secret is None:
                raise NeverError("its secret is not here: give the action its secret again, then replay this")
            headers[rule_webhook.SIGNATURE_HEADER] = rule_webhook.sign(secret, body, self._now_ms() // 1000)
        try:
            status, retry_after = await self._in_thread(
                rule_webhook.post, options["url"], body, headers, self.settings.hosts
            )
        except PermissionDeniedError as error:
            raise NeverError(error.message) from error
        except (OSError, http.client.HTTPException) as error:
            raise NotNowError(f"no answer ({brief(error)})") from error
        check_status(status, retry_after)
        return ""

    async def _command(self, delivery: RuleDelivery, alert: Alert) -> str:
        options = delivery.options
        detail = {"method": options["method"]}
        entry = AuditEntry(f"rule {alert.rule_id}", "device.method", alert.device_id, detail)
        await asyncio.to_thread(self._store.get().outbox.note, entry)
        try:
            result = await self._devices.invoke_method(
                alert.device_id, options["method"], options.get("payload"), float(options["timeout_s"])
            )
        except (DeviceOfflineError, DeviceTimeoutError, DeviceFault) as error:
            raise NotNowError(error.message) from error
        except ArmillaryError as error:
            raise NeverError(error.message) from error
        if not 200 <= result.status < 300:
            raise NeverError(f"the device answered {result.status}")
        return ""

    async def _quarantine(self, delivery: RuleDelivery, alert: Alert) -> str:
        tell = self.settings.quarantine
        if tell is None:
            raise NeverError("nobody decides about quarantine here: the hub runs without a security service")
        said = {
            "rule": alert.rule_name,
            "rule_id": alert.rule_id,
            "severity": alert.severity,
            "why": await asyncio.to_thread(self._naming.summary, alert.device_id, alert.trace),
            "reason": str(delivery.options.get("reason", "")),
        }
        await self._in_thread(tell, alert.device_id, alert.catalog, said)
        return ""

    async def _job(self, delivery: RuleDelivery, alert: Alert) -> str:
        """Begin a run over devices of the alert's catalog, whatever the job says of catalogs: no other owner's."""
        job_id, by = delivery.options["job"], f"rule {alert.rule_id}, delivery {delivery.id}"
        jobs = self._jobs
        if not alert.catalog:
            raise NeverError("the device belongs to no catalog")
        begun = await asyncio.to_thread(jobs.store.runs, job_id)
        if any(run.begun_by == by for run in begun):  # by an attempt whose end was not noted
            return ""

        def detail(begun: tuple[int, int]) -> dict[str, object]:
            return {"job": job_id, "run": begun[0]}

        entry = AuditEntry(f"rule {alert.rule_id}", "job.run", alert.device_id, detail)
        try:
            await asyncio.to_thread(lambda: jobs.begin(job_id, by=by, within=alert.catalog, entry=entry))
        except (ConflictError, HostError) as error:  # a run is under way; disk or audit log take nothing
            raise NotNowError(error.message) from error
        except ArmillaryError as error:
            raise NeverError(error.message) from error
        return ""

    async def _channel(self, delivery: RuleDelivery, alert: Alert) -> str:
        """Have a notification channel of the rule's owner tell of the alert; the channel tries until it has."""
        name = delivery.options["channel"]
        if not await self._tell(self._channels().tell, name, delivery, alert):
            raise NeverError(f"there is no notification channel {name!r} any more")
        return ""

    async def _chosen_channels(self, delivery: RuleDelivery, alert: Alert) -> str:
        """Have the notification channels tell of the alert that chose alerts; none does where they chose otherwise."""
        await self._tell(self._channels().tell_choosers, delivery.options["named"], delivery, alert)
        return ""

    def _channels(self) -> AlertChannels:
        if self.settings.channels is None:
            raise NeverError("there are no notification channels here: the hub runs without a security service")
        return self.settings.channels

    async def _tell(self, tell: Callable[..., int], whom: object, delivery: RuleDelivery, alert: Alert) -> int:
        """Have channels tell of an alert; how many there are."""
        said = {
            "alert": alert.number,
            "rule": alert.rule_name,
            "rule_id": alert.rule_id,
            "severity": alert.severity,
            "device_id": alert.device_id,
            "device_name": await asyncio.to_thread(_name_of, self._directory, alert),
            "fired_at": alert.fired_ms // 1000,
            "why": await asyncio.to_thread(self._naming.summary, alert.device_id, alert.trace),
        }
        whole = bool(delivery.options.get("is_of_all"))
        try:
            told: int = await self._in_thread(tell, whom, alert.catalog, whole, delivery.id, said)
        except ArmillaryError as error:  # the disk
            raise NotNowError(error.message) from error
        return told

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MAX_ATTEMPTS_AT_ONCE, "hub-rule-actions")
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
