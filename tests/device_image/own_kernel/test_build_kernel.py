# SPDX-License-Identifier: Apache-2.0
"""The builder against a little source tree: cache, progress, what is not found, what fails.

The tree has the targets of the kernel's makefile that the builder uses and nothing of the kernel; make is the host's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.device_image.own_kernel import build, fragments, source, toolchain
from armillary.device_image.own_kernel.__main__ import main
from armillary.device_image.own_kernel.build import KernelBuild, build_kernel
from armillary.device_image.own_kernel.fragments import FRAGMENTS
from armillary.device_image.own_kernel.progress import Progress
from armillary.device_image.tools import digest_of
from armillary.errors import HostError, InvalidArgumentError

MAKEFILE = """
tinyconfig:
\t@echo 'CONFIG_SLUB_TINY=y' > $(O)/.config
olddefconfig:
\t@sed -i 's/^CONFIG_SLUB_TINY=y//' $(O)/.config
bzImage:
\t@echo '  CC      kernel/fork.o'; echo '  AR      kernel/built-in.a'; mkdir -p $(O)/arch/x86/boot
\t@if [ -e $(O)/../broken ]; then echo 'fork.c:1: error: no'; exit 1; fi
\t@sed '/SLUB/d' $(O)/.config | (cat; echo '$(KBUILD_BUILD_TIMESTAMP) $(KCFLAGS) $(KBUILD_BUILD_USER)') \\
\t\t> $(O)/arch/x86/boot/bzImage; echo x >> $(O)/../compiled
kernelrelease:
\t@echo 6.12.1-armillary
"""


class Scene:
    """Fragments of x86_64, a packed source, and what the builder said. What was compiled is counted in the cache."""

    def __init__(self, folder: Path) -> None:
        self.fragments = folder / "fragments"
        self.fragments.mkdir()
        for name in FRAGMENTS["x86_64"]:
            (self.fragments / f"{name}.config").write_text("# nothing\n")
        self.want("CONFIG_SMP=y  # cores\nCONFIG_KEXEC=n  # none\n")
        (self.fragments / source.BUILT_FILE).touch()
        self.cache = folder / "cache"
        self.output = folder / "output"
        self.said: list[str] = []
        self.version = "6.12.1-1"
        self.compiler = "gcc 14\nld 2.44"
        self.packed = folder / "source.tar.xz"
        tree = folder / toolchain.SOURCE_PACKAGE
        tree.mkdir()
        (tree / "Makefile").write_text(MAKEFILE)
        (tree / "a.c").write_text("int a = 1;\n")
        subprocess.run(["tar", "-cJf", self.packed, "-C", folder, tree.name], check=True)

    @property
    def tree(self) -> Path:
        """The source where it is unpacked."""
        return self.cache / f"source-{self.version}" / toolchain.SOURCE_PACKAGE

    def want(self, text: str) -> None:
        (self.fragments / "base.config").write_text(text)

    def build(self) -> KernelBuild:
        return build_kernel("x86_64", self.output, self.said.append, cache=self.cache)

    def compiled(self) -> int:
        return len((self.cache / "compiled").read_text().splitlines())


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path)
    monkeypatch.setattr(fragments, "kernel_folder", lambda: made.fragments)
    monkeypatch.setattr(source, "kernel_folder", lambda: made.fragments)
    monkeypatch.setattr(source, "SOURCE", made.packed)
    monkeypatch.setattr(source, "_EDITS", (("a.c", "^int a = .*$", "int a = 2;"),))
    monkeypatch.setattr(build, "require", lambda *_: None)
    monkeypatch.setattr(build, "source_version", lambda: made.version)
    monkeypatch.setattr(build, "compiler_version", lambda _: made.compiler)
    return made


def test_a_kernel_is_built_from_the_fragments_and_described(scene: Scene) -> None:
    built = scene.build()
    assert built.version == "6.12.1-armillary"
    assert built.path == scene.output / "bzImage"
    assert built.trees == ()
    assert "CONFIG_SMP=y\n# CONFIG_KEXEC is not set\n" in built.config.read_text()
    assert "-frandom-seed=armillary-6.12.1-1 armillary" in built.path.read_text()
    assert scene.said[-1] == "kernel x86_64: built in 2 steps"


def test_the_same_input_is_not_compiled_again_and_gives_the_same_kernel(scene: Scene) -> None:
    first = scene.build()
    shutil.rmtree(scene.output)
    assert scene.build() == first
    assert scene.compiled() == 1


def test_a_reason_may_change_without_another_kernel(scene: Scene) -> None:
    first = scene.build()
    scene.want("CONFIG_KEXEC=n  # none\nCONFIG_SMP=y  # said better\n")
    assert scene.build() == first
    assert scene.compiled() == 1


def test_another_option_source_or_compiler_gives_another_build(scene: Scene) -> None:
    scene.build()
    scene.want("CONFIG_SMP=y  # cores\n")
    scene.build()
    scene.compiler = "gcc 15\nld 2.44"
    scene.build()
    assert scene.compiled() == 3
    scene.version = "6.12.2-1"
    scene.build()
    assert scene.compiled() == 4


def test_a_kernel_has_no_word_of_the_folder_it_was_built_in(scene: Scene, tmp_path: Path) -> None:
    first = scene.build()
    scene.cache = tmp_path / "elsewhere"
    assert scene.build().sha256 == first.sha256
    assert str(tmp_path) not in first.path.read_text()


def test_a_build_is_compared_with_one_of_the_same_input_elsewhere(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> str:
        assert main(["build", "x86_64", "--cache", str(scene.cache)]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    keys: list[str] = []
    plain = build._built_elsewhere
    monkeypatch.setattr(build, "_built_elsewhere", lambda name, key: (keys.append(key), plain(name, key))[1])
    assert "has no kernel of this compiler and these options" in said()
    built = scene.build()
    known = '[x86_64]\ninput = "{}"\nsha256 = "{}"\n'
    (scene.fragments / source.BUILT_FILE).write_text(known.format(keys[0], built.sha256))
    assert said() == "kernel x86_64: the same bytes as in the build of built.toml"
    (scene.fragments / source.BUILT_FILE).write_text(known.format(keys[0], 64 * "0"))
    assert f"NOT THE SAME BYTES as in the build of built.toml, which gave {64 * '0'}" in said()
    scene.compiler = "gcc 15\nld 2.44"
    assert "has no kernel of this compiler and these options" in said()


def test_a_lost_option_stops_the_build_before_anything_is_compiled(scene: Scene) -> None:
    scene.want("CONFIG_SMP=y  # cores\nCONFIG_SLUB_TINY=y  # takes the hardening away\n")
    with pytest.raises(InvalidArgumentError, match=r"base\.config:2: CONFIG_SLUB_TINY=y became n"):
        scene.build()
    assert not (scene.cache / "compiled").exists()
    assert not scene.output.exists()


def test_a_failed_compile_says_the_compilers_words_and_keeps_nothing(scene: Scene) -> None:
    scene.cache.mkdir()
    (scene.cache / "broken").touch()
    with pytest.raises(HostError, match="error: no"):
        scene.build()
    (scene.cache / "broken").unlink()
    assert scene.build().version == "6.12.1-armillary"


@pytest.mark.parametrize("file", ["bzImage", "config", "built.json"])
def test_a_kept_kernel_that_was_changed_is_refused(scene: Scene, file: str) -> None:
    scene.build()
    (kept,) = scene.cache.glob("built-x86_64-????????????????")
    with (kept / file).open("a") as opened:
        opened.write("more")
    with pytest.raises(InvalidArgumentError, match=f"what is in {kept} is not what was built"):
        scene.build()
    shutil.rmtree(kept)
    assert "more" not in scene.build().config.read_text()


def test_a_kernel_that_an_older_version_kept_without_a_note_is_built_again(scene: Scene) -> None:
    first = scene.build()
    (note,) = scene.cache.glob("built-x86_64-*.sha256")
    note.unlink()
    assert scene.build() == first
    assert (scene.compiled(), note.is_file()) == (2, True)


def test_progress_names_each_percent_once_and_remembers_the_longest_build(tmp_path: Path) -> None:
    said: list[str] = []
    kept = tmp_path / "steps"
    kept.write_text("200\n")
    progress = Progress("x86_64", kept, said.append)
    for number in range(250):
        progress.line(f"  CC      kernel/part{number}.o")
        progress.line("make[1]: Entering directory")
    assert said[0] == "kernel x86_64: 0 % (1 of about 200 steps)"
    assert said[-1].startswith("kernel x86_64: 99 %")
    assert len(said) == 100
    progress.done()
    assert kept.read_text() == "250\n"
    short = Progress("x86_64", kept, said.append)
    short.line("  LD      vmlinux")
    short.done()
    assert kept.read_text() == "250\n"


def test_what_is_missing_is_said_with_the_line_that_installs_it(tmp_path: Path) -> None:
    target = replace(toolchain.TARGETS["arm64"], needs={"/no/such/file": "package-b", "no-such-program": "package-a"})
    with pytest.raises(HostError) as refused:
        toolchain.require(target, tmp_path)
    assert "package-a, package-b" in str(refused.value)
    assert refused.value.remedy.startswith("sudo apt-get install --no-install-recommends ")


def test_a_disk_that_is_too_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_EVERYWHERE", {})
    target = replace(toolchain.TARGETS["x86_64"], needs={})
    toolchain.require(target, tmp_path)
    monkeypatch.setattr(toolchain, "ROOM_BYTES", 1 << 62)
    with pytest.raises(HostError, match=r"MB free, a build needs"):
        toolchain.require(target, tmp_path)


def test_the_seed_follows_from_the_version() -> None:
    assert source.seed("6.12.1-1") == source.seed("6.12.1-1") != source.seed("6.12.2-1")
    assert len(source.seed("6.12.1-1")) == 64


def test_a_line_of_the_source_is_changed_once_or_not_at_all() -> None:
    script = '#!/bin/sh\nSEED=$(od -A n -t x8 -N 32 /dev/urandom)\necho "$SEED" > "$1"\n'
    assert source.edited(script, "^SEED=.*$", "SEED=ab", "a.sh") == '#!/bin/sh\nSEED=ab\necho "$SEED" > "$1"\n'
    with pytest.raises(ValueError, match=r"a\.sh has 0 lines like \^SEED"):
        source.edited("#!/bin/sh\n", "^SEED=.*$", "SEED=ab", "a.sh")
    with pytest.raises(ValueError, match="2 lines"):
        source.edited("SEED=1\nSEED=2\n", "^SEED=.*$", "SEED=ab", "a.sh")


def test_a_source_is_taken_as_it_was_unpacked_and_no_otherwise(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source.unpack(scene.cache, scene.version)
    assert found.folder == scene.tree
    assert (scene.tree / "a.c").read_text() == "int a = 2;\n"
    before = (scene.tree / "a.c").stat().st_ino
    source.unpack(scene.cache, scene.version)
    assert (scene.tree / "a.c").stat().st_ino == before, "a build that was cut short goes on with what it had"
    (scene.tree / "a.c").write_text("int a = 3;\n")
    (scene.tree / "b.c").touch()
    source.unpack(scene.cache, scene.version)
    assert (scene.tree / "a.c").read_text() == "int a = 2;\n"
    assert not (scene.tree / "b.c").exists()
    monkeypatch.setattr(source, "_EDITS", (("a.c", "^int a = .*$", "int a = 4;"),))
    source.unpack(scene.cache, scene.version)
    assert (scene.tree / "a.c").read_text() == "int a = 4;\n"


def test_a_packed_source_that_is_not_the_one_of_its_version_is_refused(scene: Scene) -> None:
    known = f'[sources]\n"{scene.version}" = "{{}}"\n'
    (scene.fragments / source.BUILT_FILE).write_text(known.format(digest_of(scene.packed)))
    first = scene.build()
    (scene.fragments / source.BUILT_FILE).write_text(known.format(64 * "0"))
    assert scene.build() == first, "what was built is taken as it was built"
    scene.want("CONFIG_SMP=y  # another input\n")
    with pytest.raises(HostError, match=r"source\.tar\.xz: expected the file that linux-source-6\.12 6\.12\.1-1 has"):
        scene.build()
    assert scene.compiled() == 1
    scene.version = "6.12.2-1"
    assert scene.build().source == "6.12.2-1", "of a version that is not known nothing is expected"


def test_the_source_of_each_kernel_that_is_known_is_known() -> None:
    known = tomllib.loads((fragments.kernel_folder() / source.BUILT_FILE).read_text("utf-8"))
    assert known.keys() == {"sources", *FRAGMENTS}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in known["sources"].values())
