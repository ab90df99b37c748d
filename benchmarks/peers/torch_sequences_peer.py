# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch along time: cuDNN-style modules, packed sequences, its fused attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from _sequence_nets import VOCABULARY, SequenceNet
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {
    "eager": Variant(),
    "compiled step": Variant({"compile": True}),
    "eager, one thread": Variant(threads=1),
}


def versions() -> dict[str, str]:
    import torch

    return {"torch": torch.__version__}


class Peer:
    """The usual training loop: tensors preloaded, fused optimizer."""

    def __init__(
        self,
        net: SequenceNet,
        X: NDArray[Any],
        y: NDArray[Any],
        options: dict[str, Any],
    ) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(options["threads"])
        self._torch, self._net = torch, net
        whole = net.family == "transformer"
        self._X = torch.from_numpy(X.astype(np.int64) if whole else X)
        self._y = torch.from_numpy(y.astype(np.int64))
        self._lengths = torch.from_numpy(net.lengths())
        self._model = _transformer(net) if whole else _recurrent(net)
        self._optimizer = torch.optim.Adam(self._model.parameters(), 1e-3, fused=True)
        step = self._eager_step
        compiled = options.get("compile", False)
        self._step = torch.compile(step, dynamic=False) if compiled else step

    def _eager_step(self, X: Any, y: Any, lengths: Any) -> Any:
        self._optimizer.zero_grad(set_to_none=True)
        scores = self._model(X, lengths)
        classes = scores.shape[-1]
        loss = self._torch.nn.functional.cross_entropy(
            scores.reshape(-1, classes), y.reshape(-1)
        )
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def train(self, epochs: int) -> float:
        torch, net = self._torch, self._net
        if net.task == "generate":
            with torch.inference_mode():
                for _ in range(epochs):
                    self._model.write(net.steps)
            return 0.0
        total = torch.zeros(())
        for _ in range(epochs):
            total = torch.zeros(())
            for index in torch.randperm(net.rows).split(net.batch_size):
                lengths = self._lengths[index] if net.shortest else None
                batch = self._X[index], self._y[index], lengths
                total += self._step(*batch) * len(index)
        return float(total) / net.rows


def _drawn(scores: Any) -> Any:
    import torch

    return torch.multinomial(torch.softmax(scores, -1), 1)


def _recurrent(net: SequenceNet) -> Any:
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kind = {"lstm": nn.LSTM, "gru": nn.GRU}[net.family]
            self.layer = kind(net.features, net.units, batch_first=True)
            writes = net.task == "generate"
            self.table = nn.Embedding(VOCABULARY, net.features)
            self.last = nn.Linear(net.units, VOCABULARY if writes else net.classes)

        def forward(self, x: Any, lengths: Any) -> Any:
            if lengths is not None:
                pack = nn.utils.rnn.pack_padded_sequence
                x = pack(x, lengths, batch_first=True, enforce_sorted=False)
            _, state = self.layer(x)
            hidden = state[0] if net.family == "lstm" else state
            return self.last(hidden[-1])

        def write(self, steps: int) -> None:
            code, state = torch.zeros(1, 1, dtype=torch.int64), None
            for _ in range(steps):
                seen, state = self.layer(self.table(code), state)
                code = _drawn(self.last(seen[:, -1]))

    return Recurrent()


def _transformer(net: SequenceNet) -> Any:
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = net.units
            self.before, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
            self.of_inputs = nn.Linear(width, 3 * width)
            self.outwards = nn.Linear(width, width)
            self.wide = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any, kept: list[Any] | None = None) -> Any:
            rows, time, width = x.shape
            parts = self.of_inputs(self.before(x)).split(width, dim=2)
            q, k, v = (p.view(rows, time, net.heads, -1).transpose(1, 2) for p in parts)
            if kept is not None:  # keys and values of the steps before
                k, v = (
                    torch.cat([*old, new], 2)
                    for old, new in zip(kept, (k, v), strict=True)
                )
                kept[:] = [[k], [v]]
            attend = nn.functional.scaled_dot_product_attention
            seen = attend(q, k, v, is_causal=kept is None)
            x = x + self.outwards(seen.transpose(1, 2).reshape(rows, time, width))
            return x + self.wide(self.behind(x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(VOCABULARY, net.units)
            self.places = nn.Embedding(128, net.units)
            self.blocks = nn.ModuleList(Block() for _ in range(net.blocks))
            self.norm = nn.LayerNorm(net.units)
            self.last = nn.Linear(net.units, VOCABULARY)

        def forward(self, x: Any, lengths: Any) -> Any:
            h = self.table(x) + self.places.weight[: x.shape[1]]
            for block in self.blocks:
                h = block(h)
            return self.last(self.norm(h))

        def write(self, steps: int) -> None:
            code = torch.zeros(1, 1, dtype=torch.int64)
            kept: list[list[Any]] = [[[], []] for _ in self.blocks]
            for step in range(steps):
                h = self.table(code) + self.places.weight[step]
                for block, own in zip(self.blocks, kept, strict=True):
                    h = block(h, own)
                code = _drawn(self.last(self.norm(h[:, -1])))

    return Transformer()
