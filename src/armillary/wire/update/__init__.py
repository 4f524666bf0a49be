# SPDX-License-Identifier: Apache-2.0
"""Formats of updates: what a device is told to install, and the bytes that lead from one artifact to the next.

Not here: whether a device takes what it is told (``armillary.update``); TUF's own metadata, which the ``tuf`` package
reads and writes. Specification: docs/reference/device-protocol.md, docs/reference/delta.md.
"""
