"""The lock of the tests' environment: every package with its version and the SHA-256 of its file.

Run it by the Python and on the platform that the lock is for, after a change of the dependencies:

    python tools/lock.py

pip resolves ``.[test]`` within constraints.txt, as set-up did without a lock, and says which file it
took for each package. ``tools/setup.sh test`` then installs these files and no others.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# What tools/setup.sh test installs on {name}: these files and no others. By: python tools/lock.py
--only-binary :all:
"""


def name_of_this_machine() -> str:
    """The lock's name, for example ``cp311-linux-x86_64``; tools/setup.sh forms the same."""
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return f"{version}-{platform.system().lower()}-{platform.machine().lower()}"


def resolved() -> list[dict]:
    """What pip would install into an empty environment, as its report says."""
    # The CPU build is what set-up takes where there is no GPU.
    torch = next(
        line
        for line in (ROOT / "constraints.txt").read_text().split()
        if line.startswith("torch==")
    )
    asked = ["--only-binary", ":all:", "--report", "-", "--constraint", "constraints.txt"]
    asked += [f"{torch}+cpu", "setuptools>=77", ".[test]"]
    said = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", *asked],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(said.stdout)["install"]


def lock(packages: list[dict], name: str) -> str:
    """The lock's text. Raises ValueError for a package whose file has no SHA-256."""
    lines = []
    for package in packages:
        called, version = package["metadata"]["name"].lower(), package["metadata"]["version"]
        if package["is_direct"]:  # the package itself
            continue
        digest = package["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None:
            raise ValueError(f"{called} {version}: pip names no sha256 of its file")
        lines.append(f"{called}=={version} --hash=sha256:{digest}")
    return HEADER.format(name=name) + "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    machine = name_of_this_machine()
    place = ROOT / "tools" / "locks" / f"{machine}.txt"
    text = lock(resolved(), machine)
    place.parent.mkdir(exist_ok=True)
    place.write_text(text, encoding="utf-8")
    print(f"{place.relative_to(ROOT)}: {text.count('==')} packages")
