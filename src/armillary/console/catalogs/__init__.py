# SPDX-License-Identifier: Apache-2.0
"""Pages of one catalog: what it demands of its devices, its products and their device groups; changed and deleted here.

Not here: how the first of each is made (``add_devices/``), what a group installs (``operations/``, ``new_rollout/``).
"""
