# SPDX-License-Identifier: Apache-2.0
"""What runs in a sandbox or is visible there: the launcher, the image's root, the probe of the self-test.

Not here: anything that runs with the device's rights.
"""
