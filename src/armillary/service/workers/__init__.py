# SPDX-License-Identifier: Apache-2.0
"""Device workers: processes that share the device endpoint's port, and the channel by which they learn of changes.

Not here: what an endpoint does (``service/endpoint``). Guide: ``docs/guides/device-workers.md``.
"""
