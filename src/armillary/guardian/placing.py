# SPDX-License-Identifier: Apache-2.0
"""Where one piece of equipment is: its profile with the settings of its own link."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import profile_document, read_profile

PROTOCOL = "protocol"
# Settings that say which machine answers, not how to reach it: kept where it is on another link than the profile's.
KEPT = ("unit",)


def placed(profile: Profile, settings: Mapping[str, object]) -> Profile:
    """The profile with these settings of its link; with ``protocol`` among them on another link, as RTU over TCP.

    Everything is checked as if the profile had said it.

    Raises:
        ProfileError: a setting is not one of the link, or the profile cannot be on this link.
    """
    if not settings:
        return profile
    document = profile_document(profile)
    link: dict[str, object] = dict(document["link"])
    if settings.get(PROTOCOL, link[PROTOCOL]) != link[PROTOCOL]:
        link = {name: link[name] for name in KEPT if name in link}
    return read_profile({**document, "link": {**link, **settings}})
