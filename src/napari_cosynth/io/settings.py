"""Tables from TOML or JSON -> dataclasses; unknown keys and wrong types are one-line errors."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from napari_cosynth.io.errors import nearest, one_line
from napari_cosynth.io.text import encoding_of

T = TypeVar("T")

FORBID_UNKNOWN = ConfigDict(extra="forbid")
"""Set as ``__pydantic_config__`` on every dataclass that is read from a file."""


def read_table(path: Path) -> Any:
    """The content of a TOML file, or of a JSON file if its name ends in ``.json``.

    Raises ValueError naming the file.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    form = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding=encoding_of(path))
        return json.loads(text) if form == "JSON" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as {form} ({error})") from None


def parse(kind: type[T], table: Any, where: str) -> T:
    """``table`` as a ``kind``. Raises ValueError ``"WHERE: FIELD: what is wrong"``."""
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = one_line(ValueError(".".join(str(part) for part in first["loc"])))
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "unexpected_keyword_argument":
            *way, key = first["loc"]
            reason = f"unknown key{nearest(str(key), _keys(kind, way))}"
        told = f"{field}: " if first["loc"] else ""
        raise ValueError(f"{where}: {told}{one_line(ValueError(reason))}") from None


def _keys(kind: Any, way: Sequence[str | int]) -> list[str]:
    """The keys of the dataclass at a path of keys through a table; empty if there is no dataclass."""
    for part in way:
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            kind = get_type_hints(kind).get(str(part))
        else:  # the element type of a tuple or list, the value type of a dictionary
            parts = get_args(kind) or (None,)
            kind = parts[-1 if get_origin(kind) is dict else 0]
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def toml_text(table: dict[str, Any]) -> str:
    """A plain table as TOML, its values before its tables. What is None is left out."""
    return "\n".join(_toml_lines(table, "")).strip() + "\n"


def _toml_lines(table: dict[str, Any], way: str) -> Iterator[str]:
    given = {key: value for key, value in table.items() if value is not None}
    inner = {key: value for key, value in given.items() if _is_table(value) or _are_tables(value)}
    yield from (f"{_key(k)} = {_toml(v)}" for k, v in given.items() if k not in inner)
    for key, value in inner.items():
        name = f"{way}.{_key(key)}" if way else _key(key)
        if _is_table(value):
            yield from ("", f"[{name}]", *_toml_lines(value, name))
        else:
            for one in value:
                yield from ("", f"[[{name}]]", *_toml_lines(one, name))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _are_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_table, value))


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    # JSON's strings are TOML's, but for one character that TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def plain(value: Any) -> Any:
    """A dataclass as nested dicts and lists, ready for JSON; other values as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
