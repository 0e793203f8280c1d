"""Adversarial post-training: a denoiser becomes a sampler of a few passes (method, section 8).

Each step has three parts:

- the usual losses on some rows, so that the network stays a denoiser;
- a roll-out of the other rows from noise through some of the nodes; its last clean estimate is judged by
  the discriminator, and compared with the look, the spectrum and the class areas of the real patch, and
  with a teacher's estimate where the recipe names one;
- a step of the discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.sampler import FewSampler, NoiseSource, SeededNoise
from napari_cosynth.diffusion.tensors import Clean, Context, JointState
from napari_cosynth.model.checkpoint import Model
from napari_cosynth.model.efficientnet import EfficientNetLite0
from napari_cosynth.model.encoding import encode_condition
from napari_cosynth.model.looks import LookScale
from napari_cosynth.training.adversarial.discriminator import (
    Discriminator,
    Judged,
    hinge_of_discriminator,
)
from napari_cosynth.training.adversarial.losses import (
    area_error,
    look_error,
    power_error,
    separation_error,
)
from napari_cosynth.training.adversarial.teacher import Teacher, distillation_error
from napari_cosynth.training.config import Recipe
from napari_cosynth.training.data import Batch, seed_of
from napari_cosynth.training.module import JointDiffusion

_SMOOTHING = 0.95
"""Decay of the moving averages of the two gradient norms that balance the adversarial term."""


@dataclass(frozen=True)
class _RollOut:
    """What a roll-out came to: its last state, the time of that state and the clean estimate of it."""

    state: JointState
    time: float
    clean: Clean
    judged: Judged


class AdversarialDiffusion(JointDiffusion):
    """A :class:`JointDiffusion` with a discriminator; both are part of the state."""

    norms: Tensor

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        features: EfficientNetLite0,
        scale: LookScale | None,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__(model, recipe, scale)
        assert recipe.adversarial is not None
        self.settings = recipe.adversarial
        self.discriminator = Discriminator(
            self.settings.discriminator, model.network.classes, features
        )
        self.teacher = teacher
        # Smoothed gradient norms of the denoising losses and of the adversarial term.
        self.register_buffer("norms", torch.zeros(2))
        self.automatic_optimization = False

    def training_step(self, batch: Batch, index: int) -> None:  # type: ignore[override]
        step, settings = self.global_step, self.settings
        generator, discriminator = self._optimizers()
        cut = len(batch.prompts) - settings.rows
        rows, rolled = batch.rows(slice(0, cut)), batch.rows(slice(cut, None))

        draw = torch.Generator().manual_seed(seed_of(self.recipe.seed, step, 1))
        told, _ = self._asked(rows, draw)
        losses = self.losses(self.model, rows, self.recipe.loss, told)
        usual = losses.total(self.recipe.loss)
        asked, named = self._asked(rolled, draw)
        run = self._roll_out(rolled, asked, draw)
        made = run.judged
        leaves = Judged(*(v.detach().requires_grad_() for v in _parts(made)))
        features = self.discriminator.features(leaves.image)
        scores = self.discriminator(leaves, features)
        weights = self.discriminator.weights
        fooled = -sum((w * s.mean() for w, s in zip(weights, scores, strict=True)), torch.zeros(()))
        slopes = torch.autograd.grad(fooled, _parts(leaves))
        # A term with the same gradient at the estimate, but none for the discriminator's own weights.
        pull = sum(
            ((slope * part).sum() for slope, part in zip(slopes, _parts(made), strict=True)),
            torch.zeros(()),
        )
        balance = self._balance(usual, pull, step)
        area = area_error(made.labels, rolled.clean.labels)
        look = look_error(made.image[named], rolled.clean.image[named], self.scale)
        power = power_error(made.image[named], rolled.clean.image[named])
        separation = separation_error(
            made.image[named],
            made.labels[named],
            rolled.clean.image[named],
            rolled.clean.labels[named],
        )
        held = settings.area * area + settings.look * look + settings.power * power
        held = held + settings.separation * separation
        taught = torch.zeros((), device=area.device)
        if self.teacher is not None:
            theirs = self.teacher.estimate(run.state, run.time, rolled, asked)
            taught = distillation_error(run.clean, theirs)
            held = held + settings.distillation * taught
        total = usual + balance * pull + held
        self._latest = batch, total.detach()

        generator.zero_grad()
        self.manual_backward(total)
        self.clip(self.model)
        generator.step()

        # This is torch's own optimiser: Lightning's would count its steps as steps of the run.
        judged = self._judge(rolled, leaves.detached(), features)
        discriminator.zero_grad()
        self.manual_backward(judged)
        self._latest = batch, judged.detach()
        self.clip(self.discriminator)
        discriminator.step()
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()

        self._log_losses("train", losses, rows)
        figures = {
            "loss": total,
            "generator": fooled,
            "discriminator": judged,
            "adversarial_weight": balance,
            "area": area,
            "look": look,
            "power": power,
            "separation": separation,
        }
        if self.teacher is not None:
            figures["distillation"] = taught
        shown = {key: value.detach() for key, value in figures.items()}
        self.log_dict(shown, on_step=True, on_epoch=False, batch_size=len(batch.prompts))

    def _optimizers(self) -> tuple[Any, torch.optim.Optimizer]:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers[0], self.trainer.optimizers[1]

    def _asked(self, batch: Batch, draw: torch.Generator) -> tuple[Tensor | None, Tensor]:
        """The look that each row is to have, and whether it is to have one, bool (B,)."""
        looks = self.looks(batch)
        named = torch.rand(len(batch.prompts), generator=draw) >= self.settings.look_dropout
        if looks is not None:
            named = named.to(looks.device)
            looks = looks * named[:, None]
        return looks, named

    def _roll_out(self, batch: Batch, asked: Tensor | None, draw: torch.Generator) -> _RollOut:
        """The clean estimate after some passes from noise; only the last pass has a gradient."""
        times = self._draw_times(draw)
        network = self.model.network
        condition = encode_condition(batch.points, batch.prompts, self.model.text, asked)
        context = network.prepare(condition)
        labels = (batch.noise.labels * network.classes).long().clamp_max(network.classes - 1)
        state = JointState(batch.noise.image, batch.noise.distance, labels)
        sampler = FewSampler(self.schedule, times)
        seeds = [int(s) for s in torch.randint(2**62, (len(labels),), generator=draw)]
        noise = SeededNoise(seeds, state.image.device)
        for t, s in pairwise(times):
            with torch.no_grad():
                state = self._pass_on(state, t, s, context, sampler, noise)
        clean = joint.estimate_at(network, state, times[-1], context, self.schedule)
        probabilities = clean.probabilities
        chosen = F.one_hot(probabilities.argmax(1), network.classes).movedim(-1, 1)
        # Straight-through: the sampled label is judged, and its probabilities get the gradient.
        hard = chosen + probabilities - probabilities.detach()
        return _RollOut(state, times[-1], clean, Judged(clean.image, clean.distance, hard))

    def _draw_times(self, draw: torch.Generator) -> list[float]:
        """Times of a roll-out's passes: the nodes up to a random one, jittered, some of them skipped."""
        settings = self.settings
        last = int(torch.randint(len(settings.nodes), (1,), generator=draw))
        offsets = (2 * torch.rand(len(settings.nodes), generator=draw) - 1) * settings.jitter
        kept = torch.rand(len(settings.nodes), generator=draw) >= settings.skip
        return [
            time + (float(offsets[i]) if i else 0.0)
            for i, time in enumerate(settings.nodes[: last + 1])
            if i in (0, last) or kept[i]
        ]

    def _pass_on(
        self,
        state: JointState,
        t: float,
        s: float,
        context: Context,
        sampler: FewSampler,
        noise: NoiseSource,
    ) -> JointState:
        network = self.model.network
        clean = joint.estimate_at(network, state, t, context, self.schedule)
        now, then = (torch.tensor(v, dtype=torch.float64) for v in (t, s))
        head = network.config.label_head
        return sampler.step(state, clean, head, now, then, noise)

    def _balance(self, usual: Tensor, pull: Tensor, step: int) -> Tensor:
        """The adversarial term's factor: ``weight`` times the quotient of the two gradients' norms.

        It is 0 for the first ``silent`` steps and grows over the next ``ramp``.
        """
        layer = self.model.network.head.weight
        found = [
            torch.autograd.grad(loss, layer, retain_graph=True)[0].float().norm()
            for loss in (usual, pull)
        ]
        latest = torch.stack(found).detach()
        self.norms.copy_(
            latest if not self.norms.any() else self.norms.lerp(latest, 1 - _SMOOTHING)
        )
        settings = self.settings
        risen = min(1.0, max(0.0, (step - settings.silent) / max(1, settings.ramp)))
        return settings.weight * risen * self.norms[0] / self.norms[1].clamp_min(1e-12)

    def _judge(self, batch: Batch, fake: Judged, features: list[Tensor]) -> Tensor:
        """The discriminator's loss on a batch's real patches and on the estimates for their layouts."""
        clean = batch.clean
        labels = F.one_hot(clean.labels, self.model.network.classes).movedim(-1, 1).float()
        real = Judged(clean.image, clean.distance, labels)
        with torch.no_grad():
            theirs = self.discriminator.features(real.image)
        ours = [f.detach() for f in features]
        return hinge_of_discriminator(
            self.discriminator(real, theirs), self.discriminator(fake, ours)
        )

    def configure_optimizers(self) -> Any:
        """AdamW for the network, with another rate for the look's layer; Adam for the discriminator."""
        settings, adversarial = self.recipe.optimizer, self.settings
        look = self.model.network.look
        own = list(look.parameters()) if look is not None else []
        held = {id(p) for p in own}
        rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in held]
        groups: list[dict[str, Any]] = [{"params": rest}]
        if own:
            groups.append({"params": own, "lr": adversarial.look_rate * settings.lr})
        generator = torch.optim.AdamW(
            groups, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay
        )
        judge = adversarial.discriminator
        discriminator = torch.optim.Adam(
            self.discriminator.parameters(), lr=judge.lr, betas=judge.betas
        )
        total = self.recipe.total_steps
        schedules = [
            torch.optim.lr_scheduler.LambdaLR(o, lambda step: settings.rate(step, total))
            for o in (generator, discriminator)
        ]
        return [generator, discriminator], schedules


def _parts(judged: Judged) -> list[Tensor]:
    return [judged.image, judged.distance, judged.labels]
