# SPDX-License-Identifier: Apache-2.0
"""Commands for what devices run: image packages, images, deployments, releases, roll-outs.

What it is not: package formats (``armillary.wire.image``). Specification: ``docs/reference/cli.md``.
"""
