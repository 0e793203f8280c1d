"""Wrong values are answered before anything heavy is imported, with the words of the code that uses
them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_cosynth.cli import _not_installed, main

HEAVY = ("torch", "scipy", "skimage", "lightning", "transformers", "napari", "tifffile", "pydantic")
PROGRAM = f"""
import sys
from napari_cosynth.cli import main
for line in sys.stdin.read().splitlines():
    print("code", main(line.split("|")), file=sys.stderr)
    print("heavy", *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)
"""
OUT = "--out|new"
CASES = {
    f"demo|--sampler|magic|{OUT}": "sampler: expected one of ancestral, fast, few, flow, got 'magic'",
    f"demo|--device|tpu|{OUT}": "device: expected auto, cpu, cuda or mps, got 'tpu'",
    f"demo|--device|cuda:x|{OUT}": "device: expected",
    f"demo|--look|none.png|{OUT}": "look: none.png: no such file; expected an image",
    f"demo|--steps|-3|{OUT}": "steps: expected 0 (the usual) or more, got -3",
    f"demo|--guidance|nan|{OUT}": "guidance: expected a number in 0..20, got nan",
    f"demo|--seed|-1|{OUT}": "seed: expected 0..2^63-1, got -1",
    f"demo|--look-mpp|0|{OUT}": "--look-mpp: expected above 0, got 0",
    f"demo|--checkpoint|defualt|{OUT}": "defualt: no checkpoint folder there (did you mean",
    f"synthesize|none.csv|--shape|9|9|{OUT}": "none.csv: no such file",
    f"synthesize|{__file__}|--shape|9|9|--count|0|{OUT}": "--count: expected at least 1, got 0",
    f"synthesize|{__file__}|--shape|9|9|--match-method|x|{OUT}": "normaliser: expected one of",
    f"inpaint|none.tif|none.csv|--region|0|0|9|9|{OUT}": "none.tif: no such file",
    f"layout|detect|none.tif|{OUT}": "none.tif: no such file",
    f"layout|fit|none|{OUT}": "none: expected a stack folder, a recipe, or KIND:FOLDER with a kind",
    f"layout|sample|none|--shape|9|9|{OUT}": "none: no such layout model",
    f"generate|none.toml|{OUT}": "none.toml: no such file",
    "replay|none": "none: no such file or folder",
    f"train|none|--data|.|{OUT}": "none: no such recipe",
    f"train|default|--data|.|--init|none|{OUT}": "none: no checkpoint folder there",
    f"train-segmenter|default|--data|.|--steps|0|{OUT}": "--steps: expected at least 1, got 0",
    "export-checkpoint|none|new": "none: no such file or folder",
    f"pack|none|--data|.|{OUT}": "none: no such recipe",
    f"evaluate|none|--against|default|{OUT}": "none: no such file or folder",
    f"evaluate|.|--against|none|{OUT}": "--against: none: expected a stack folder",
    f"evaluate|.|--against|consep:none|{OUT}": "none: no such folder",
    f"evaluate|.|--against|default|--inception|none.pth|{OUT}": "none.pth: no such file",
    f"evaluate|.|--against|default|--pairs|1|{OUT}": "--pairs: expected at least 2, got 1",
    "compare|none.json|none.json": "none.json: no such file",
    "score|none|none.csv": "none: no such file or folder",
    f"separation|none|{OUT}": "none: expected a stack folder, or KIND:FOLDER with a kind of",
    "convert|none|new|--to|coco": "none: no such file or folder",
    "split|none|new": "none: no such file or folder",
    "check|none": "none: no such file or folder",
    "info|defualt": "defualt: no checkpoint folder there (did you mean 'default'?)",
    f"evaluate|.|--against|default|--sets|consp|{OUT}": "--sets: expected one of consep, monuseg, tnbc",
    f"train-segmenter|default|--data|.|--sets|x|{OUT}": "--sets: expected one of consep, monuseg",
    "split|.|new|--parts|train:0.8": "--parts: expected NAME=SHARE, got 'train:0.8'",
    "convert|.|new|--to|coco|--classes|a:b": "--classes: expected OLD=NEW, got 'a:b'",
    "layout|convert|none.geojson|new.csv": "none.geojson: no such file",
    "layout|convert|consep:none|new": "consep:none: no such folder",
    f"downstream|default|--data|.|{OUT}": "default: no such recipe; bundled: downstream-consep",
}
"""Arguments -> what is said of them."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, str]:
    """All in one process, which has imported no more at the end than the command line itself."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(CASES),
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("empty"),
        check=True,
    )
    lines = run.stderr.splitlines()
    assert len(lines) == 3 * len(CASES), run.stderr
    return {case: "\n".join(lines[3 * i : 3 * i + 3]) for i, case in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_nothing_heavy(answers, case):
    line, code, heavy = answers[case].split("\n")
    assert CASES[case] in line
    assert code == "code 2"
    assert heavy == "heavy"


def test_a_compression_is_one_of_four(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["convert", ".", "new", "--to", "stack", "--compression", "zip"])
    assert (
        "--compression: expected one of zlib, lzw, zstd, none, got 'zip'" in capsys.readouterr().err
    )


def test_a_preset_is_one_of_two(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train-segmenter", "default", "--preset", "tiny", "--out", "new"])
    assert "--preset: expected one of compact, full, got 'tiny'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command,line",
    [
        ("train|few|--data|.|--out|new", 'needs lightning: pip install "napari-cosynth[train]"'),
        ("pack|few|--data|.|--out|new", "consep/train/Images: no such folder"),  # needs none of it
    ],
)
def test_a_library_that_is_an_extra_is_named(command, line, tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('lightning', 'torchmetrics')))\n"
        f"from napari_cosynth.cli import main; sys.exit(main({command.split('|')!r}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 2
    assert line in run.stderr
    assert "Traceback" not in run.stderr


def test_a_module_of_ours_that_is_missing_is_a_fault_of_ours():
    with pytest.raises(ModuleNotFoundError):
        _not_installed(ModuleNotFoundError(name="napari_cosynth.gone"))
