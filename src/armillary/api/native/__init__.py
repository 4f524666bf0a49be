# SPDX-License-Identifier: Apache-2.0
"""Armillary's own API under ``/api/v1``: rooms for service, security, hub and platform, and what their routes share.

Not here: what an operation does. Specification: ``docs/reference/api.md``, generated from these routes.
"""
