"""Reading of nuclei from any known kind of file, by its reader in the registry."""

from __future__ import annotations

from pathlib import Path

from napari_cosynth import registry
from napari_cosynth.foreign.files import holds_words
from napari_cosynth.layouts.sources.nuclei import Nuclei

SUFFIXES = {
    ".csv": "csv",
    ".geojson": "geojson",
    ".mat": "hovernet-mat",
    ".npy": "labels",
    ".png": "labels",
    ".tif": "labels",
    ".tiff": "labels",
}
_HEAD = 4096
"""First bytes of a JSON file that are searched to tell its kind."""


def kind_of(path: Path) -> str:
    """The registered kind of a file, by its name and, for JSON, its beginning.

    Raises ValueError naming the file where its ending is unknown.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":  # QuPath packs its GeoJSON
        suffix = Path(path.stem).suffix.lower()
        suffix = suffix if suffix in (".json", ".geojson") else ".gz"
    if suffix == ".json":
        return "geojson" if holds_words(path, ('"Feature',), _HEAD) else "hovernet-json"
    if suffix not in SUFFIXES:
        known = ", ".join([*SUFFIXES, ".geojson.gz", ".json"])
        raise ValueError(
            f"{path}: expected a file with nuclei ({known}), got {suffix or 'no ending'}"
        )
    return SUFFIXES[suffix]


def read_nuclei(path: str | Path, kind: str | None = None, sample: int | None = None) -> Nuclei:
    """The nuclei of a file; ``sample`` is the sample to read of a CSV file that holds several.

    Raises ValueError naming the file and its fault.
    """
    path = Path(path)
    kind = kind or kind_of(path)
    if sample is not None and kind != "csv":
        raise ValueError(f"{path}: --sample: only a CSV file of points holds several samples")
    reader = registry.resolve("layout", kind)
    found: Nuclei = reader(path) if sample is None else reader(path, sample)
    return found
