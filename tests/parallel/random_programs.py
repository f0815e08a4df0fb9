"""Random networks with Batch Normalization inside, over random splits of the rows, against one process with all rows.

``make ranks N=200`` runs more of them: ``tinygrad-bn run -n 3 tests/parallel/random_programs.py N [SEED]``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import tinygrad_bn as tg
from tinygrad_bn import nn, ops, parallel
from tinygrad_bn.engine.sweep import gradients

BENDS = (ops.tanh, ops.sigmoid, ops.softplus, ops.sin, ops.silu)


class Network(nn.Module):
    """Layers drawn from a seed; rows meet in its norms alone."""

    def __init__(self, rng: np.random.Generator, norm: type[nn.Module], width: int) -> None:
        super().__init__()
        self.plan: list[Any] = []
        self.norms = nn.ModuleList()
        self.weights = nn.ModuleDict()
        for i in range(int(rng.integers(2, 8))):
            kind = rng.choice(["norm", "norm", "norm of a map", "linear", "bend", "gate", "skip"])
            if kind == "norm":
                self.norms.append(norm(width, dtype=np.float64, affine=bool(rng.integers(2))))
                self.plan.append(("norm", len(self.norms) - 1))
            elif kind == "norm of a map":
                self.norms.append(norm(2, dtype=np.float64))
                self.plan.append(("map", len(self.norms) - 1))
            elif kind == "linear":
                layer = self.weights[f"w{i}"] = nn.Linear(width, width, dtype=np.float64)
                layer.weight.data = rng.normal(size=(width, width)) / np.sqrt(width)
                layer.bias.data = rng.normal(size=width)
                self.plan.append(("linear", f"w{i}"))
            else:
                self.plan.append((kind, int(rng.integers(len(BENDS)))))
        self.norms.append(norm(width, dtype=np.float64))
        self.plan.append(("norm", len(self.norms) - 1))

    def forward(self, x: Any) -> Any:
        first = x
        for kind, which in self.plan:
            if kind == "norm":
                x = self.norms[which](x)
            elif kind == "map":
                x = ops.reshape(self.norms[which](ops.reshape(x, (x.shape[0], 2, x.shape[1] // 2))), x.shape)
            elif kind == "linear":
                x = self.weights[which](x)
            elif kind == "skip":
                x = x + 0.5 * first
            elif kind == "gate":
                x = x * BENDS[which](first)
            else:
                x = BENDS[which](x)
        return x


def compute(seed: int, norm: type[nn.Module], own: slice | None) -> dict[str, np.ndarray]:
    """Result, gradients, Hessian-vector product and running statistics, of these rows or of all."""
    rng = np.random.default_rng(seed)
    rows, width = int(rng.integers(4, 12)), 2 * int(rng.integers(1, 4))
    x, dy, v = rng.normal(size=(3, rows, width)) * 2 + 0.5
    network = Network(rng, norm, width)
    take = slice(None) if own is None else own
    given = tg.Tensor(x[take], requires_grad=True)
    y = network(given)
    parameters = list(network.parameters())
    names = [name for name, _ in network.named_parameters()]
    objective = ops.sum(ops.sin(y) * dy[take])
    given_grad, *grads = gradients([objective], [given, *parameters], create_graph=True)
    (second,) = gradients([ops.sum(given_grad * v[take])], [given])
    found = {"y": y.numpy(), "dx": given_grad.numpy(), "Hv": second.numpy()}
    found |= {f"gradient of {name}": g.numpy() for name, g in zip(names, grads) if g is not None}
    return found | {name: b.numpy() for name, b in network.named_buffers() if "running" in name}


def split(seed: int) -> slice:
    """This rank's rows."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(4, 12))
    cuts = np.sort(np.random.default_rng([seed, 1]).integers(0, rows + 1, parallel.size() - 1))
    edges = [0, *cuts.tolist(), rows]
    return slice(edges[parallel.rank()], edges[parallel.rank() + 1])


def difference(seed: int) -> float:
    """The largest difference between the ranks together and one process, relative to the largest number there."""
    own = split(seed)
    whole, part = compute(seed, nn.BatchNorm1d, None), compute(seed, nn.SyncBatchNorm, own)
    worst = 0.0
    for name, expected in whole.items():
        got = part[name]
        if name.startswith("gradient of"):
            got = parallel.all_reduce(got)
        elif name in ("y", "dx", "Hv"):
            expected = expected[own]
        scale = max(1.0, float(np.abs(whole[name]).max()))
        worst = max(worst, float(np.abs(got - expected).max(initial=0.0)) / scale)
    return float(parallel.all_reduce(worst, "max"))


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = {seed: difference(seed) for seed in range(start, start + number)}
    worst = max(found, key=lambda seed: found[seed])
    if parallel.rank() == 0:
        print(f"{number} programs on {parallel.size()} ranks: largest difference {found[worst]:.1e} (seed {worst})")
    if not found[worst] <= 1e-9:
        sys.exit(f"a program disagrees: seed {worst}")


if __name__ == "__main__":
    main()
