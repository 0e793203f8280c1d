"""A large data set needs no more memory than a shard of it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

from napari_cosynth.io.settings import plain

MEASURE = """
import json, resource, sys
from pathlib import Path
from napari_cosynth.generate.plan import load_plan
from napari_cosynth.generate.run import generate
import dataclasses

plan, out, data = load_plan(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
peaks = []
for samples in (10, 30):
    generate(dataclasses.replace(plan, samples=samples), out / str(samples), data, quiet=True)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(json.dumps(peaks))
"""


def test_memory_does_not_grow_with_the_number_of_samples(plan, data, tmp_path):
    """Thirty samples of 768 KiB, 23 MiB, pass through memory in shards of ten.

    10,000 of them: benchmarks/many_samples.py 10000.
    """
    plan = dataclasses.replace(plan, shape=(256, 256), steps=1, shard_size=10, per_layout=1)
    (tmp_path / "plan.json").write_text(json.dumps(plain(plan)))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "plan.json"), str(tmp_path / "out"), str(data)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    few, many = json.loads(done.stdout)
    assert many - few < 10 * 2**20
    assert many < 3 * 2**30
