# SPDX-License-Identifier: Apache-2.0
"""Commands about the service itself: up, status, login, tokens, audit, authorities, policies, findings, bench.

Not here: how the service is put together (``armillary.roles``). Specification: ``docs/reference/cli.md``.
"""
