# SPDX-License-Identifier: Apache-2.0
"""A service's private keys: encrypted beside a passphrase, an older folder upgraded, a wrong passphrase explained."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import private_pem
from tests.fixtures.clocks import Clock

from armillary.engines.signer.file import FileSigners
from armillary.errors import DataFolderError, InvalidArgumentError, KeyPassphraseError
from armillary.service.assemble import SecurityService
from armillary.service.authority import key_store
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import CATALOG_TAKEOVER_S
from armillary.settings import Settings, load_settings
from armillary.sim.device.service_host import ServiceHost

PASSPHRASE = "a passphrase of the owner"


def plain_keys(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "keys").glob("*.pem") if b"BEGIN PRIVATE KEY" in path.read_bytes())


def test_every_private_key_but_the_servers_is_encrypted(host: ServiceHost) -> None:
    data = host.service.settings.data
    assert plain_keys(data) == ["server"]
    assert len(list((data / "keys").glob("*.pem"))) >= 7
    assert (data.parent / "data.passphrase").stat().st_mode & 0o777 == 0o600
    assert not any(path.suffix == ".passphrase" for path in data.rglob("*"))


def test_the_issuing_key_signs_in_memory(host: ServiceHost) -> None:
    """The hot path has the key object itself: nothing between it and a check-in's signature."""
    catalog_id = host.service.registry.catalogs.get("Contoso").catalog_id
    key = host.service.authority.catalogs.issuer(catalog_id).template._key
    assert type(key) is type(ec.generate_private_key(ec.SECP256R1()))


def test_the_first_root_never_signs_in_the_name_of_a_later_one(host: ServiceHost, clock: Clock) -> None:
    authority = host.service.authority
    authority.renew_by_hand("root", actor="t")
    first, second = authority.roots.valid()
    for root in (first, second):
        authority.keys.load_authority(root.kind, root.der)  # positive control: both are there
    authority.keys.remove(f"root-{second.serial.lower()}")
    authority.keys.load_authority(first.kind, first.der)
    with pytest.raises(DataFolderError, match=f"the key of root certificate {second.serial} is missing"):
        authority.keys.load_authority(second.kind, second.der)
    clock.now += CATALOG_TAKEOVER_S
    before = authority.list_service()
    with pytest.raises(DataFolderError, match="is missing"):
        authority.renew_by_hand("root", actor="t")
    assert authority.list_service() == before


def test_a_folder_of_before_encryption_is_upgraded_and_devices_notice_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServiceHost(data) as host:
        host.catalog()
        device = host.claimed(b"a" * 32)
        keys = host.service.authority.keys
        for path in (data / "keys").glob("*.pem"):
            if path.stem not in ("server", "server-chain"):
                path.write_bytes(private_pem(keys.load(path.stem)))
    (data / "keys" / "protection.json").unlink()
    (tmp_path / "data.passphrase").unlink()
    assert len(plain_keys(data)) >= 7
    for _ in range(2):
        with ServiceHost(data) as host:
            assert plain_keys(data) == ["server"]
            device.port, device.challenge = host.service.device_address.port, b""
            with device:
                assert device.check_in().verdict == "attested"


def test_a_passphrase_from_a_setting_or_a_file_of_the_owner(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "elsewhere"
    SecurityService.open(Settings(data=data, key_passphrase=PASSPHRASE)).context.folder.close()
    assert not (tmp_path / "data.passphrase").exists()
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    SecurityService.open(Settings(data=data, key_passphrase_file=str(file))).context.folder.close()
    file.write_text("another passphrase\n")
    for options in ({"key_passphrase_file": str(file)}, {"key_passphrase": "another passphrase"}, {}):
        with pytest.raises(KeyPassphraseError) as refused:
            SecurityService.open(Settings(data=data, **options))
        assert refused.value.code == "host.key-passphrase"
    SecurityService.open(Settings(data=data, key_passphrase=PASSPHRASE)).context.folder.close()  # nothing was lost


def test_on_a_mount_point_no_passphrase_is_made_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    monkeypatch.setattr(Path, "is_mount", lambda path: path == data)
    with pytest.raises(KeyPassphraseError, match="mount point") as refused:
        SecurityService.open(Settings(data=data))
    assert "ARMILLARY_KEY_PASSPHRASE_FILE" in refused.value.remedy
    SecurityService.open(Settings(data=data, key_passphrase=PASSPHRASE)).context.folder.close()


def test_half_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="all of them or none"):
        SecurityService.open(Settings(data=tmp_path / "data", pkcs11_token="x"))


def test_the_passphrase_is_in_no_repr() -> None:
    assert PASSPHRASE not in repr(Settings(key_passphrase=PASSPHRASE))
    assert load_settings(None, {}, {"ARMILLARY_KEY_PASSPHRASE": PASSPHRASE}).key_passphrase == PASSPHRASE


@pytest.mark.parametrize("what", ["secret", "ed25519"])
def test_what_is_made_at_its_first_use_is_made_once(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that ask first at once both get the same: what one had sealed or signed would be lost otherwise."""
    (tmp_path / "keys").mkdir(mode=0o700)
    keys = KeyStore(tmp_path / "keys", Settings(data=tmp_path / "data"))
    ask: dict[str, Callable[[], bytes]] = {
        "secret": lambda: keys.made_secret("sealing", 32),
        "ed25519": lambda: keys.ed25519("dossier").private_bytes_raw(),
    }
    other: list[Future[bytes]] = []

    def while_another_asks(make: Callable[..., object]) -> Callable[..., object]:
        def making(*given: object, **named: object) -> object:
            if not other:
                other.append(pool.submit(ask[what]))
                wait(other, timeout=0.5)  # it gets its answer only after this one is made
            return make(*given, **named)

        return making

    monkeypatch.setattr(key_store, "write_file", while_another_asks(key_store.write_file))
    monkeypatch.setattr(FileSigners, "create_ed25519", while_another_asks(FileSigners.create_ed25519))
    with ThreadPoolExecutor() as pool:
        assert ask[what]() == other[0].result() == ask[what]()
