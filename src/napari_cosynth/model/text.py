"""Text encoders: the protocol, and the compact encoder that is trained with the U-Net."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_cosynth.geometry.prompt import build_prompt


class TextEncoder(Protocol):
    """Prompts -> token embeddings. Every implementation is also an ``nn.Module``."""

    width: int
    """D, the width of a token."""

    def __call__(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings float (B, L, D) and mask bool (B, L), True at tokens."""
        ...

    def unknown(self, prompt: str) -> list[str]:
        """Words of a prompt that are not in the encoder's vocabulary."""
        ...


def words(prompt: str) -> list[str]:
    """Lower-case words of a prompt, without punctuation; ``H&E`` and hyphenated words stay whole."""
    return re.findall(r"[a-z0-9]+(?:[-&][a-z0-9]+)*", prompt.lower())


def vocabulary(
    classes: Iterable[str], tissues: Iterable[str], stains: Iterable[str] = ()
) -> tuple[str, ...]:
    """The words of all prompts that these names can make, sorted: the vocabulary of a new encoder."""
    names = list(classes)
    prompts = [build_prompt(names[:2], t) for t in tissues]
    prompts += [build_prompt([name]) for name in names] + [build_prompt([]), build_prompt(names)]
    prompts += [build_prompt(names, stain=s) for s in stains]
    return tuple(sorted({w for p in prompts for w in words(p)}))


class CompactTextEncoder(nn.Module):
    """A small transformer over whole words, for prompts made of a data set's own terms."""

    PAD, UNKNOWN = 0, 1

    def __init__(
        self,
        vocabulary: Sequence[str],
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        length: int = 48,
    ) -> None:
        super().__init__()
        self.width = width
        self.length = length
        self.vocabulary = tuple(vocabulary)
        self._ids = {word: i + 2 for i, word in enumerate(self.vocabulary)}
        self.tokens = nn.Embedding(len(self.vocabulary) + 2, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def unknown(self, prompt: str) -> list[str]:
        """Words of a prompt that are not in the vocabulary, each once."""
        return [w for w in dict.fromkeys(words(prompt)) if w not in self._ids]

    def forward(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings float (B, L, D) and mask bool (B, L); L is the longest prompt's number of words."""
        ids = [[self._ids.get(w, self.UNKNOWN) for w in words(p)][: self.length] for p in prompts]
        longest = max(1, *(len(row) for row in ids))
        padded = torch.tensor(
            [row + [self.PAD] * (longest - len(row)) for row in ids],
            device=self.tokens.weight.device,
        )
        mask = padded != self.PAD
        # Attention needs one key even in a prompt without words; the returned mask hides it.
        keys = mask.clone()
        keys[:, 0] = True
        x = self.tokens(padded) + self.positions[:longest]
        x = self.layers(x, src_key_padding_mask=~keys)
        return self.norm(x), mask
