# SPDX-License-Identifier: Apache-2.0
"""Builds a device image, step by step; a step whose inputs are what they were is taken as it was.

What comes out, in the output folder::

    disk.img        the whole disk, sparse                  unified.efi   the signed unified image
    root.img        the root partition's content            started.img   the first partition's, with unified.efi
    variables.fd    the firmware's variables: keys, entries
    bill.cdx.json   bill of materials (CycloneDX)           sizes.json    bytes of every component, and the budget
    reference-values.json   what its boot measures
    image.json      what it is: versions, root hash, whether test keys signed it, digests of all files but the keys
    keys/           the test keys that signed it (0600)   secure-boot/  their certificates, for a real firmware

Where keys of another build are named, ``keys/`` is not made.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from armillary.device_image import (
    debian,
    disk,
    distributions,
    firmware,
    kernel,
    root_image,
    root_tree,
    start,
    tools,
    unified,
)
from armillary.device_image.architecture.description import FILE as DESCRIPTION
from armillary.device_image.architecture.stand_ins import compile_library
from armillary.device_image.architecture.table import ARCHITECTURES, Architecture
from armillary.device_image.bill.document import bill_of_materials
from armillary.device_image.bill.part import Part, c_library_part, package_parts, source_part
from armillary.device_image.bill.sizes import FILE as SIZES, write_sizes
from armillary.device_image.flashing.key_files import FILES as KEY_FILES, FOLDER as KEY_FOLDER, write_key_files
from armillary.device_image.kept.alone import alone_in
from armillary.device_image.keys import KeyPair, are_test_keys, keys_of, secure_boot_keys
from armillary.device_image.own_kernel.build import build_kernel
from armillary.device_image.own_kernel.kernel_module import compile_modules, fetch_packages, source_of
from armillary.device_image.own_kernel.toolchain import SOURCE_PACKAGE
from armillary.device_image.package_sources.fetching import Places, fetch
from armillary.device_image.recipe import (
    DEVELOPMENT as DEVELOPMENT_RECIPE,
    Pin,
    Recipe,
    for_architecture,
    kernel_pin,
    module_pins_file,
    package_names,
    pins_file,
    read_budget,
    read_pins,
    read_recipe,
    release_of,
)
from armillary.device_image.reference.document import (
    FILE as REFERENCE,
    key_variables,
    reference_values,
    uboot_reference_values,
    write_document,
)
from armillary.device_image.reference.seen import seen_values
from armillary.device_image.request.checks import radio_words, refuse_place, refuse_unknown
from armillary.device_image.request.key_kinds import days_missed, usable_keys
from armillary.device_image.root_image import RootImage
from armillary.device_image.start.recording import Recorded, own_architecture, record
from armillary.device_image.uboot.image import JOINER, PROGRAM, Parts, files_of, write_files
from armillary.device_image.uboot.source import CACHE as UBOOT, fetch as fetch_uboot, part as uboot_part
from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.command_line import DEVELOPMENT, command_line
from armillary.wire.disk.gpt_writing import Layout

CACHE: Final = "cache"

# Told of every step that is done.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be built, of what, where to; ``pins`` in place of the recipe's own, packages from ``places``.

    ``simulated_radios``: how many Wi-Fi radios the own kernel pretends; Debian's has none. ``version`` stands for
    the recipe's own. ``keys`` is the folder of another build's keys; None: the output folder's, made where none are.
    """

    recipe_folder: Path
    output: Path
    architecture: str = "x86_64"
    own_kernel: bool = False
    development: bool = False
    simulated_radios: int = 0
    version: str | None = None
    keys: Path | None = None
    pins: Path | None = None
    places: Places | None = None
    progress: Progress = field(default=lambda _step: None)

    @property
    def target(self) -> Architecture:
        """What it is built for."""
        return ARCHITECTURES[self.architecture]

    @property
    def project(self) -> Path:
        """The checkout."""
        return self.recipe_folder.parent

    @property
    def cache(self) -> Path:
        """Where packages and finished steps are kept."""
        return self.output.parent / CACHE


def build(plan: Plan, *, at: dt.datetime) -> dict[str, Any]:
    """Build everything; returns what ``image.json`` says. It waits for another build with this cache.

    ``at`` is the time for which certificates of keys are looked at; nothing of the image depends on it.

    Raises:
        HostError: a program is missing or fails, or this user may not write there.
        InvalidArgumentError: the plan, the recipe or the keys are wrong, or the image is larger than its budget.
    """
    refuse_unknown(plan.architecture, own_kernel=plan.own_kernel)
    recipe = _recipe(plan)
    _marked(plan, recipe)  # refuses simulated radios of a kernel that has none
    refuse_place(plan.output)
    if plan.keys is not None:
        _keys(plan)  # before anything is fetched
    tools.require(tools.BUILD, tools.BUILD_FOR[plan.architecture])
    tools.lower_priority()
    pins = _pins(plan, recipe)
    with alone_in(plan.cache, plan.progress):
        return _built(plan, recipe, pins, at)


def _built(plan: Plan, recipe: Recipe, pins: Sequence[Pin], at: dt.datetime) -> dict[str, Any]:
    """Build everything; no other process works in the cache, nor in an output folder beside it."""
    packages = _packages(plan, recipe, pins)
    plan.output.mkdir(parents=True, exist_ok=True)
    keys = _keys(plan)
    for line in days_missed(keys, at=at):
        plan.progress(line)
    requirements = distributions.locked(plan.project, recipe.python.distributions)
    root = _root(plan, recipe, packages, requirements)
    chosen = _kernel(plan, recipe, packages)
    if plan.target.has_uefi:
        signed, unsigned = _for_uefi(plan, recipe, root, packages, chosen, keys)
    else:
        signed = unsigned = _for_uboot(plan, recipe, root, chosen, keys)
    own = root_tree.own_files(recipe, plan.project / "src")
    parts = _parts(plan, pins, packages, chosen)
    bill = bill_of_materials(recipe, parts, requirements, own=own, root_hash=root.verified.root_hash)
    (plan.output / "bill.cdx.json").write_bytes(bill)
    write_sizes(
        plan.output,
        root_bytes=root.file.stat().st_size,
        unified_bytes=len(signed),
        budget=read_budget(plan.recipe_folder, plan.architecture),
        components=root.sizes,
    )
    return _describe(plan, recipe, root, unsigned, keys)


def _parts(plan: Plan, pins: Sequence[Pin], packages: Mapping[str, Path], chosen: kernel.Kernel) -> list[Part]:
    """What others made of the image, but for its Python packages."""
    uboot = () if plan.target.has_uefi else (uboot_part(),)
    return [*package_parts(pins, packages), *chosen.parts, *uboot, c_library_part(plan.target.compiler)]


def fetch_parts(plan: Plan) -> None:
    """Bring all that an image is made of into the cache, and build nothing: a build needs no network then.

    An own kernel is not among it: its source is a package of this host. It waits for another build with this cache.

    Raises:
        HostError: a package is not to be had, or is not the pinned one.
        InvalidArgumentError: the recipe or the pins are wrong.
    """
    refuse_place(plan.output)
    recipe = _recipe(plan)
    pins = _pins(plan, recipe)
    with alone_in(plan.cache, plan.progress):
        _packages(plan, recipe, pins)
        requirements = distributions.locked(plan.project, recipe.python.distributions)
        _distributions(plan, recipe, requirements, architecture=plan.target.root)
        _hosts_distributions(plan)
        plan.progress("Python packages")
        if not plan.target.has_uefi:
            fetch_uboot(plan.cache / UBOOT, plan.places)
        if plan.architecture in recipe.kernel and recipe.kernel[plan.architecture].compiled:
            modules = read_pins(module_pins_file(plan.recipe_folder, plan.architecture))
            fetch_packages(
                release_of(pins[-1]), modules, plan.cache, architecture=plan.target.debian, places=plan.places
            )


def _recipe(plan: Plan) -> Recipe:
    """What the image is made of, for its architecture."""
    recipe = read_recipe(plan.recipe_folder, development=plan.development, version=plan.version)
    return for_architecture(recipe, plan.architecture)


def _keys(plan: Plan) -> dict[str, KeyPair]:
    """The keys that sign it: those of another build as they are, else its own, made where there are none."""
    if plan.keys is not None:
        return usable_keys(keys_of(plan.keys, development=plan.development), plan.target)
    return usable_keys(secure_boot_keys(plan.output / "keys", development=plan.development), plan.target)


def _distributions(plan: Plan, recipe: Recipe, requirements: dict[str, str], *, architecture: str) -> Path:
    """The folder with these Python packages of a recipe for an architecture."""
    return distributions.install(
        requirements,
        plan.cache / "python",
        project=plan.project,
        python=recipe.python.version,
        architecture=architecture,
    )


def _pins(plan: Plan, recipe: Recipe) -> list[Pin]:
    """Every package of the recipe, as it is pinned; the last is that of the kernel, where it is the distribution's."""
    pinned = read_pins(plan.pins or pins_file(plan.recipe_folder, plan.architecture))
    names = package_names(recipe, plan.architecture)
    lacking = [name for name in names if name not in pinned]
    if lacking:
        raise InvalidArgumentError(
            f"no pin for {', '.join(lacking)}", remedy=f"armillary image pin --arch {plan.architecture}"
        )
    if plan.places is not None:
        plan.places.check()
    kernels = [] if _has_own_kernel(plan, recipe) else [kernel_pin(recipe, plan.architecture, pinned)]
    return [*(pinned[name] for name in names), *kernels]


def _packages(plan: Plan, recipe: Recipe, pins: Sequence[Pin]) -> dict[str, Path]:
    """The files of the packages by name; the kernel's by the name that the recipe gives, too."""
    files = fetch(pins, plan.cache / "debian", architecture=plan.target.debian, places=plan.places)
    plan.progress("Debian packages")
    if _has_own_kernel(plan, recipe):
        return files
    return files | {recipe.kernel[plan.architecture].package: files[pins[-1].name]}


def _root(plan: Plan, recipe: Recipe, packages: Mapping[str, Path], requirements: dict[str, str]) -> RootImage:
    """The root partition's content, built again only where something that it is made of is another."""
    folder = _distributions(plan, recipe, requirements, architecture=plan.target.root)
    plan.progress("Python packages")
    source = plan.project / "src"
    digest = hashlib.sha256(b"root 1\n")
    overlay = [plan.recipe_folder / DEVELOPMENT_RECIPE] if recipe.development else []
    code = [*Path(__file__).parent.glob("*.py"), *Path(start.__file__).parent.glob("*.py")]
    for path in [plan.recipe_folder / "image.toml", *overlay, *sorted(code)]:
        digest.update(path.read_bytes())
    digest.update(f"{recipe.version}\n".encode())
    stand_ins = _stand_ins(plan, recipe)
    digest.update(b"".join(stand_ins.values()))
    for name, file in sorted(packages.items()):
        digest.update(f"{name} {file.name}\n".encode())
    for inside, path in root_tree.own_files(recipe, source).items():
        digest.update(f"{inside} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    programs = tools.versions((*root_image.PROGRAMS, f"python{recipe.python.version}"))
    digest.update(f"{folder.name} {json.dumps(programs)} {plan.target.strip}".encode())
    file = plan.cache / "root" / f"{digest.hexdigest()}.img"
    kept = root_image.remembered(file)
    if kept is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        tree = root_tree.root_tree(
            recipe,
            packages=packages,
            distributions=folder,
            source=source,
            strip=plan.target.strip,
            stand_ins=stand_ins,
            started=_started(plan, recipe),
        )
        plan.progress("root file system: files chosen and compiled")
        kept = root_image.make_root(tree, file, name=disk.NAME)
        root_image.remember(kept)
    (plan.output / DESCRIPTION).unlink(missing_ok=True)  # no built image until all files are there
    kept = root_image.placed(kept, plan.output / "root.img")
    plan.progress("root file system with its verity tree")
    return kept


def _started(plan: Plan, recipe: Recipe) -> Recorded:
    """What a start loads, found out with this host's Python packages; nothing where there are none for this host.

    Of an architecture for which nobody has built some of them it has more than there is, which is left out.
    """
    folder = _hosts_distributions(plan)
    if folder is None:
        return Recorded()
    return record(python=recipe.python.version, source=plan.project / "src", distributions=folder)


def _hosts_distributions(plan: Plan) -> Path | None:
    """The folder with all Python packages of the recipe for this host; None where there are none for it."""
    own = own_architecture()
    if own is None:
        return None
    recipe = for_architecture(read_recipe(plan.recipe_folder, development=plan.development), own)
    requirements = distributions.locked(plan.project, recipe.python.distributions)
    return _distributions(plan, recipe, requirements, architecture=own)


def _stand_ins(plan: Plan, recipe: Recipe) -> dict[str, bytes]:
    """Libraries of ours in place of a distribution's, by their path in the image."""
    return {
        place: compile_library(plan.recipe_folder / source, plan.target.compiler, posixpath.basename(place))
        for place, source in recipe.stand_ins.get(plan.target.root, {}).items()
    }


def _kernel(plan: Plan, recipe: Recipe, packages: Mapping[str, Path]) -> kernel.Kernel:
    """The kernel that is wanted: the distribution's, or our own."""
    if _has_own_kernel(plan, recipe):
        chosen = _own_kernel(plan)
    else:
        wanted = recipe.kernel[plan.architecture]
        chosen = kernel.debian_kernel(packages[wanted.package], wanted.modules, wanted.other_disks)
        if wanted.compiled:
            pins = read_pins(module_pins_file(plan.recipe_folder, plan.architecture))
            modules = _compiled(plan, wanted.compiled, chosen.release, pins)
            chosen = kernel.with_modules(chosen, modules, parts=(source_of(chosen.release, pins),))
    plan.progress(f"kernel {chosen.release}, {len(chosen.modules)} modules")
    return chosen


def _compiled(plan: Plan, names: Sequence[str], release: str, pins: Mapping[str, Pin]) -> dict[str, bytes]:
    """Modules that the distribution's kernel lacks."""
    made = compile_modules(
        names,
        release,
        pins,
        plan.cache,
        architecture=plan.target.debian,
        strip=plan.target.strip,
        places=plan.places,
    )
    plan.progress(f"modules of the kernel's source: {', '.join(names)}")
    return made


def _has_own_kernel(plan: Plan, recipe: Recipe) -> bool:
    """Whether the image has our own kernel: one for an architecture without another always has."""
    return plan.own_kernel or plan.architecture not in recipe.kernel


def _first_files(plan: Plan, chosen: kernel.Kernel) -> bytes:
    """The initial file system, with the first program."""
    first = unified.compile_first_program(plan.recipe_folder / "init/init.c", plan.target.compiler)
    return unified.initial_files(first, chosen)


def _marked(plan: Plan, recipe: Recipe) -> tuple[str, ...]:
    """What a command line says of an image that is no release, and of pretended radios."""
    marked = (DEVELOPMENT,) if recipe.development else ()
    return (*marked, *radio_words(plan.simulated_radios, own_kernel=_has_own_kernel(plan, recipe)))


def _for_uefi(
    plan: Plan,
    recipe: Recipe,
    root: RootImage,
    packages: Mapping[str, Path],
    chosen: kernel.Kernel,
    keys: Mapping[str, KeyPair],
) -> tuple[bytes, bytes]:
    """The unified image, signed and unsigned; the disk and the variables of the firmware are written, too."""
    write_key_files(plan.output / KEY_FOLDER, keys)
    image = _unified(plan, recipe, root, packages, chosen)
    signed = unified.sign(image, keys["signing"])
    (plan.output / "unified.efi").write_bytes(signed)
    plan.progress("unified image signed")
    disk.boot_partition(signed, plan.output / disk.STARTED_FILE, plan.target.started_file)
    layout = _disk(plan, root)
    (plan.output / "variables.fd").write_bytes(firmware.variables(layout, disk.STARTED, keys, architecture=plan.target))
    plan.progress("variables of the firmware")
    _state(plan, signed)
    return signed, image


def _for_uboot(
    plan: Plan, recipe: Recipe, root: RootImage, chosen: kernel.Kernel, keys: Mapping[str, KeyPair]
) -> bytes:
    """The signed file of a slot; the disk and U-Boot are written, too."""
    parts = Parts(
        name=f"Armillary OS {recipe.version}",
        kernel=chosen,
        initial=_first_files(plan, chosen),
        tree=_tree_of_kernel(plan),
        root=root.verified,
        words=_marked(plan, recipe),
        target=plan.target,
        recipe=plan.recipe_folder / "uboot",
    )
    cache = plan.cache / UBOOT
    fetch_uboot(cache, plan.places)
    cache.mkdir(parents=True, exist_ok=True)
    signed = write_files(parts, plan.output, key=keys["signing"], cache=cache, progress=plan.progress)
    _disk(plan, root)
    program = (plan.output / PROGRAM).read_bytes()
    write_document(plan.output, uboot_reference_values(signed, program, chip=plan.target.chip))
    plan.progress("reference values of its boot")
    return signed


def _tree_of_kernel(plan: Plan) -> bytes:
    """The device tree that the own kernel brings for the board; empty where the board's own is whole."""
    tree = plan.target.tree
    return (plan.output.parent / "kernel" / plan.target.root / tree).read_bytes() if tree else b""


def _unified(plan: Plan, recipe: Recipe, root: RootImage, packages: Mapping[str, Path], chosen: kernel.Kernel) -> bytes:
    """The unsigned unified image."""
    line = command_line(
        root.verified, consoles=plan.target.consoles, built_at=tools.MADE_AT, more=_marked(plan, recipe)
    )
    joined = unified.join(
        chosen,
        _first_files(plan, chosen),
        line,
        root_tree.os_release(recipe),
        architecture=plan.target,
        stub=debian.content_of(packages[plan.target.stub_package], plan.target.stub),
    )
    plan.progress("unified image")
    return joined


def _own_kernel(plan: Plan) -> kernel.Kernel:
    """Our own kernel, which has all that it needs within."""
    cache = plan.output.parent / "kernel"
    built = build_kernel(plan.target.root, cache / plan.target.root, plan.progress, cache=cache)
    plan.progress(f"own kernel: {built.compared()}")
    source = source_part("linux", built.source, notes=f"our own kernel {built.version}, of {SOURCE_PACKAGE}")
    return kernel.Kernel(built.version, built.path.read_bytes(), {}, parts=(source,))


def _disk(plan: Plan, root: RootImage) -> Layout:
    """The whole disk; what a slot's first partition has is there already."""
    started, data = plan.output / disk.STARTED_FILE, plan.output / "data.img"
    has_uboot = not plan.target.has_uefi
    try:
        disk.data_partition(data, disk.UBOOT_DATA_BYTES if has_uboot else disk.DATA_BYTES)
        layout = disk.write_disk(
            plan.output / "disk.img", started=started, root=root.file, data=data, has_uboot=has_uboot
        )
    finally:
        data.unlink(missing_ok=True)
    plan.progress("disk")
    return layout


def _state(plan: Plan, signed: bytes) -> None:
    """Write what a boot of the image measures, for the service that appraises it."""
    stated = reference_values(
        signed,
        key_variables(plan.output / "variables.fd"),
        chip=plan.target.chip,
        seen=seen_values(plan.recipe_folder, plan.architecture),
    )
    write_document(plan.output, stated)
    plan.progress("reference values of its boot")


def _describe(
    plan: Plan, recipe: Recipe, root: RootImage, unsigned: bytes, keys: Mapping[str, KeyPair]
) -> dict[str, Any]:
    joiner = unified.JOINER if plan.target.has_uefi else JOINER
    own = ("unified.efi", "variables.fd", *KEY_FILES) if plan.target.has_uefi else files_of(plan.target)
    files = ("disk.img", "root.img", disk.STARTED_FILE, *own, "bill.cdx.json", SIZES, REFERENCE)
    about = {
        "version": recipe.version,
        "development": recipe.development,
        "test_keys": are_test_keys(keys),
        "architecture": plan.architecture,
        "root_hash": root.verified.root_hash,
        "unsigned_unified_sha256": hashlib.sha256(unsigned).hexdigest(),
        "sha256": {name: tools.digest_of(plan.output / name) for name in files},
        "bytes": root.file.stat().st_size + (plan.output / own[0]).stat().st_size,
        "tools": tools.versions((*root_image.PROGRAMS, joiner, plan.target.compiler)),
    }
    (plan.output / DESCRIPTION).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return about
