"""Time of a pass, of whole samples, and peak memory of the bundled model at 256x256.

    python benchmarks/speed.py [--threads 2] [--repeats 5]

Medians over --repeats after one warm-up; bf16 only means something where the processor multiplies in it.
Beside them, in the same run, stand one pass of the paper's network and of a known one of about this size:
diffusers' UNet2DConditionModel of width 64 (64, 128, 256 and 512 channels) on images of three channels,
with attention at its two coarsest levels; at all levels, its default, a pass takes minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel

from napari_cosynth.diffusion.sampler import SeededNoise, initial_state, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import Condition, Context, Denoiser
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import bundled_layouts
from napari_cosynth.model.encoding import encode_condition, encode_points
from napari_cosynth.model.precision import InBfloat16, choose_device, faster_in_bf16
from napari_cosynth.model.samplers import sampler_of
from napari_cosynth.model.unet import JointUNet, preset
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
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": options.threads,
        "bf16 is faster here": faster_in_bf16(device),
    }
    half = faster_in_bf16(device)

    def one_pass(denoiser: Denoiser, context: Context, classes: int, repeats: int) -> float:
        state = initial_state(SeededNoise([0], device), 256, 256, classes)
        t = torch.tensor([0.5])
        return median_time(lambda: denoiser(state, t, context).image.sum().item(), repeats)

    def measure(denoiser: Denoiser) -> dict[str, float]:
        condition = encode_condition(points, [prompt], checkpoint.model.text)
        context = denoiser.prepare(condition)
        figures = {"one pass, s": one_pass(denoiser, context, network.classes, options.repeats)}
        for name, steps in (("few", 1), ("few", 4), ("fast", 20)):

            def run(name: str = name, steps: int = steps) -> None:
                noise = SeededNoise([0], device)
                sampler = sampler_of(checkpoint.config, name)(schedule)
                for _ in sample(denoiser, context, sampler, schedule, noise, (256, 256), steps):
                    pass

            figures[f"{name} {steps}, s"] = median_time(run, options.repeats)
        return figures

    def measure_paper() -> float:
        theirs = JointUNet(preset("paper", classes=network.classes)).to(device).eval()
        words = torch.zeros(1, 77, theirs.config.text_width, device=device)
        condition = Condition(points, words, words.new_ones(1, 77, dtype=torch.bool))
        return one_pass(theirs, theirs.prepare(condition), network.classes, 1)

    def measure_diffusers() -> dict[str, float]:
        theirs = UNet2DConditionModel(
            sample_size=256,
            in_channels=3,
            out_channels=3,
            block_out_channels=(64, 128, 256, 512),
            down_block_types=(*2 * ("DownBlock2D",), *2 * ("CrossAttnDownBlock2D",)),
            up_block_types=(*2 * ("CrossAttnUpBlock2D",), *2 * ("UpBlock2D",)),
        )
        theirs = theirs.to(device).eval()
        image = torch.randn(1, 3, 256, 256, device=device)
        words = torch.randn(1, 77, theirs.config.cross_attention_dim, device=device)

        def run() -> None:
            theirs(image, 500, words).sample.sum().item()

        figures = {"fp32": median_time(run, options.repeats)}
        if half:
            with torch.autocast(device.type, torch.bfloat16):
                figures["bf16"] = median_time(run, options.repeats)
        return figures

    with torch.inference_mode():
        result["fp32"] = measure(network)
        if half:
            result["bf16"] = measure(InBfloat16(network, device))
        result["diffusers' UNet2DConditionModel, width 64, one pass, s"] = measure_diffusers()
        result["the paper's network, one pass in fp32, s"] = measure_paper()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result["peak memory, GiB"] = round(peak, 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
