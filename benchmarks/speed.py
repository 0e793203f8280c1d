"""Time of a pass, of whole samples, and peak memory of the bundled model at 256x256.

    python benchmarks/speed.py [--threads 2] [--repeats 5]

Medians over --repeats after one warm-up; bf16 only means something on CPUs with AMX and on GPUs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import torch

from napari_cosynth.diffusion.sampler import SdeDpmSolver, SeededNoise, initial_state, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Denoiser
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.model.encoding import encode_condition, encode_points
from napari_cosynth.model.precision import InBfloat16, choose_device, faster_in_bf16
from napari_cosynth.synthesis.preparation import open_checkpoint


def median_time(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return round(statistics.median(seconds[1:]), 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    bundled = bundled_layouts()["gland"]
    checkpoint = open_checkpoint("default", device)
    network, schedule = checkpoint.model.network, JointSchedule()
    points = encode_points([bundled.layout]).to(device)
    prompt = prompt_for(bundled.layout, bundled.tissue)
    result: dict[str, object] = {
        "device": str(device),
        "threads": options.threads,
        "bf16 is faster here": faster_in_bf16(device),
    }

    def measure(denoiser: Denoiser) -> dict[str, float]:
        with torch.inference_mode():
            condition = encode_condition(points, [prompt], checkpoint.model.text)
            context = denoiser.prepare(condition)
            state = initial_state(SeededNoise([0], device), 256, 256, network.classes)
            t = torch.tensor([0.5])

            def one_pass() -> None:
                denoiser(state, t, context).image.sum().item()

            figures = {"one pass, s": median_time(one_pass, options.repeats)}
        for steps in (10, 20):

            def run(steps: int = steps) -> None:
                noise = SeededNoise([0], device)
                sampler = SdeDpmSolver(schedule)
                for _ in sample(denoiser, context, sampler, schedule, noise, (256, 256), steps):
                    pass

            figures[f"fast {steps}, s"] = median_time(run, options.repeats)
        return figures

    result["fp32"] = measure(network)
    if faster_in_bf16(device):
        result["bf16"] = measure(InBfloat16(network, device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result["peak memory, GiB"] = round(peak, 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
