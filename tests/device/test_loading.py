# SPDX-License-Identifier: Apache-2.0
"""What is left out while modules are loaded is left out then only."""

from __future__ import annotations

import importlib
import os
import ssl
import sys

import pytest

from armillary.device.loading import hollow, no_authorities


def test_a_module_is_hollow_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with hollow("colorsys"):
        inside = importlib.import_module("colorsys")
        assert inside.rgb_to_hls is object
        assert not hasattr(inside, "__all__")
    assert importlib.import_module("colorsys").rgb_to_hls is not object
    with hollow("colorsys"):
        assert importlib.import_module("colorsys").rgb_to_hls is not object  # it was there already
    assert "colorsys" in sys.modules


def test_contexts_made_inside_trust_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/of/this/host.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with no_authorities():
        inside = ssl.create_default_context()
        assert inside.cert_store_stats()["x509"] == 0
        assert inside.verify_mode is ssl.CERT_REQUIRED, "who is not known is refused"
    assert os.environ["SSL_CERT_FILE"] == "/of/this/host.pem"
    assert "SSL_CERT_DIR" not in os.environ
