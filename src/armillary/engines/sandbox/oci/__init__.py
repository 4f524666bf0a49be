# SPDX-License-Identifier: Apache-2.0
"""What ``crun.py`` needs of the host and around a container: which crun there is, and the program that starts it.

Not here: what a bundle says (``capability/oci.py``), and the last program before the application (``within``).
"""
