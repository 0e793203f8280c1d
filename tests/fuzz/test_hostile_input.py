"""Two hundred hostile inputs of most readers, always the same ones; ``fuzz/`` runs more."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
if sys.platform != "linux":
    pytest.skip("memory is bounded as Linux does it", allow_module_level=True)

import harness

SCRIPTS = sorted(p.stem for p in Path(harness.__file__).parent.glob("fuzz_*.py"))
READERS = [r for name in SCRIPTS for r in importlib.import_module(name).READERS]
EXAMPLES = 200
SLOW = {
    "export, omezarr": 40,
    "checkpoints, safetensors": 40,
    "export, packed": 60,
    "slides: OME-Zarr": 60,
    "command line": 100,
    "slides: DICOM": 100,
    "MoNuSeg and ASAP, XML": 150,
}
NEEDS = {"slides: DICOM": "pydicom", "slides: vendors, by OpenSlide": "openslide"}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_each_input_is_read_or_refused_in_a_line(reader: harness.Reader) -> None:
    if reader.name in NEEDS:
        pytest.importorskip(NEEDS[reader.name])
    count = SLOW.get(reader.name, EXAMPLES)
    seen = harness.run(reader, count)
    assert seen.examples >= count
    assert 0 < sum(seen.refused.values()) < seen.examples or seen.read == 0


@pytest.mark.parametrize(
    "fault",
    ["write", "run", "class", "lines", "unnamed", "long", "late", "memory", "unpickle", "connect"],
)
def test_what_no_reader_may_do_is_seen(fault: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(harness, "SECONDS", 0.2)
    (tmp_path / "a").write_text("x")

    def read(folder: Path) -> None:
        import pickle
        import socket

        if fault == "write":
            (folder / "b").write_text("x")
        elif fault == "run":
            subprocess.run([sys.executable, "-c", ""], check=True)
        elif fault == "class":
            raise IndexError("x")
        elif fault == "lines":
            raise ValueError(f"{folder}: a\nb")
        elif fault == "unnamed":
            raise ValueError("bad")
        elif fault == "long":
            raise ValueError(f"{folder}: " + "x" * 2000)
        elif fault == "late":
            while True:
                pass
        elif fault == "memory":
            bytearray(2**31)
        elif fault == "unpickle":
            pickle.loads(pickle.dumps(os.getcwd))
        else:
            socket.socket().connect_ex(("127.0.0.1", 9))

    with pytest.raises(harness.Broken):
        harness.check(harness.Reader("x", lambda *_: None, read), tmp_path, harness.Seen())


def test_a_reader_that_refuses_in_a_line_is_counted(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise ValueError(f"{folder / 'a'}: line 3: expected a number")

    seen = harness.Seen()
    harness.check(harness.Reader("x", lambda *_: None, refuse), tmp_path, seen)
    assert (seen.examples, seen.read, dict(seen.refused)) == (1, 0, {"ValueError": 1})
