"""Frozen text encoders of the CLIP architecture, through transformers; PLIP is ``vinid/plip``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


class ClipTextEncoder(nn.Module):
    """A frozen CLIP text model by hub id or local folder (Huang et al. 2023 for PLIP).

    Its weights are not stored in our checkpoints. ``local_only`` forbids downloads. Raises ValueError
    where the model cannot be loaded, or where its tokenizer does not fit it.
    """

    pretrained = True

    def __init__(
        self, name: str = "vinid/plip", local_only: bool = True, revision: str = "main"
    ) -> None:
        super().__init__()
        from transformers import CLIPTextModel, CLIPTokenizer

        options: dict[str, Any] = {"local_files_only": local_only, "revision": revision}
        try:
            # The caller may build on the device "meta"; these weights need real memory.
            with _offline() if local_only else nullcontext(), torch.device("cpu"):
                model = CLIPTextModel.from_pretrained(name, use_safetensors=True, **options)
                tokenizer = CLIPTokenizer.from_pretrained(name, **options)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"text encoder {name!r} cannot be loaded: {reason}") from None
        if len(tokenizer) != model.config.vocab_size:
            raise ValueError(
                f"text encoder {name!r}: its tokenizer knows {len(tokenizer)} tokens, the model "
                f"{model.config.vocab_size}: vocabulary files are missing"
            )
        self.name = name
        self.width = int(model.config.hidden_size)
        self.length = int(model.config.max_position_embeddings)
        self.tokenizer = tokenizer
        self.model = model.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> ClipTextEncoder:
        """Stays in evaluation mode: the encoder is frozen."""
        return super().train(False)

    def unknown(self, prompt: str) -> list[str]:
        """Always empty: byte-pair encoding can spell every word."""
        return []

    def forward(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings float (B, L, D) and mask bool (B, L), True at tokens.

        The empty prompt is the null text: its mask is all False.
        """
        device = next(self.model.parameters()).device
        batch = self.tokenizer(
            list(prompts),
            padding=True,
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        ).to(device)
        with torch.no_grad():
            hidden: Tensor = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].bool()
        written = torch.tensor([bool(p.strip()) for p in prompts], device=device)
        return hidden, mask & written[:, None]


@contextmanager
def _offline() -> Iterator[None]:
    """Without a request to the hub, which asks it what to call its client even for local files alone."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
