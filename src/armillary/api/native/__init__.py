# SPDX-License-Identifier: Apache-2.0
"""Armillary's own API under ``/api/v1``: a room for each of service, hub and platform, and what their routes share.

Not here: what an operation does. Specification: ``docs/reference/api.md``, generated from these routes.
"""
