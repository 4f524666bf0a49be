# SPDX-License-Identifier: Apache-2.0
"""Flash messages: what a page says once, after an action led back to it (POST, redirect, GET).

The address carries only a message's key, so that nobody can write on our page.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import RedirectResponse, Response

# Name in the query of an address.
PARAMETER: Final = "told"
_SAVED: Final = "Saved. The version before stays in the application's history."
_DELETED: Final = "Deleted. Its versions stay in the application's history for a while."
# Key -> text. All are drawn as good but those of ATTENTION.
MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "approve": "Approved. The first cohort starts now.",
        "halt": "Halted. No further device is offered this update; Resume continues.",
        "resume": "Resumed. The planner continues with the next cohort.",
        "roll-back": "Rolling back. Devices are offered the deployment before at their next check-in.",
        "asked-to-check-in": "Asked. A device that waits for a hint comes within a second; others when they next ask.",
        "asked-for-log": "Asked. It sends its log when it checks in; this page shows when it came.",
        "renamed": "Renamed. It is shown and found by this name everywhere.",
        "revoked": "Revoked. The device gets no certificate and the hub has let it go; Restore undoes it.",
        "restored": "Restored. The device can check in again.",
        "released": "Released. It proves itself at its next check-in; two machines with one identity are held again.",
        "quarantined": "In quarantine. It may check in and update, and nothing else; Release undoes it.",
        "decommissioned": "Out of service. It opens nothing and is nobody's; it comes back only by an enrolment that "
        "is allowed.",
        "offered": "Offered. Nothing moves before the other catalog accepts; the offer can be cancelled.",
        "desired": "Set. The device is told at once if it is connected, else when it connects.",
        "acknowledged": "Acknowledged. It is listed under that status until somebody closes it.",
        "aware": "Recorded. The clocks run; each draft says what is held and what is missing.",
        "case-entry": "Recorded. Entries of a case are never changed.",
        "channel-made": "Created. Send a test: the page says what came back.",
        "channel-retried": "What was given up is sent again.",
        "picture-kept": "Uploaded. Tiles and floor plans can show it.",
        "picture-cut": "Uploaded, without what could do something or tell of somebody: scripts, links, places, texts.",
        "picture-deleted": "Deleted.",
        "channel-chosen": "Saved. What waits for the channel is still sent.",
        "channel-deleted": "Deleted. Nobody is told by it any more.",
        "dossier-made": "Created and signed. It states what was so at that time.",
        "stated": "Stated and signed. It counts from now on.",
        "taken-back": "Withdrawn. What feeds and bills of materials say counts again.",
        "action-running": "Running. The page shows how far it is.",
        "action-waiting": "It waits for a second person, who is not the one that asked.",
        "action-done": "Done.",
        "action-failed": "It failed: the page says why.",
        "action-cancelled": "Cancelled. What it did stays.",
        "action-undone": "Undone.",
        "playbook-enabled": "It is used from now on.",
        "playbook-disabled": "It is used no more.",
        "report-changed": "Recorded. What was noted is kept sealed, as the report is.",
        "dump-deleted": "Deleted. The crash's group and its counts stay.",
        "dumps-erased": "Erased. Nobody can read them any more.",
        "collection-set": "Set. Each device hears of it at its next check-in.",
        "declared": "Declared. Drafts, dossiers and alerts rest on it from now on.",
        "acknowledged-kind": "Acknowledged. What came in since is still open.",
        "closed": "Closed. If it is seen again, a new finding opens.",
        "transfer-accept": "Accepted. The device sits in no device group yet: armillary device assign.",
        "transfer-decline": "Declined. The device stays with its owner.",
        "transfer-cancel": "Cancelled. Nobody can accept the offer any more.",
        "enrolment-revoked": "Revoked. It enrols no device any more; those it enrolled stay.",
        "created": "Created. Every later change is kept in the application's history, too.",
        "kept": _SAVED,
        "deleted": _DELETED,
        "acknowledged-alert": "Acknowledged. It is listed under that state.",
        "acknowledged-alerts": "Acknowledged. They are listed under that state.",
        "published": "Published. This version never changes; devices can have it.",
        "begun": "Begun. The page shows how it is getting on.",
        "cancelled": "Cancelled. No other device begins; those that run still get their result.",
        "dashboard": _SAVED,
        "dashboard-undone": "Undone. The dashboard is as it was before; what was undone stays in the history, too.",
        "dashboard-deleted": _DELETED,
        "tile-removed": "Removed. The other tiles stay where they were.",
        "template-made": "Created. It is a draft: publish it, then devices can have it.",
        "draft-kept": "Saved in the draft. The draft before stays in the application's history.",
        "draft-begun": "Begun. No device has the draft before it is published.",
        "template-given": "Done. What it sends is judged so from now on.",
        "template-moved": "Moved. Devices that were moved are judged by this version now.",
        "cloud-kept": "Saved. Rules that compare with it do so from now on.",
        "hub-device-made": "Created. It may connect as soon as its catalog allows its way of authentication.",
        "hub-disabled": "Disabled. Its connection is closed and it is blocked; Enable undoes it.",
        "hub-enabled": "Enabled. It may connect with its key or certificate.",
        "hub-deleted": "Deleted, with its twin, messages and files.",
        "module-made": "Created. It connects with its own key, or as its device does.",
        "let-in": "Allowed. They may connect now, and attest nothing.",
        "kept-out": "Blocked. Those that were connected are cut off.",
        "enrolment-made": "Created. Devices that show what it names may register, once its authority is proven.",
        "enrolment-proven": "Proven. Devices whose certificates it signed may register.",
        "enrolment-disabled": "Disabled. Nobody registers by it; Enable undoes it.",
        "enrolment-enabled": "Enabled. Devices that show what it names may register.",
        "enrolment-deleted": "Deleted. Nobody registers by it any more.",
        "service-key-deleted": "Deleted. Services that sign with it are refused.",
        "application-used": "Created. Its devices send now; a day of history is being made up; its rules come last.",
        "catalog-made": "Created. Next: a product and its device groups.",
        "product-made": "Created. Next: claim devices into one of its groups.",
        "group-made": "Created. Devices can be claimed into it, or moved there.",
        "policy-changed": "Changed. Each device has to prove it at its next check-in.",
        "place-changed": "Saved.",
        "place-deleted": "Deleted.",
        "images-kept": "Saved and signed by this service. No device gets an image before a roll-out names it.",
        "images-dropped": "Discarded. Nothing was kept.",
        "rollout-started": "Started. The first cohort is offered it at its next check-in; Halt stops it.",
        "rollout-proposed": "Proposed. It begins when somebody else approves it.",
        "draft-made": "Created. Nobody is offered a draft: sign and publish it.",
        "release-sign": "Signed. It is offered to nobody before it is published.",
        "release-publish": "Published. Groups of its feed are offered it at their next check-in.",
        "release-promote": "Promoted. Everybody is offered it at their next check-in.",
        "release-revoke": "Revoked. Devices that boot it get updates only, and are offered their feed's newest.",
        "feed-made": "Created. Groups can have it, and releases be published into it.",
        "feed-deleted": "Deleted. Nothing used it.",
        "bill-kept": "Saved, byte for byte. The one before is gone.",
        "group-asked": "Asked. Devices that wait for a hint come within seconds; others when they next ask.",
        "person-invited": "Invited. Tell them to open this console and sign in with the provider.",
        "person-granted": "Granted. It can be used from the next page on.",
        "grant-revoked": "Revoked. Sessions that acted by it ended.",
        "person-disabled": "Disabled. All sessions of this person ended.",
        "person-enabled": "Enabled. This person can sign in again.",
        "person-removed": "Removed. The audit log keeps what was done.",
        "session-ended": "Ended. That browser is signed out.",
        "acting": "You act by this grant now; your account's page changes it.",
        "view-saved": "Saved. It stands above the table, for you alone.",
        "view-renamed": "Renamed.",
        "view-deleted": "Deleted. The table itself is as it was.",
        "passkey-registered": "Registered. It opens this console after the token, as your other passkeys do.",
        "passkey-removed": "Removed. It opens this console no longer.",
        "recovered": "You are signed in by a recovery code, which is used up. If the passkey is lost, remove it and "
        "register another.",
        "token-revoked": "Revoked. Its sessions ended with it.",
    }
)
ATTENTION: Final = frozenset({"let-in", "recovered"})


def message(query: Mapping[str, str]) -> Mapping[str, str] | None:
    """Kind and text of the message that an address asks for; None for none."""
    key = query.get(PARAMETER, "")
    return {"kind": "attention" if key in ATTENTION else "good", "text": MESSAGES[key]} if key in MESSAGES else None


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
