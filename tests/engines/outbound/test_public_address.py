# SPDX-License-Identifier: Apache-2.0
"""Where webhooks and exports may go: addresses that are everybody's, whichever way they are written or looked up."""

from __future__ import annotations

import pytest

from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError, PermissionDeniedError

PUBLIC = AllowedHosts.parse("public")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/latest", "https://10.0.0.1/",
        "https://192.168.1.1/", "https://100.64.0.1/", "https://[::1]/", "https://[fe80::1]/", "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://0.0.0.0/",
        "https://224.0.0.1/", "https://93.184.216.34:25/", "http://93.184.216.34/",
        "https://[fec0::1]/", "https://168.63.129.16/", "https://[::ffff:168.63.129.16]/", "https://[::10.0.0.1]/",
        "https://[64:ff9b:1::1]/", "https://[2001:0:a00:1::f5ff:fffe]/", "https://[2606:4700::5efe:a00:1]/",
        "https://[2606:4700::200:5efe:7f00:1]/", "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[5f00::1]/",
        "https://[100::1]/", "https://[2001:2::1]/", "https://[4000::1]/", "https://192.88.99.1/", "https://192.0.0.192/",
        "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0/", "https://017700000001/",
        "https://0x7f.1/", "https://10.1/", "https://127.0.0.1./", "https://localhost./", "https://a.localhost/",
        "https://240.0.0.1/", "https://255.255.255.255/", "https://198.18.0.1/",
    ],
)  # fmt: skip
def test_the_inside_of_a_network_is_out_of_reach(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not allowed"):
        rule_webhook.check_url(url, PUBLIC)
    with pytest.raises((PermissionDeniedError, OSError)):
        rule_webhook.resolve(url, PUBLIC)
    _, host, port, _ = rule_webhook.place_of(url)
    rule_webhook.check_url(url, AllowedHosts.parse(f"public, {host}:{port}"))  # unless an administrator names it


@pytest.mark.parametrize(
    "url",
    [
        "https://93.184.216.34/x", "https://[2606:4700::1]/", "https://93.184.216.34:8443/",
        "https://[64:ff9b::5db8:d822]/", "https://[2002:5db8:d822::1]/", "https://[::ffff:93.184.216.34]/",
        "https://168.63.129.17/", "https://0x5db8d822/",
    ],
)  # fmt: skip
def test_a_public_address_is_allowed(url: str) -> None:
    rule_webhook.check_url(url, PUBLIC)
    with pytest.raises(InvalidArgumentError):
        rule_webhook.check_url(url, AllowedHosts.parse("hooks.example.com"))


def test_every_address_of_a_name_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(*addresses: str) -> None:
        answers = [(2, 1, 6, "", (each, 443)) for each in addresses]
        monkeypatch.setattr(rule_webhook.socket, "getaddrinfo", lambda *_, **__: answers)

    for addresses in (("93.184.216.34", "10.0.0.1"), ("93.184.216.34", "93.184.216.35", "fec0::1")):
        named(*addresses)
        with pytest.raises(PermissionDeniedError, match="inside a network"):
            rule_webhook.resolve("https://hooks.example.com/", PUBLIC)
    named("93.184.216.34", "2606:4700::1")
    assert rule_webhook.resolve("https://hooks.example.com/", PUBLIC) == ("93.184.216.34", 443)


@pytest.mark.parametrize(
    "url", ["https://[", "https://a:99999/", "https://a:x/", "ftp://a/", "https:///", "https://a:0/"]
)
def test_what_is_no_web_address_is_refused_as_that(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="address: expected http or https"):
        rule_webhook.check_url(url, PUBLIC)
