"""Reader of PyTorch files, ``.pth`` and run states: it reads tensors and unpickles no objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from napari_cosynth.io.errors import one_line


def read_torch(path: Path, what: str, mmap: bool = False) -> Any:
    """The contents of a file that ``torch.save`` wrote, on the CPU; nothing in the file is executed.

    ``what`` names the expected contents for the error; ``mmap`` leaves tensors on the disk until they
    are used. Raises ValueError in one line naming the file and its fault; torch's own advice to unpickle
    the file is left out.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected {what}")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except MemoryError as error:
        raise ValueError(f"{path}: {one_line(error)}") from None
    except PermissionError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except Exception as error:  # on damaged files torch raises exceptions of any type
        raise ValueError(f"{path}: not {what} ({_reason(path, str(error))})") from None
    if isinstance(content, torch.jit.ScriptModule):  # which torch before 2.6 loads all the same
        raise ValueError(f"{path}: not {what} ({_reason(path, 'TorchScript')})")
    return content


def _reason(path: Path, message: str) -> str:
    if found := re.search(r"GLOBAL ([\w.]+)", message):
        return (
            f"it holds {found[1]}, which would have to be executed: a file of tensors alone is needed, "
            "such as torch.save(model.state_dict(), ...) writes"
        )
    if "TorchScript" in message:
        return "it is a TorchScript program: a file of its tensors alone is needed"
    with path.open("rb") as file:
        head = file.read(9)
    if not head:
        return "it is empty"
    if head[8:9] == b"{":
        return "it is a safetensors file: its name has to end in .safetensors"
    return "damaged, or no file that torch.save wrote"
