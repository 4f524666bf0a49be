# SPDX-License-Identifier: Apache-2.0
"""A whole feed against 5,000 images: read, indexed, and every image's advisories found, against a limit of 60 s.

The feed has the shape of PyPA's advisory database of October 2024: 2,661 advisories of 664 packages, ranges and every
affected version listed beside them (100 on average). Three of ten packages are Debian's, two of Go, because their
orders of versions cost more. Images have 150 components each, of which few are in most images and most in few (Zipf).
One thread, CPU time, nothing remembered from before.
"""

from __future__ import annotations

import itertools
import json
import random
import time

from armillary.advisory.match import Index, Matcher
from armillary.wire.advisory.osv import read_advisory
from bench.result import result

ADVISORIES = 2_661
PACKAGES = 664
IMAGES = 5_000
COMPONENTS = 150  # an image
VERSIONS = 120  # a package
LIMIT_S = 60.0
SEED = 7
# Of ten packages: OSV's ecosystem, how its versions look, and the package URL.
KINDS = (
    *(("PyPI", "{0}.{1}.{2}", "pkg:pypi/{name}@{version}"),) * 5,
    *(("Debian:12", "1:{0}.{1}-{2}~deb12u1", "pkg:deb/debian/{name}@{version}?distro=debian-12"),) * 3,
    *(("Go", "{0}.{1}.{2}", "pkg:golang/{name}@v{version}"),) * 2,
)


def run() -> list[dict[str, object]]:
    """CPU seconds of the whole work; the limit is the promise's."""
    source = random.Random(SEED)
    feed, images = feed_of(source), images_of(source)
    distinct = len(set(itertools.chain.from_iterable(images)))
    begun = time.process_time()
    matcher = Matcher(Index(map(read_advisory, feed)))
    read = time.process_time() - begun
    pairs = sum(len({each.advisory for purl in image for each in matcher.match(purl).matches}) for image in images)
    spent = time.process_time() - begun
    conditions = (
        f"{ADVISORIES} advisories of {PACKAGES} packages as JSON ({sum(map(len, feed)) >> 20} MiB, read in "
        f"{read:.1f} s), {IMAGES} images of {COMPONENTS} components, {distinct} distinct ones, {pairs} pairs of image "
        "and advisory found; one thread, CPU time"
    )
    return [result("feed-match", spent, "s of CPU time", ("limit", LIMIT_S), conditions)]


def _versions(number: int) -> list[str]:
    shape = KINDS[number % 10][1]
    return [shape.format(each // 40, each // 4 % 10, each % 4) for each in range(VERSIONS)]


def feed_of(source: random.Random) -> list[bytes]:
    """The records of the feed, as JSON."""
    found = []
    for number in range(ADVISORIES):
        package = number if number < PACKAGES else min(int(source.paretovariate(0.6)), PACKAGES) - 1
        versions = _versions(package)
        first, last = sorted(source.sample(range(VERSIONS), 2))
        events = [{"introduced": versions[first] if source.random() < 0.5 else "0"}, {"fixed": versions[last]}]
        ecosystem = KINDS[package % 10][0]
        affected = {
            "package": {"ecosystem": ecosystem, "name": f"package-{package}"},
            "ranges": [{"type": "SEMVER" if ecosystem == "Go" else "ECOSYSTEM", "events": events}],
            "versions": versions[first:last] if ecosystem == "PyPI" else [],
        }
        record = {
            "id": f"A-{number}",
            "modified": "2026-01-31T12:00:00Z",
            "details": "x" * 1000,
            "affected": [affected],
        }
        found.append(json.dumps(record).encode())
    return found


def images_of(source: random.Random) -> list[list[str]]:
    """The package URLs of each image's components."""
    names = [(number, version) for number in range(PACKAGES) for version in _versions(number)]
    source.shuffle(names)
    purls = [KINDS[number % 10][2].format(name=f"package-{number}", version=version) for number, version in names]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(purls) + 1)))
    return [source.choices(purls, cum_weights=weights, k=COMPONENTS) for _ in range(IMAGES)]
