# SPDX-License-Identifier: Apache-2.0
"""What evidence is judged by besides releases: policies, firmware, floors; how releases come about: drafts, CoRIM."""

from __future__ import annotations

from armillary.service.authority.authority import Authority
from armillary.service.context.blobs import Blobs
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.service.verifier.firmware_references import FirmwareReferences
from armillary.service.verifier.release_corim import ReleaseCorims
from armillary.service.verifier.release_drafts import ReleaseDrafts
from armillary.service.verifier.released_loaders import ReleasedLoaders
from armillary.service.verifier.releases import Releases
from armillary.service.verifier.security_floors import SecurityFloors


class Attestation:
    """All operations on what evidence is judged by, by noun. Synchronous and thread-safe."""

    def __init__(self, context: Context, authority: Authority, releases: Releases, chips: Chips, blobs: Blobs) -> None:
        self.policies = AttestationPolicies(context, chips, ReleasedLoaders(releases, blobs))
        releases.on_change.append(self.policies.refresh)
        self.firmware = FirmwareReferences(context, chips, self.policies)
        self.floors = SecurityFloors(context, chips, releases)
        self.corims = ReleaseCorims(context, authority, releases, chips)
        self.drafts = ReleaseDrafts(context, authority, blobs, chips, releases)
