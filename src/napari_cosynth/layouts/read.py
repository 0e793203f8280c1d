"""Any file that nuclei can be read from, by its kind in the registry."""

from __future__ import annotations

from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.layouts.nuclei import Nuclei

SUFFIXES = {
    ".csv": "csv",
    ".geojson": "geojson",
    ".mat": "hovernet-mat",
    ".npy": "labels",
    ".png": "labels",
    ".tif": "labels",
    ".tiff": "labels",
}


def kind_of(path: Path) -> str:
    """The registered kind of a file, by its name and, for JSON, its beginning. Raises ValueError."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        try:
            with path.open("rb") as file:
                head = file.read(4096)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        return "geojson" if b'"Feature' in head else "hovernet-json"
    if suffix not in SUFFIXES:
        known = ", ".join([*SUFFIXES, ".json"])
        raise ValueError(
            f"{path}: expected a file with nuclei ({known}), got {suffix or 'no ending'}"
        )
    return SUFFIXES[suffix]


def read_nuclei(path: str | Path, kind: str | None = None) -> Nuclei:
    """The nuclei of a file. Raises ValueError naming the file and what is wrong with it."""
    path = Path(path)
    found: Nuclei = registry.resolve("layout", kind or kind_of(path))(path)
    return found
