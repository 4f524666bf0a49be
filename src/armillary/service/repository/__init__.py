# SPDX-License-Identifier: Apache-2.0
"""The repository of what devices install: metadata of The Update Framework, its keys, and the director.

What it is not: the client that devices have (``armillary.update.repository``), nor a decision about who gets what
(``service/updates``). Modules that import the package ``tuf`` are imported when metadata is made or read, not at start.
Specification: TUF 1.0.33, Uptane Standard 2.1.0 §5.4, ``docs/reference/device-protocol.md``.
"""
