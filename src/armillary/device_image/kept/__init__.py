# SPDX-License-Identifier: Apache-2.0
"""What a build leaves for the next one, which takes it only as it was made; one process at a time works there.

What it is not: the packages that Debian's archive has (``package_sources``), which are compared with their pins.
"""
