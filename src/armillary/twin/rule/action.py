# SPDX-License-Identifier: Apache-2.0
"""Reads a rule's actions from JSON, and takes out the secrets that an author writes with them.

::

    {"name": "desk", "kind": "email", "to": ["desk@example.com"], "subject": "Flow"}
    {"name": "tickets", "kind": "webhook", "url": "https://tickets.example.com/hook", "secret": "..."}
    {"name": "close", "kind": "command", "method": "closeValve", "payload": {"percent": 100}, "timeout_s": 30}
    {"name": "hold", "kind": "quarantine", "reason": "..."}
    {"name": "all", "kind": "job", "job": "close-all-valves"}
    {"name": "watch", "kind": "channel", "channel": "security desk"}

A secret is taken out before a rule is stored (:func:`split_secrets`): a stored, served or exported rule only says
``"signed": true``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

from armillary.twin.rule.fields import json_integer, json_list, json_object, json_text, json_truth, one_of, refused
from armillary.twin.rule.rule import MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS, RuleAction
from armillary.wire.text.web_address import split_web_address

# Addresses of one e-mail, and characters of one (RFC 5321 §4.5.3.1).
MAX_ADDRESSES: Final = 20
MAX_ADDRESS_CHARACTERS: Final = 254
MAX_URL_CHARACTERS: Final = 2048
# A secret shorter than this can be guessed; one longer than a hash's block is hashed anyway (RFC 2104 §3).
MIN_SECRET_CHARACTERS: Final = 16
MAX_SECRET_CHARACTERS: Final = 128
SECRET_WORDS: Final = f"{MIN_SECRET_CHARACTERS} to {MAX_SECRET_CHARACTERS} printable ASCII characters"
# The payload of a command in a rule, and how long its answer may take (as of any direct method).
MAX_PAYLOAD_BYTES: Final = 8192
MAX_TIMEOUT_S: Final = 300
COMMAND_TIMEOUT_S: Final = 30
# The name of a notification channel (service/notifications/channels.py).
MAX_CHANNEL_CHARACTERS: Final = 64

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_ACTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_METHOD = re.compile(r"[A-Za-z0-9_.:*-]{1,128}")


def is_secret(value: object) -> TypeGuard[str]:
    """Whether a value may be a webhook's or an export's secret: text as :data:`SECRET_WORDS` says."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return False
    return MIN_SECRET_CHARACTERS <= len(value) <= MAX_SECRET_CHARACTERS


def is_mail_address(value: object) -> TypeGuard[str]:
    """Whether a value may be the address of an e-mail, without a name and without quotes (RFC 5321 §4.1.2)."""
    return isinstance(value, str) and len(value) <= MAX_ADDRESS_CHARACTERS and _ADDRESS.fullmatch(value) is not None


def split_secrets(document: object) -> tuple[object, dict[str, str]]:
    """A rule's document without the secrets of its webhooks, and these by the name of their action.

    A webhook's ``secret`` becomes ``"signed": true``; everything else stays and is checked by ``json_form.py``. Raises
    InvalidArgumentError for a secret of the wrong length or characters; the message does not repeat it.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("actions"), list):
        return document, {}
    secrets: dict[str, str] = {}
    actions: list[Any] = []
    for number, action in enumerate(document["actions"]):
        if not isinstance(action, Mapping) or "secret" not in action:
            actions.append(action)
            continue
        if not is_secret(action["secret"]):
            raise refused(f"actions[{number}].secret", SECRET_WORDS, "something else")
        secrets[str(action.get("name", number + 1))] = action["secret"]
        actions.append({**{key: value for key, value in action.items() if key != "secret"}, "signed": True})
    return {**document, "actions": actions}, secrets


def action_from_json(document: object, path: str, number: str) -> RuleAction:
    """One action of a rule; ``number`` is its name when the document gives none.

    Raises InvalidArgumentError with the field, what was expected and what was found.
    """
    kind = document.get("kind") if isinstance(document, Mapping) else None
    known = one_of(kind, f"{path}.kind", tuple(_ACTIONS))
    names, read = _ACTIONS[known]
    fields = json_object(document, path, ("name", "kind", *names))
    name = fields.get("name", number)
    if not isinstance(name, str) or not _ACTION_NAME.fullmatch(name):
        raise refused(f"{path}.name", "1 to 64 letters, digits, spaces, dots, dashes", repr(name))
    return RuleAction(name, known, read(fields, path))


def _email(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    addresses = json_list(fields.get("to"), f"{path}.to", 1, MAX_ADDRESSES)
    for each in addresses:
        if not is_mail_address(each):
            raise refused(f"{path}.to", "addresses such as desk@example.com", repr(each))
    subject = json_text(fields.get("subject", ""), f"{path}.subject", 0, MAX_NAME_CHARACTERS)
    return {"to": addresses, **({"subject": subject} if subject else {})}


def _webhook(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    url = json_text(fields.get("url"), f"{path}.url", 1, MAX_URL_CHARACTERS)
    try:
        parts = split_web_address(url)
        valid = parts.username is None and not parts.fragment
    except ValueError:
        valid = False
    if not valid:
        raise refused(f"{path}.url", "https:// or http://, a host, no user name, no fragment", repr(url[:100]))
    return {"url": url, "signed": json_truth(fields.get("signed", False), f"{path}.signed")}


def _command(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    method = fields.get("method")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise refused(f"{path}.method", "a method name", repr(method))
    timeout = fields.get("timeout_s", COMMAND_TIMEOUT_S)
    if json_integer(timeout, f"{path}.timeout_s") not in range(1, MAX_TIMEOUT_S + 1):
        raise refused(f"{path}.timeout_s", f"1 to {MAX_TIMEOUT_S}", repr(timeout))
    try:
        size = len(json.dumps(fields.get("payload"), allow_nan=False).encode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise refused(f"{path}.payload", "JSON", str(error)[:80]) from None
    if size > MAX_PAYLOAD_BYTES:
        raise refused(f"{path}.payload", f"at most {MAX_PAYLOAD_BYTES} bytes", str(size))
    return {"method": method, "payload": fields.get("payload"), "timeout_s": timeout}


def _quarantine(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    reason = json_text(fields.get("reason", ""), f"{path}.reason", 0, MAX_TEXT_CHARACTERS, lines=True)
    return {"reason": reason} if reason else {}


def _job(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {"job": json_text(fields.get("job"), f"{path}.job", 1, MAX_NAME_CHARACTERS)}


def _channel(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {"channel": json_text(fields.get("channel"), f"{path}.channel", 1, MAX_CHANNEL_CHARACTERS)}


_ACTIONS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], str], dict[str, Any]]]]] = {
    "email": (("to", "subject"), _email),
    "webhook": (("url", "signed"), _webhook),
    "command": (("method", "payload", "timeout_s"), _command),
    "quarantine": (("reason",), _quarantine),
    "job": (("job",), _job),
    "channel": (("channel",), _channel),
}
