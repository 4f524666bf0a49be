# SPDX-License-Identifier: Apache-2.0
"""One harness per format: garbage is either accepted or refused with the format's own error, never anything else.

See fuzz/README.md. ``tests/fuzz/test_harnesses.py`` runs every harness briefly with a fixed seed.
"""
