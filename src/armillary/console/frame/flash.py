# SPDX-License-Identifier: Apache-2.0
"""Flash messages: what a page says once, after an action led back to it (POST, redirect, GET).

The address carries only a message's key, and how many it is about, so that nobody can write on our page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import RedirectResponse, Response

from armillary.console.language.say import say, say_count

# Name in the query of an address.
PARAMETER: Final = "told"
_SAVED: Final = say("Saved. The version before stays in the application's history.")
_DELETED: Final = say("Deleted. Its versions stay in the application's history for a while.")
# Key -> text. All are drawn as good but those of ATTENTION.
MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "approve": say("Approved. The first cohort starts now."),
        "halt": say("Halted. No further device is offered this update; Resume continues."),
        "resume": say("Resumed. The planner continues with the next cohort."),
        "roll-back": say("Rolling back. Devices are offered the deployment before at their next check-in."),
        "asked-to-check-in": say(
            "Asked. A device that waits for a hint comes within a second; others when they next ask."
        ),
        "asked-for-log": say("Asked. It sends its log when it checks in; this page shows when it came."),
        "renamed": say("Renamed. It is shown and found by this name everywhere."),
        "revoked": say("Revoked. The device gets no certificate and the hub has let it go; Restore undoes it."),
        "restored": say("Restored. The device can check in again."),
        "released": say(
            "Released. It proves itself at its next check-in; two machines with one identity are held again."
        ),
        "quarantined": say("In quarantine. It may check in and update, and nothing else; Release undoes it."),
        "decommissioned": say(
            "Out of service. It opens nothing and is nobody's; it comes back only by an enrolment that is allowed."
        ),
        "offered": say("Offered. Nothing moves before the other catalog accepts; the offer can be cancelled."),
        "desired": say("Set. The device is told at once if it is connected, else when it connects."),
        "acknowledged": say("Acknowledged. It is listed under that status until somebody closes it."),
        "aware": say("Recorded. The clocks run; each draft says what is held and what is missing."),
        "case-entry": say("Recorded. Entries of a case are never changed."),
        "channel-made": say("Created. Send a test: the page says what came back."),
        "channel-retried": say("What was given up is sent again."),
        "picture-kept": say("Uploaded. Tiles and floor plans can show it."),
        "picture-cut": say(
            "Uploaded, without what could do something or tell of somebody: scripts, links, places, texts."
        ),
        "picture-deleted": say("Deleted."),
        "channel-chosen": say("Saved. What waits for the channel is still sent."),
        "channel-deleted": say("Deleted. Nobody is told by it any more."),
        "dossier-made": say("Created and signed. It states what was so at that time."),
        "stated": say("Stated and signed. It counts from now on."),
        "taken-back": say("Withdrawn. What feeds and bills of materials say counts again."),
        "action-running": say("Running. The page shows how far it is."),
        "action-waiting": say("It waits for a second person, who is not the one that asked."),
        "action-done": say("Done."),
        "action-failed": say("It failed: the page says why."),
        "action-cancelled": say("Cancelled. What it did stays."),
        "action-undone": say("Undone."),
        "playbook-enabled": say("It is used from now on."),
        "playbook-disabled": say("It is used no more."),
        "report-changed": say("Recorded. What was noted is kept sealed, as the report is."),
        "dump-deleted": say("Deleted. The crash's group and its counts stay."),
        "dumps-erased": say("Erased. Nobody can read them any more."),
        "collection-set": say("Set. Each device hears of it at its next check-in."),
        "declared": say("Declared. Drafts, dossiers and alerts rest on it from now on."),
        "acknowledged-kind": say("Acknowledged. What came in since is still open."),
        "closed": say("Closed. If it is seen again, a new finding opens."),
        "transfer-accept": say("Accepted. The device sits in no device group yet: armillary device assign."),
        "transfer-decline": say("Declined. The device stays with its owner."),
        "transfer-cancel": say("Cancelled. Nobody can accept the offer any more."),
        "enrolment-revoked": say("Revoked. It enrols no device any more; those it enrolled stay."),
        "created": say("Created. Every later change is kept in the application's history, too."),
        "kept": _SAVED,
        "deleted": _DELETED,
        "acknowledged-alert": say("Acknowledged. It is listed under that state."),
        "acknowledged-before": say(
            "Nothing was changed: all that were selected, or match, had been acknowledged before."
        ),
        "none-ticked": say("Nothing was selected, and nothing was changed. Tick rows of the list, then send it."),
        "published": say("Published. This version never changes; devices can have it."),
        "begun": say("Begun. The page shows how it is getting on."),
        "cancelled": say("Cancelled. No other device begins; those that run still get their result."),
        "dashboard": _SAVED,
        "dashboard-undone": say(
            "Undone. The dashboard is as it was before; what was undone stays in the history, too."
        ),
        "dashboard-deleted": _DELETED,
        "tile-removed": say("Removed. The other tiles stay where they were."),
        "template-made": say("Created. It is a draft: publish it, then devices can have it."),
        "draft-kept": say("Saved in the draft. The draft before stays in the application's history."),
        "draft-begun": say("Begun. No device has the draft before it is published."),
        "template-given": say("Done. What it sends is judged so from now on."),
        "template-moved": say("Moved. Devices that were moved are judged by this version now."),
        "cloud-kept": say("Saved. Rules that compare with it do so from now on."),
        "hub-device-made": say("Created. It may connect as soon as its catalog allows its way of authentication."),
        "hub-disabled": say("Disabled. Its connection is closed and it is blocked; Enable undoes it."),
        "hub-enabled": say("Enabled. It may connect with its key or certificate."),
        "hub-deleted": say("Deleted, with its twin, messages and files."),
        "module-made": say("Created. It connects with its own key, or as its device does."),
        "let-in": say("Allowed. They may connect now, and attest nothing."),
        "kept-out": say("Blocked. Those that were connected are cut off."),
        "enrolment-made": say("Created. Devices that show what it names may register, once its authority is proven."),
        "enrolment-proven": say("Proven. Devices whose certificates it signed may register."),
        "enrolment-disabled": say("Disabled. Nobody registers by it; Enable undoes it."),
        "enrolment-enabled": say("Enabled. Devices that show what it names may register."),
        "enrolment-deleted": say("Deleted. Nobody registers by it any more."),
        "service-key-deleted": say("Deleted. Services that sign with it are refused."),
        "application-used": say(
            "Created. Its devices send now; a day of history is being made up; its rules come last."
        ),
        "catalog-made": say("Created. Next: a product and its device groups."),
        "product-made": say("Created. Next: claim devices into one of its groups."),
        "group-made": say("Created. Devices can be claimed into it, or moved there."),
        "policy-changed": say("Changed. Each device has to prove it at its next check-in."),
        "place-changed": say("Saved."),
        "place-deleted": say("Deleted."),
        "images-kept": say("Saved and signed by this service. No device gets an image before a roll-out names it."),
        "images-dropped": say("Discarded. Nothing was kept."),
        "rollout-started": say("Started. The first cohort is offered it at its next check-in; Halt stops it."),
        "rollout-proposed": say("Proposed. It begins when somebody else approves it."),
        "draft-made": say("Created. Nobody is offered a draft: sign and publish it."),
        "release-sign": say("Signed. It is offered to nobody before it is published."),
        "release-publish": say("Published. Groups of its feed are offered it at their next check-in."),
        "release-promote": say("Promoted. Everybody is offered it at their next check-in."),
        "release-revoke": say("Revoked. Devices that boot it get updates only, and are offered their feed's newest."),
        "feed-made": say("Created. Groups can have it, and releases be published into it."),
        "feed-deleted": say("Deleted. Nothing used it."),
        "bill-kept": say("Saved, byte for byte. The one before is gone."),
        "group-asked": say("Asked. Devices that wait for a hint come within seconds; others when they next ask."),
        "person-invited": say("Invited. Tell them to open this console and sign in with the provider."),
        "person-granted": say("Granted. It can be used from the next page on."),
        "grant-revoked": say("Revoked. Sessions that acted by it ended."),
        "person-disabled": say("Disabled. All sessions of this person ended."),
        "person-enabled": say("Enabled. This person can sign in again."),
        "person-removed": say("Removed. The audit log keeps what was done."),
        "session-ended": say("Ended. That browser is signed out."),
        "acting": say("You act by this grant now; your account's page changes it."),
        "view-saved": say("Saved. It stands above the table, for you alone."),
        "view-renamed": say("Renamed."),
        "view-deleted": say("Deleted. The table itself is as it was."),
        "passkey-registered": say("Registered. It opens this console after the token, as your other passkeys do."),
        "passkey-removed": say("Removed. It opens this console no longer."),
        "recovered": say(
            "You are signed in by a recovery code, which is used up. If the passkey is lost, remove it and "
            "register another."
        ),
        "token-revoked": say("Revoked. Its sessions ended with it."),
    }
)
# Key -> text, of messages that count: the address has the key, a dot and the number.
COUNTED: Final[Mapping[str, Callable[[int], str]]] = MappingProxyType(
    {
        "acknowledged-alerts": lambda many: say_count(
            many,
            "{count} alert acknowledged. It is listed under that state.",
            "{count} alerts acknowledged. They are listed under that state.",
            count=f"{many:,}",
        ),
    }
)
MAX_DIGITS: Final = 6
ATTENTION: Final = frozenset({"acknowledged-before", "let-in", "none-ticked", "recovered"})
# Of which there is no line in the audit log: nothing was changed.
UNCHANGED: Final = frozenset({"acknowledged-before", "none-ticked"})


def message(query: Mapping[str, str]) -> Mapping[str, str] | None:
    """Kind and text of the message that an address asks for; None for none."""
    key, _, number = query.get(PARAMETER, "").partition(".")
    if key in COUNTED and number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS:
        return {"kind": "good", "text": COUNTED[key](int(number))}
    if key not in MESSAGES or number:
        return None
    return {"kind": "attention" if key in ATTENTION else "good", "text": MESSAGES[key]}


def without_message(here: str) -> str:
    """An address without its message, so that a refresh does not repeat it."""
    path, _, query = here.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith(f"{PARAMETER}=")]
    return path + (f"?{'&'.join(kept)}" if kept else "")


def local_path(asked: str) -> str:
    """``asked`` when it is a path of this console, else the fleet: a form must not lead to another site."""
    harmless = asked.startswith("/") and not asked.startswith("//") and "\\" not in asked and asked.isprintable()
    return asked if harmless else "/fleet"


def told(path: str, key: str) -> str:
    """The address of ``path``, which then shows the message ``key``."""
    path, _, fragment = local_path(path).partition("#")
    here = without_message(path)
    return f"{here}{'&' if '?' in here else '?'}{PARAMETER}={key}{'#' + fragment if fragment else ''}"


def done(path: str, key: str) -> Response:
    """Lead back to ``path``, which then shows the message ``key``."""
    return RedirectResponse(told(path, key), 303)
