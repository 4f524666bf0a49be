# SPDX-License-Identifier: Apache-2.0
"""Formats of updates: the directive, which is the director's signed answer for one device.

What it is not: a decision about an update (``update/``), nor TUF's metadata (the package ``tuf``).
Specification: ``docs/reference/device-protocol.md``, Uptane Standard 2.1.0 §5.4.2 (the director's targets metadata).
"""
