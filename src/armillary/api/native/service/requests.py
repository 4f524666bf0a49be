# SPDX-License-Identifier: Apache-2.0
"""Bodies that the native routes take. Unknown fields are refused: a misspelt one must not silently do nothing."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from armillary.api.native.parameters import FeedName, Name, StrictBody
from armillary.wire.text.given_text import unseen

# For descriptions: what is wrong with such a text is said where it is decoded (RFC 4648 §4, with padding).
BASE64 = MappingProxyType({"pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"})


def _one_line(text: str) -> str:
    """The text, if it can be shown on one line, and kept: a database may refuse U+0000."""
    if hidden := unseen(text):
        raise ValueError(f"expected printable characters on one line, got the character {hidden}")
    if not text.strip():
        raise ValueError("expected words, got spaces only")
    return text


Reason = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_one_line)]


class FactoryBody(StrictBody):
    """A device at manufacture.

    Attributes:
        csr: Certificate signing request over the device identity key, PEM.
        chip: Chip profile name.
        trust_tier: What the factory knows the root of trust to be; not the device's own word.
        manufacturing_state: The state it is made in; it only moves forward from there.
        is_flashed: Its disk was flashed with the OS: the answer has of each component what follows its payload.
        os_version: The release in force that is on its disk; None for the newest.
    """

    csr: Annotated[str, Field(min_length=1, max_length=8192)]
    chip: Name
    trust_tier: Literal["simulated", "software"] = "software"
    manufacturing_state: Literal["Blank", "Module1Complete", "DeviceComplete"] = "DeviceComplete"
    is_flashed: bool = False
    os_version: Annotated[str, Field(min_length=1, max_length=32)] | None = None


class ReasonBody(StrictBody):
    """Why something is done; kept in the audit log."""

    reason: Reason


class CatalogRolloutBody(StrictBody):
    """A roll-out in a catalog.

    Attributes:
        product: Product name.
        group: Device group name.
        image_ids: Images that every device of the group shall run; the complete set.
        policy: Fields of a roll-out policy (docs/concepts/rollouts.md); absent ones take their defaults.
    """

    product: Name
    group: Name
    image_ids: Annotated[list[UUID], Field(min_length=1, max_length=64)]
    policy: dict[str, Any] = Field(default_factory=dict)


class RolloutBody(CatalogRolloutBody):
    """A roll-out to start, and the name of its catalog."""

    catalog: Name


class TwinBody(StrictBody):
    """A merge patch of desired properties and tags (RFC 7396: null removes)."""

    desired: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None


class MethodBody(StrictBody):
    """A direct method call; `connect_timeout_s` waits for a device that is not connected."""

    payload: Any = None
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    connect_timeout_s: Annotated[float, Field(ge=0, le=300)] = 0.0


class TokenBody(StrictBody):
    """A token to make.

    Attributes:
        name: Who or what will use it.
        role: What it allows.
        lifetime_s: Seconds until it expires; None for no end.
        catalog: The only catalog it speaks for; None for all.
        organisation: The only organisation of that catalog it speaks for; None for all.
    """

    name: Name
    role: Literal["Administrator", "Contributor", "Reader"]
    lifetime_s: Annotated[int, Field(ge=60, le=10 * 366 * 86400)] | None = None
    catalog: Name | None = None
    organisation: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class ReleaseBody(StrictBody):
    """An OS release to build, sign and publish.

    Attributes:
        chip: Chip profile name.
        version: New version of this chip.
        security_version: Anti-rollback version of its components; None keeps the newest release's.
        feed: Who gets it.
        allow_older: Also where devices of the feed are given a newer one now.
    """

    chip: Name
    version: Annotated[str, Field(min_length=1, max_length=32)]
    security_version: Annotated[int, Field(ge=0, le=31)] | None = None
    feed: FeedName = "Retail"
    allow_older: bool = False


class FloorBody(StrictBody):
    """A security floor to raise: lower versions of the image type are refused on the chip."""

    chip: Name
    image_type: Annotated[int, Field(ge=0, le=65535)]
    minimum: Annotated[int, Field(ge=0, le=31)]
