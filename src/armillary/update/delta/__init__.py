# SPDX-License-Identifier: Apache-2.0
"""Deltas between artifacts: how one is made, and how a device makes the artifact out of it.

What it is: pure rules over bytes. ``choice`` says which artifact of a device a delta starts from; ``matching`` finds
what two artifacts share and ``windows`` picks the parts of the source that a segment needs; ``making`` writes a delta;
``reconstruction`` makes the target of one and checks it against its signed digest.
What it is not: the format (``wire/update/delta.py``), the compression (``engines/delta/zstd.py``, handed in), files and
processes (``engines/delta``), or when the service makes one (``service/updates/deltas.py``).
Specification: docs/reference/delta.md.
"""
