# SPDX-License-Identifier: Apache-2.0
"""Device workers: processes that share the device endpoint's port, and how they learn of changes.

Not here: what an endpoint does (``service/endpoint``).
"""
