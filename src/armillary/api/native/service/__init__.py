# SPDX-License-Identifier: Apache-2.0
"""Native routes of the security service: devices, releases, roll-outs, policies, authorities, tokens, audit.

Not here: what an operation does (``armillary.service``). Specification: ``docs/reference/api.md``.
"""
