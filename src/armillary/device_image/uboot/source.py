# SPDX-License-Identifier: Apache-2.0
"""U-Boot's source: Debian's pinned source package with all its patches, and some lines changed, for each compile."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.bill.part import Part, source_part
from armillary.device_image.kept.alone import work_folder
from armillary.device_image.package_sources import snapshot
from armillary.device_image.package_sources.fetching import Places
from armillary.device_image.tools import digest_of, run
from armillary.errors import HostError, InvalidArgumentError

# In the cache of images: its source, and what was compiled of it.
CACHE: Final = "uboot"
# Debian's package. All patches of this version are applied, so that an advisory for it says what holds of ours.
PACKAGE: Final = "u-boot"
VERSION: Final = "2025.01-3+deb13u1"
FOLDER: Final = "u-boot-2025.01"
_SERIES: Final = Path("debian/patches/series")
# A quarter of its files, of which none is used or patched: unpacking takes as long as compiling.
_LEFT_OUT: Final = ("dts/upstream/Bindings", "dts/upstream/src/arm", "tools/binman/test", "tools/patman")
_SOURCES: Final = (
    "Types: deb-src\nURIs: http://deb.debian.org/debian\nSuites: trixie trixie-updates\nComponents: main\n"
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n"
)


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of the source package: its name, SHA-256 in hex, and SHA-1, its address in the archive of all versions."""

    name: str
    sha256: str
    sha1: str


SOURCE: Final = PinnedFile(
    "u-boot_2025.01.orig.tar.bz2",
    "cdef7d507c93f1bbd9f015ea9bc21fa074268481405501945abc6f854d5b686f",
    "f072610d78a718c451a799342c43c733426f68c7",
)
PATCHES: Final = PinnedFile(
    "u-boot_2025.01-3+deb13u1.debian.tar.xz",
    "c73a4efe85614af359f0be220e061a0b5c36bb4b3a121ca776dd988444b536f1",
    "d2f62720a03c68f3bd19a77f63e412b2c9f8ca94",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of the source that is changed: its file, a pattern that one line matches, what stands there then."""

    file: str
    pattern: str
    line: str
    why: str


EDITS: Final = (
    Edit(
        "arch/arm/mach-imx/imx8m/Kconfig",
        r"^config IMX8M\n\tbool\n\tselect BINMAN$",
        "config IMX8M\n\tbool",
        "Joining the first loader with NXP's memory training is the board's own build, and needs NXP's files.",
    ),
    Edit(
        "arch/arm/mach-imx/imx8m/Kconfig",
        r"^\tselect LTO$",
        "",
        "Only the first loader has to be small; without it a build takes half a minute.",
    ),
    Edit(
        "arch/arm/mach-imx/imx8m/Kconfig",
        r'^config TARGET_IMX8MP_EVK\n\tbool "imx8mp LPDDR4 EVK board"\n\tselect IMX8MP\n\tselect SUPPORT_SPL\n'
        r"\tselect IMX8M_LPDDR4\n\tselect FSL_CAAM\n\tselect ARCH_MISC_INIT$",
        'config TARGET_IMX8MP_EVK\n\tbool "imx8mp LPDDR4 EVK board"\n\tselect IMX8MP\n\tselect SUPPORT_SPL\n'
        "\tselect IMX8M_LPDDR4",
        "Hashes and signatures are calculated by this program: QEMU has no CAAM, and each chip's is another one.",
    ),
    Edit(
        "include/configs/imx8mp_evk.h",
        r"^#define PHYS_SDRAM_SIZE\s.*$",
        "#define PHYS_SDRAM_SIZE 0x80000000",
        "The module has 2 GB (content/chips/gateway-imx8mp.toml), NXP's board 6 GB.",
    ),
    Edit(
        "include/configs/imx8mp_evk.h",
        r"^#define PHYS_SDRAM_2\s.*$",
        "",
        "Its second part is not there.",
    ),
    Edit(
        "include/configs/imx8mp_evk.h",
        r"^#define PHYS_SDRAM_2_SIZE\s.*$",
        '#define CFG_ENV_FLAGS_LIST_STATIC "boot_next:sw,boot_order:sw"',
        "The variables that are taken of what is stored: no option says it.",
    ),
    Edit(
        "arch/arm/mach-imx/imx8m/soc.c",
        r"^\tenum boot_device dev = get_boot_device\(\);$",
        "\tenum boot_device dev = MMC3_BOOT;",
        "The environment is that of the eMMC, wherever the first loader came from; QEMU has no boot ROM to be asked.",
    ),
    Edit(
        "arch/arm/Kconfig",
        r"^\timply OF_HAS_PRIOR_STAGE if !TARGET_QEMU_ARM_SBSA$",
        "",
        "The device tree is our own, with the key in it; QEMU's would be taken from memory, and has none.",
    ),
    Edit(
        "include/configs/qemu-arm.h",
        r"^#define CFG_SYS_SDRAM_BASE\s.*$",
        '#define CFG_SYS_SDRAM_BASE 0x40000000\n#define CFG_ENV_FLAGS_LIST_STATIC "boot_next:sw,boot_order:sw"',
        "The variables that are taken of what is stored: no option says it.",
    ),
    Edit(
        "include/configs/qemu-arm.h",
        r"^/\* Physical memory map \*/$",
        "#define CONFIG_SYS_EARLY_PCI_INIT",
        "The card's controller is on the PCI bus, and the environment on the card. No option says it.",
    ),
    Edit(
        "drivers/mmc/sdhci.c",
        r"^#define SDHCI_READ_STATUS_TIMEOUT\s+1000$",
        "#define SDHCI_READ_STATUS_TIMEOUT\t\t20000",
        "A card in software on a busy host answers late; without an answer the slot would count as damaged.",
    ),
    Edit(
        "drivers/mmc/fsl_esdhc_imx.c",
        r"^\tclk = \(pre_div << 8\) \| \(div << 4\);$",
        "\tclk = (pre_div << 8) | (div << 4) | 0xf;",
        "Reserved bits that the manual wants as ones: QEMU takes them for the clock's switch.",
    ),
    Edit(
        "boot/fdt_support.c",
        r"^#include <linux/ctype\.h>$",
        "#include <linux/ctype.h>\n#include <linux/stringify.h>",
        "For the next one.",
    ),
    Edit(
        "boot/fdt_support.c",
        r"^\tstr = board_fdt_chosen_bootargs\(\);$",
        '\tstr = (char *)fdt_get_alias(gd->fdt_blob, "mmc" __stringify(CONFIG_SYS_MMC_ENV_DEV));\n'
        "\tif (str) {\n"
        '\t\terr = fdt_setprop_string(fdt, nodeoffset, "armillary,disk", str);\n'
        "\t\tif (err < 0)\n"
        "\t\t\treturn err;\n"
        "\t}\n\n"
        "\tstr = board_fdt_chosen_bootargs();",
        "The first program takes the root of the disk that was started and of no other (image/init/started_disk.h).",
    ),
    Edit(
        "boot/bootm.c",
        r"^\t\tret = tcg2_measure_data\(dev, &elog, 8, images->os\.image_len,$",
        "\t\tret = tcg2_measure_data(dev, &elog, 4, images->os.image_len,",
        "All that is started goes into the PCR of boot loaders, which is quoted and judged; 8 and 9 are not.",
    ),
    Edit(
        "boot/bootm.c",
        r"^\t\tret = tcg2_measure_data\(dev, &elog, 9, rd_len, initrd_buf,$",
        "\t\tret = tcg2_measure_data(dev, &elog, 4, rd_len, initrd_buf,",
        "As above.",
    ),
    Edit(
        "boot/bootm.c",
        r"^\t\t\tret = tcg2_measure_data\(dev, &elog, 1, images->ft_len,$",
        "\t\t\tret = tcg2_measure_data(dev, &elog, 4, images->ft_len,",
        "As above: it has the command line with the root hash. PCR 1 is not judged.",
    ),
    Edit(
        "boot/bootm.c",
        r"^\t\tret = tcg2_measurement_init\(&dev, &elog, ign\);\n\t\tif \(ret\)$",
        "\t\tret = tcg2_measurement_init(&dev, &elog, ign);\n"
        "\t\tif (ret == -ENODEV) {\n"
        '\t\t\tputs("U-Boot: no TPM answers: this start is not measured\\n");\n'
        "\t\t\treturn 0;\n"
        "\t\t}\n"
        "\t\tif (ret)",
        "A machine without a TPM starts, and says so: its PCRs are zero, which no service takes that states others.",
    ),
    Edit(
        "boot/bootm.c",
        r"^\t\tbootm_measure\(images\);$",
        '\t\tif ((ret = bootm_measure(images)))\n\t\t\tputs("U-Boot: the TPM takes no measurement\\n");',
        "Where a TPM answers and does not take a measurement, the slot is not started.",
    ),
    Edit(
        "drivers/tpm/tpm_tis.h",
        r"^\tTIS_SHORT_TIMEOUT_MS\s*= 750,$",
        "\tTIS_SHORT_TIMEOUT_MS\t\t= 20000,",
        "A TPM in software on a busy host answers late; without an answer the slot does not start.",
    ),
    Edit(
        "drivers/tpm/tpm_tis.h",
        r"^\tTIS_LONG_TIMEOUT_MS\s*= 2000,$",
        "\tTIS_LONG_TIMEOUT_MS\t\t= 20000,",
        "As above.",
    ),
)


def part() -> Part:
    """U-Boot in a bill of materials."""
    return source_part(PACKAGE, VERSION, notes=f"compiled of it, with {len(EDITS)} lines changed by Armillary")


def origin() -> str:
    """The pinned files, and what is changed of them: part of what U-Boot is made of."""
    pins = [f"{each.name} {each.sha256}" for each in (SOURCE, PATCHES)]
    return "\n".join([*pins, *(f"{edit.file} {edit.pattern} {edit.line}" for edit in EDITS)])


def edited(text: str, edit: Edit) -> str:
    """A file's text with its one such line changed; ValueError if it has none or several: look at the source."""
    changed, times = re.subn(edit.pattern, lambda _: edit.line, text, flags=re.MULTILINE)
    if times != 1:
        raise ValueError(f"{edit.file} has {times} lines like {edit.pattern}")
    return changed


@contextlib.contextmanager
def unpacked(cache: Path) -> Iterator[Path]:
    """The folder of the source, unpacked for whoever compiles it: nothing is taken of what was changed meanwhile.

    Raises:
        HostError: a file is not to be had, or is not the pinned one, or a patch does not fit.
    """
    fetch(cache)
    with work_folder(cache / "source") as room:
        left_out = (f"--exclude={FOLDER}/{each}" for each in _LEFT_OUT)
        run(["tar", "--extract", "--file", cache / SOURCE.name, "--directory", room, *left_out])
        run(["tar", "--extract", "--file", cache / PATCHES.name, "--directory", room])
        for patch in series((room / _SERIES).read_text("utf-8")):
            words = ["patch", "--strip=1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch"]
            file = room / _SERIES.parent / patch
            run([*words, "--directory", room / FOLDER, "--input", file.absolute()])
        for edit in EDITS:
            changed = room / FOLDER / edit.file
            changed.write_text(edited(changed.read_text("utf-8"), edit), "utf-8")
        yield room / FOLDER


def series(text: str) -> tuple[str, ...]:
    """The patches that Debian's list names, in its order; what stands behind a # is no part of it."""
    return tuple(name for line in text.splitlines() if (name := line.partition("#")[0].strip()))


def fetch(cache: Path, places: Places | None = None) -> None:
    """Have the pinned files in the cache; one that is there and is not the pinned one is fetched again.

    They come from the folder that ``places`` names, else from Debian's mirror, else from the archive of all versions.

    Raises:
        HostError: a file is not to be had (code ``host.packages-missing``), or is not the pinned one.
        InvalidArgumentError: the folder lacks a file.
    """
    chosen = places or Places()
    for each in (SOURCE, PATCHES):  # what a fetch that was killed left, and what somebody changed
        if (cache / each.name).exists() and digest_of(cache / each.name) != each.sha256:
            (cache / each.name).unlink()
    lacking = [each for each in (SOURCE, PATCHES) if not (cache / each.name).exists()]
    if lacking and chosen.folder is not None:
        _from_folder(lacking, cache, chosen.folder)
    elif lacking:
        _from_archive(cache, chosen, _from_mirror(cache))
    for each in (SOURCE, PATCHES):
        found = digest_of(cache / each.name)
        if found != each.sha256:
            (cache / each.name).unlink()
            raise HostError(
                f"{each.name}: the file that was fetched is not the pinned one ({each.sha256[:16]}), but {found[:16]}",
                remedy="Whoever served it changed it: try again, or compare with another mirror.",
            )


def _from_folder(lacking: Iterable[PinnedFile], cache: Path, folder: Path) -> None:
    """Copy files from a folder, where they have Debian's names."""
    missing = [each.name for each in lacking if not (folder / each.name).is_file()]
    if missing:
        raise InvalidArgumentError(
            f"{folder}: expected U-Boot's source, {' and '.join(missing)}",
            remedy="Bring it there from a host that has it (.image/cache/uboot), or build without --packages.",
        )
    cache.mkdir(parents=True, exist_ok=True)
    for each in lacking:
        shutil.copyfile(folder / each.name, cache / each.name)


def _from_mirror(cache: Path) -> str:
    """Fetch what Debian's mirror has, with source lists of its own; returns why something is lacking."""
    lists = (cache / "lists").absolute()
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = (cache / "sources").absolute()
    sources.mkdir(exist_ok=True)
    (sources / "u-boot.sources").write_text(_SOURCES, "ascii")
    options = ["APT::Sandbox::User=root", "Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={sources}"]
    options += [f"Dir::State::lists={lists}", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="]
    words = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    try:
        run([*words, "update"])
        for part in ("--tar-only", "--diff-only"):  # without the description (.dsc), which not every mirror has
            run([*words, "source", "--download-only", part, f"{PACKAGE}={VERSION}"], folder=cache)
    except HostError as error:
        return error.message
    return ""


def _from_archive(cache: Path, places: Places, reason: str) -> None:
    """Fetch what is still lacking from the archive of all versions; an error has both places' words."""
    for each in (SOURCE, PATCHES):
        if (cache / each.name).exists():
            continue
        places.told(f"{each.name}: not at Debian's mirror any more, asking {places.archive}")
        try:
            snapshot.fetch_file(each.sha1, cache / each.name, address=places.archive)
        except HostError as error:
            raise HostError(
                f"{each.name} is not to be had: Debian's mirror: {reason or 'not fetched'}; {error.message}",
                remedy="From another host: --packages DIR; another archive: --snapshot URL.",
                code="host.packages-missing",
            ) from error
