# SPDX-License-Identifier: Apache-2.0
"""What runs inside a sandbox or is seen there: the launcher, the image's root, the probe of the self-test.

Not here: anything that runs with the device's rights.
"""
