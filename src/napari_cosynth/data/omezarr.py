"""OME-Zarr (NGFF 0.4 and 0.5): RGB images with labels (docs/formats/omezarr.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cosynth.data.base import NamedRecords, Parts
from napari_cosynth.data.files import eight_bits, select
from napari_cosynth.data.sidecar import read_sidecar
from napari_cosynth.types import H_AND_E, ClassTable

ASSUMED_MPP = 0.25
UNCLASSIFIED = "unspecified"
MOST_PLANES = 1_000_000
Place = Mapping[str, int]
"""Of a plane along t and z; empty where there is one."""
_MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}


class OmeZarrDataset(NamedRecords):
    """An image, a series of them (``bioformats2raw.layout``) or a folder of ``.zarr``.

    An image has three channels of 8 bits (or 16, ``data.files.eight_bits``) over axes c, y, x, its first
    level read when it is asked for. One with several t or z is a stack: each plane is a record, called
    ``NAME_00000`` and so on, and its labels have as many.

    Instances are the label image ``instances``, or the one that is there. Their classes come from
    ``class`` in ``image-label``'s properties, else from a label image ``classes`` beside them whose own
    properties name its values; else all have one. µm/px is the scale of the first level.
    """

    def __init__(
        self,
        root: str | Path,
        mpp: float | None = None,
        tissue: str = "",
        instances: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.own = read_sidecar(self.root, "omezarr")
        self.mpp, self.tissue, self._label = mpp, tissue, instances
        self._groups: dict[str, tuple[Any, Place]] = {}
        groups = _images(self.root)
        for number, group in enumerate(groups):
            name = self.own.names[number] if self.own else _name(group, number, len(groups))
            for suffix, place in _planes(group):
                if name + suffix in self._groups:
                    raise ValueError(f"{_where(group)}: another image is called {name!r} too")
                self._groups[name + suffix] = group, place
        self.names = tuple(select(self._groups, only, without, self.root))
        first, _ = self._groups[self.names[0]]
        self.mpp_stated = mpp is not None or _mpp(_multiscale(first)) is not None
        self.classes = self.own.classes if self.own else self._classes_that_occur()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return _is_group(root) or any(_is_group(p) for p in root.glob("*.zarr"))

    def tissue_of(self, name: str) -> str:
        return self.own_text(name, "tissue", self.tissue)

    def parts(self, name: str) -> Parts:
        group, place = self._groups[name]
        multiscale = _multiscale(group)
        planes = _level(group, place)
        where = _where(group)
        if planes.ndim == 2:
            planes = np.stack([planes] * 3)
        if planes.shape[0] != 3:
            raise ValueError(f"{where}: expected 3 channels, got {planes.dtype} {planes.shape}")
        image = eight_bits(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), where, self.root)
        label = self._instances(group)
        if (found := _lengths(label)) != (wanted := _lengths(group)):
            raise ValueError(
                f"{_where(label)}: axes: expected as many planes as the image, {wanted}, got {found}"
            )
        instances = _level(label, place)
        if instances.shape != planes.shape[1:] or instances.dtype.kind not in "iu":
            raise ValueError(
                f"{_where(label)}: expected integers {planes.shape[1:]}, "
                f"got {instances.dtype} {instances.shape}"
            )
        if instances.max(initial=0) >= 2**31 or instances.min(initial=0) < 0:
            raise ValueError(f"{_where(label)}: expected ids of 0 or more and below 2^31")
        return Parts(
            image,
            instances.astype(np.int32),
            self._labels(group, place, label, instances),
            self.mpp or _mpp(multiscale) or ASSUMED_MPP,
            self.tissue_of(name),
            where,
            self.own_text(name, "stain", H_AND_E),
        )

    def _instances(self, group: Any) -> Any:
        names = _label_names(group)
        wanted = self._label or ("instances" if "instances" in names else "")
        if not wanted and len(names) == 1:
            wanted = names[0]
        if wanted not in names:
            raise ValueError(
                f"{_where(group)}: labels: expected {wanted or 'one image'}, got "
                f"{', '.join(names) or 'none'}; the option instances names one"
            )
        return group[f"labels/{wanted}"]

    def _labels(
        self,
        group: Any,
        place: Place,
        label: Any,
        instances: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.uint8]:
        """Classes per pixel, uint8 (H, W)."""
        kinds = _kinds(label)
        source, values = label, instances
        if not kinds and "classes" in _label_names(group):
            source = group["labels/classes"]
            values, kinds = _level(source, place), _kinds(source)
        if not kinds:
            return (instances > 0).astype(np.uint8)
        found, where = np.unique(values, return_inverse=True)
        table = np.zeros(len(found), np.uint8)
        for index, value in enumerate(found.tolist()):
            if value:
                if value not in kinds:
                    raise ValueError(f"{_where(source)}: image-label: no class for {value}")
                table[index] = self.classes.index(kinds[value])
        return table[where].reshape(values.shape)

    def _classes_that_occur(self) -> ClassTable:
        names: set[str] = set()
        for name in self.names:
            group, _ = self._groups[name]
            label = self._instances(group)
            kinds = _kinds(label)
            if not kinds and "classes" in _label_names(group):
                kinds = _kinds(group["labels/classes"])
            names |= set(kinds.values())
        return ClassTable.of(*(sorted(names) or (UNCLASSIFIED,)))


def _is_group(path: Path) -> bool:
    return (path / ".zgroup").is_file() or (path / "zarr.json").is_file()


def _where(group: Any) -> str:
    return f"{group.store.root}/{group.path}".rstrip("/")


def _attributes(group: Any) -> dict[str, Any]:
    """The metadata: at the top in 0.4, below ``ome`` in 0.5."""
    found = group.attrs.asdict()
    return dict(found.get("ome", found))


def _images(root: Path) -> list[Any]:
    """The image groups of a path, in order. Raises ValueError where there are none."""
    try:
        import zarr
    except ImportError as error:
        raise ValueError(
            f"{root}: OME-Zarr needs {error.name}: pip install 'napari-cosynth[gui]'"
        ) from None
    paths = [root] if _is_group(root) else sorted(p for p in root.glob("*.zarr") if _is_group(p))
    found: list[Any] = []
    for path in paths:
        try:
            group = zarr.open_group(path, mode="r")
            if "multiscales" in _attributes(group):
                found.append(group)
                continue
            numbers = sorted((k for k in group.group_keys() if k.isdecimal()), key=int)
            found += [group[key] for key in numbers]
        except Exception as error:  # zarr raises what it likes on damaged files
            raise ValueError(f"{path}: cannot be read as a Zarr group ({error})") from None
    if not found:
        raise ValueError(f"{root}: no OME-Zarr image in it")
    return found


def _name(group: Any, number: int, count: int) -> str:
    if not group.path:
        return Path(str(group.store.root)).name.removesuffix(".zarr").removesuffix(".ome")
    name = _multiscale(group).get("name")
    return name if isinstance(name, str) and name and count > 1 else str(number)


def _multiscale(group: Any) -> dict[str, Any]:
    listed = _attributes(group).get("multiscales")
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        raise ValueError(f"{_where(group)}: multiscales: missing")
    first: dict[str, Any] = listed[0]
    axes, datasets = first.get("axes"), first.get("datasets")
    if not isinstance(axes, list) or not isinstance(datasets, list) or not datasets:
        raise ValueError(f"{_where(group)}: multiscales: expected axes and datasets")
    return first


def _axes(multiscale: dict[str, Any]) -> list[str]:
    return [str(a.get("name") if isinstance(a, dict) else a) for a in multiscale["axes"]]


def _planes(group: Any) -> Iterator[tuple[str, Place]]:
    """(suffix of its name, place) of each plane of an image; one alone has no suffix."""
    lengths = _lengths(group)
    if (count := int(np.prod([*lengths.values()], dtype=object))) > MOST_PLANES:
        raise ValueError(f"{_where(group)}: expected at most {MOST_PLANES} planes, got {count}")
    for number, place in enumerate(np.ndindex(*lengths.values())):
        yield f"_{number:05d}" if lengths else "", dict(zip(lengths, place, strict=True))


def _lengths(group: Any) -> dict[str, int]:
    """Along t and z, where there is more than one plane."""
    return {axis: n for axis, n in _sizes(group).items() if axis in ("t", "z") and n > 1}


def _sizes(group: Any) -> dict[str, int]:
    """Axis -> its length in the first level; y and x are the last two."""
    where, multiscale = _where(group), _multiscale(group)
    axes = _axes(multiscale)
    try:
        shape = tuple(group[multiscale["datasets"][0]["path"]].shape)
    except Exception as error:  # zarr raises what it likes on damaged files
        raise ValueError(f"{where}: cannot be read ({error})") from None
    if len(shape) != len(axes) or axes[-2:] != ["y", "x"]:
        raise ValueError(f"{where}: axes: expected ... y, x for {len(shape)} axes, got {axes}")
    for axis, size in zip(axes[:-2], shape[:-2], strict=True):
        if size != 1 and axis not in ("c", "t", "z"):
            raise ValueError(f"{where}: axes: expected one {axis}, got {size}")
    return dict(zip(axes, shape, strict=True))


def _level(group: Any, place: Place) -> npt.NDArray[Any]:
    """A plane of the first level as (c, y, x) or (y, x)."""
    index = tuple(slice(None) if a in ("c", "y", "x") else place.get(a, 0) for a in _sizes(group))
    try:
        data = np.asarray(group[_multiscale(group)["datasets"][0]["path"]][index])
    except Exception as error:  # zarr raises what it likes on damaged files
        raise ValueError(f"{_where(group)}: cannot be read ({error})") from None
    return data[0] if data.ndim == 3 and data.shape[0] == 1 else data


def _mpp(multiscale: dict[str, Any]) -> float | None:
    """µm/px of the first level; None where no unit of length is named or pixels are not square."""
    axes = multiscale["axes"]
    units = [
        _MICROMETRES.get(a.get("unit", "")) if isinstance(a, dict) else None for a in axes[-2:]
    ]
    if None in units:
        return None
    scale = np.array([1.0, 1.0])
    for holder in (multiscale["datasets"][0], multiscale):
        for transformation in holder.get("coordinateTransformations", ()):
            if transformation.get("type") == "scale":
                scale = scale * np.asarray(transformation["scale"][-2:], float)
    y, x = scale * np.array(units, float)
    return float(y) if np.isclose(y, x, rtol=0.01) and y > 0 else None


def _label_names(group: Any) -> list[str]:
    if "labels" not in group:
        return []
    return [str(name) for name in _attributes(group["labels"]).get("labels", ())]


def _kinds(label: Any) -> dict[int, str]:
    """Value -> class, where ``image-label`` tells."""
    found = _attributes(label).get("image-label", {}).get("properties") or ()
    return {
        int(entry["label-value"]): str(entry["class"])
        for entry in found
        if isinstance(entry, dict) and "class" in entry and "label-value" in entry
    }
