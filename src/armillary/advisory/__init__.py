# SPDX-License-Identifier: Apache-2.0
"""Which components are affected by which advisories, and how much that answer is worth: rules without clock and disk.

An index over whole feeds, OSV's evaluation of versions with the order of each ecosystem, VEX statements, priorities
(known exploited, EPSS, CVSS), and the gate that makes an answer *unknown* where a feed is stale or missing and *not
assessed* where a component cannot be judged. There is no word for "clean".

Not here: the formats (``armillary.wire.advisory``), which devices run an image, where feeds are kept
(``armillary.service``, ``armillary.engines``).

Specification: OSV schema 1.7, section "Evaluation"; ``docs/reference/advisories.md`` has every rule and difference.
"""
