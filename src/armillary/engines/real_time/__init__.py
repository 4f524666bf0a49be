# SPDX-License-Identifier: Apache-2.0
"""Runs real-time applications: loads firmware into a core, hears its output, sees it stop.

What it is not: containment (a core's process runs as an application in ``engines/sandbox``) or the mailbox's rules
(those of the application interface). Specification: ``docs/reference/real-time.md``.
"""
