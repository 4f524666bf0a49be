# SPDX-License-Identifier: Apache-2.0
"""Limits of the TUF client, each with its reason: no source can cost a device more than this."""

from __future__ import annotations

# New root versions taken in one refresh (TUF 1.0.34 §5.3.3, "Y"). A device that was away while a root was renewed every
# week for four years still follows in one go; a source that invents roots for ever is cut off.
MAX_ROOT_ROTATIONS = 256

# Bytes of one metadata file whose length no other metadata says. A root with 100 keys and as many signatures takes
# 60 kB; a timestamp under 1 kB; a snapshot about 120 bytes for each catalog; targets about 250 bytes for each artifact.
MAX_ROOT_BYTES = 512_000
MAX_TIMESTAMP_BYTES = 16_384
MAX_SNAPSHOT_BYTES = 2_000_000
MAX_TARGETS_BYTES = 5_000_000

# Roles visited in the search for one artifact (§5.6.7.1). Our own repositories need two: targets, then one delegation.
MAX_DELEGATIONS = 32

# Characters of a target path and of a role's name; both become part of an address.
MAX_PATH_CHARACTERS = 512
