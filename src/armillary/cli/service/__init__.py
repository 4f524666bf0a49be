# SPDX-License-Identifier: Apache-2.0
"""Commands for the service itself: up, status, login, tokens, audit, authorities, policies, findings, bench.

What it is not: how the service is assembled (``armillary.roles``). Specification: ``docs/reference/cli.md``.
"""
