# SPDX-License-Identifier: Apache-2.0
"""The settings page: catalogs, certificates, tokens. Pure: API answers in, view models out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.states import BAD, CERTIFICATE, GOOD, UNKNOWN, State, state_of
from armillary.console.frame.words import Moment, ShortId, counted, joined, moment, sentence, short_id
from armillary.console.language.say import say
from armillary.console.operations.pages_group import POLICIES


@dataclass(frozen=True, slots=True)
class TokenLine:
    """An operator token; the secret is never part of it."""

    id: str
    name: str
    role: str
    state: State
    created: Moment | None
    created_by: str
    used: Moment | None
    ends: Moment | None
    revocable: bool
    own: bool


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A device group with what it gets."""

    product: str
    name: str
    href: str
    feed: str
    policy: str
    deployment: ShortId | None


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """A certificate of a catalog's authority."""

    serial: ShortId
    subject: str
    state: State
    ends: Moment | None


def token_line(token: Mapping[str, Any], *, own_id: str, may_act: bool, now: int) -> TokenLine:
    """One token; whether it can still be used is the state."""
    if token["revoked_at"] is not None:
        state = State(BAD, say("revoked"))
    elif token["expires_at"] is not None and token["expires_at"] <= now:
        state = State(UNKNOWN, say("expired"))
    else:
        state = State(GOOD, say("valid"))
    return TokenLine(
        token["token_id"],
        token["name"],
        token["role"],
        state,
        moment(token["created_at"], now),
        token["created_by"],
        moment(token["last_used_at"], now),
        moment(token["expires_at"], now),
        may_act and state.kind == GOOD,
        token["token_id"] == own_id,
    )


def policy_sentence(policy: Mapping[str, Any]) -> str:
    """What a catalog demands of its devices beyond a good boot, in one sentence."""
    demands = []
    if policy["minimum_tier"] != "simulated":
        demands.append(say("tier {minimum_tier} or better", minimum_tier=policy["minimum_tier"]))
    if policy["chips"]:
        demands.append(say("the chips {chips}", chips=joined(policy["chips"])))
    for image_type, version in policy["minimum_security_versions"].items():
        demands.append(
            say("security version {version} of image type {image_type}", version=version, image_type=image_type)
        )
    if policy["older_releases_until"] is not None:
        until = datetime.fromtimestamp(policy["older_releases_until"], UTC)
        demands.append(say("the newest release from {until} UTC on", until=f"{until:%Y-%m-%d %H:%M}"))
    if policy["maximum_release_age_days"] is not None:
        demands.append(say("a release of at most {days}", days=counted(policy["maximum_release_age_days"], "day")))
    if policy["firmware_log"]:
        demands.append(say("the log of the machine's firmware"))
    if policy["mechanisms"]:
        demands.append(say("containment by {names}", names=joined(policy["mechanisms"])))
    if not demands:
        return say("No requirements beyond a verified boot.")
    return say(
        "Demands {demands} (version {version} of its attestation policy).",
        demands=joined(demands),
        version=policy["version"],
    )


def group_line(group: Mapping[str, Any], href: str) -> GroupLine:
    """One device group."""
    return GroupLine(
        group["product"],
        group["name"],
        href,
        group["os_feed"],
        POLICIES.get(group["update_policy"], group["update_policy"]),
        short_id(group["deployment_id"]) if group["deployment_id"] else None,
    )


def certificate_line(certificate: Mapping[str, Any], now: int) -> CertificateLine:
    """One certificate of a catalog's authority."""
    return CertificateLine(
        short_id(certificate["serial"]),
        certificate["subject"],
        state_of(CERTIFICATE, certificate["status"]),
        moment(certificate["not_after"], now),
    )


def settings_sentence(
    catalogs: Sequence[Mapping[str, Any]],
    tokens: Sequence[TokenLine] | None,
) -> str:
    """First line: what is set up here; None for ``tokens`` that the operator may not see."""
    parts = [counted(len(catalogs), "catalog")]
    if tokens is not None:
        parts.append(counted(sum(1 for token in tokens if token.state.kind == GOOD), "valid token"))
    return sentence(joined(parts))


def token_confirmation(token: Mapping[str, Any], *, own: bool) -> Confirmation:
    """What revoking a token does."""
    return Confirmation(
        title=say("Revoke the token {name}?", name=token["name"]),
        touches=touching(
            say("One token with the role {role}, the one you are signed in with.", role=token["role"])
            if own
            else say("One token with the role {role}.", role=token["role"]),
            say("API calls with it are refused from now on, and console sessions that it opened end."),
            say("Other tokens, devices and what was done with it."),
            say("This cannot be undone; create a new token instead."),
        ),
        label=say("Revoke"),
        danger=True,
        word="revoke" if own else "",
        wide=say("This signs you out."),
        post=f"/settings/tokens/{token['token_id']}/revoke",
        back="/settings",
    )
