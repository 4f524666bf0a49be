# SPDX-License-Identifier: Apache-2.0
"""Commands about what devices run: image packages, images, deployments, releases, roll-outs.

Not here: package formats (``armillary.wire.image``). Specification: ``docs/reference/cli.md``.
"""
