# SPDX-License-Identifier: Apache-2.0
"""``armillary image build|pin`` and machines of ``armillary device boot``: device images and machines on this host.

What it is not: images of a catalog (``cli/release/image.py``), and not the maker itself (``armillary.device_image``).
Specification: ``docs/reference/cli.md``.
"""
