"""Images per second of a training step, and the share of what its layers could reach here.

    python benchmarks/training_throughput.py [--crop 96] [--batch 4] [--threads 1] [--device cpu]

Measures this machine's matrix rate and memory bandwidth first. The roofline of a layer is, for its
forward pass, its input's gradient and its weights' gradient, the longer of arithmetic at that rate
and traffic (inputs, outputs and weights once) at that bandwidth; norms and activations are traffic
alone. A direct convolution is assumed: an algorithm with less arithmetic can beat it. The table
shows each kind of layer alone; the rest of a step is optimiser, average, attention and data.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.joint import Noise, stratified_times
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.tensors import JointState
from napari_cosynth.model.checkpoint import build, read_config
from napari_cosynth.model.encoding import encode_condition


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Median wall time of a call after one that does not count."""
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


@dataclass
class Machine:
    device: torch.device
    dtype: torch.dtype
    flops: float
    bandwidth: float

    @classmethod
    def measured(cls, device: torch.device, dtype: torch.dtype) -> Machine:
        n = 8192 if device.type == "cuda" else 1536
        a = torch.randn(n, n, device=device, dtype=dtype)
        rate = 2 * n**3 / seconds(lambda: a @ a, device)
        x = torch.randn(2**26, device=device)
        y = torch.empty_like(x)
        return cls(device, dtype, rate, 8 * x.numel() / seconds(lambda: y.copy_(x), device))

    def bound(self, flops: float, numbers: float) -> float:
        size = torch.finfo(self.dtype).bits // 8
        return max(flops / self.flops, size * numbers / self.bandwidth)


def traced(model: nn.Module, step: Callable[[], object]) -> dict[tuple[str, ...], list]:
    """The convolutions and norms a step runs, by kind and shapes: [module, input shape, count]."""
    found: dict[tuple[str, ...], list] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shape = tuple(inputs[0].shape)
        if isinstance(module, nn.Conv2d):
            size, stride = module.kernel_size[0], module.stride[0]
            what = f"{size}x{size}" + ("/2" if stride == 2 else "")
            key = (f"conv {what}", f"{shape[1]}->{output.shape[1]}", f"{shape[2]}x{shape[3]}")
        else:
            key = ("norm + SiLU", f"{shape[1]}", f"{shape[2]}x{shape[3]}")
        found.setdefault(key, [module, shape, 0])[2] += 1

    hooks = [
        m.register_forward_hook(note)
        for m in model.modules()
        if isinstance(m, (nn.Conv2d, nn.GroupNorm))
    ]
    step()
    for hook in hooks:
        hook.remove()
    return found


def layer(module: nn.Module, shape: tuple[int, ...], machine: Machine) -> tuple[float, ...]:
    """GFLOP, roofline seconds, measured seconds forward, and backward."""
    x = torch.randn(shape, device=machine.device).to(memory_format=torch.channels_last)
    x.requires_grad_()

    def forward() -> Tensor:
        with torch.autocast(machine.device.type, machine.dtype, machine.dtype != torch.float32):
            y: Tensor = module(x)
            return F.silu(y) if isinstance(module, nn.GroupNorm) else y

    y = forward()
    g = torch.randn_like(y)
    ahead = seconds(forward, machine.device)
    both = seconds(lambda: torch.autograd.grad(forward(), [x, *module.parameters()], g), x.device)
    if isinstance(module, nn.Conv2d):
        flops = 2.0 * y.numel() * module.weight[0].numel()
        bound = 3 * machine.bound(flops, x.numel() + y.numel() + module.weight.numel())
    else:
        flops, bound = 0.0, machine.bound(0, 5 * x.numel())
    return 3 * flops / 1e9, bound, ahead, both - ahead


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    machine = Machine.measured(device, torch.bfloat16 if options.bf16 else torch.float32)
    print(
        f"{device}, {options.threads} threads, {machine.dtype}: "
        f"{machine.flops / 1e9:.0f} GFLOP/s, {machine.bandwidth / 1e9:.1f} GB/s"
    )
    model = build(read_config("default")).to(device)
    model.network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    size, batch, classes = options.crop, options.batch, model.network.classes
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (batch, size, size), generator=generator)
    clean = JointState(
        torch.randn(batch, 3, size, size), torch.randn(batch, 1, size, size), labels
    ).to(device)
    points = torch.where(torch.rand(batch, size, size) < 0.003, labels, 0).to(device)
    noise = Noise.draw(batch, size, size, generator).to(device)
    t = stratified_times(batch, generator)
    schedule = JointSchedule()
    prompts = ["high-quality histopathology colon tissue image"] * batch

    def step() -> None:
        with torch.autocast(device.type, machine.dtype, machine.dtype != torch.float32):
            state = joint.corrupt(clean, noise, t, schedule, classes)
            condition = encode_condition(points, prompts, model.text)
            raw = model.network(state, t, model.network.prepare(condition))
            losses = joint.losses(raw, clean, state, noise, t, schedule)
        optimizer.zero_grad()
        losses.total(joint.LossWeights()).backward()
        optimizer.step()

    rows = []
    for key, (module, shape, count) in traced(model, step).items():
        rows.append((key, count, *(count * v for v in layer(module, shape, machine))))
    rows.sort(key=lambda row: -(row[4] + row[5]))
    print(
        f"{'layer':34} {'n':>2} {'GFLOP':>7} {'roof ms':>8} {'fwd ms':>8} {'bwd ms':>8} {'share':>6}"
    )
    for key, count, work, bound, ahead, back in rows:
        print(
            f"{' '.join(key):34} {count:2d} {work:7.2f} {1e3 * bound:8.1f} {1e3 * ahead:8.1f} "
            f"{1e3 * back:8.1f} {bound / (ahead + back):6.0%}"
        )
    totals = np.array([row[2:] for row in rows]).sum(0)
    whole = seconds(step, device)
    print(
        f"layers: {totals[0]:.1f} GFLOP, roofline {totals[1]:.3f} s, alone {totals[2]:.3f} s forward "
        f"and {totals[3]:.3f} s backward\n"
        f"step: {whole:.3f} s, {batch / whole:.2f} images/s, {totals[1] / whole:.0%} of the roofline"
    )


if __name__ == "__main__":
    main()
