# SPDX-License-Identifier: Apache-2.0
"""Device twins: what the operator wants of a device (desired) and what the device says of itself (reported).

What it is: pure documents and rules: merge patches, versions, metadata, limits, ETags.
What it is not: storage (``engines/series``) or transport (``hub``). Nothing here reads a clock.
Specification: Microsoft's public description of IoT Hub device twins; differences are listed in
``twin/document/document.py``.
"""
