"""What is not the same on all ranks of a parallel run, and what becomes of it in a checkpoint.

Parameters, the optimizer and the loader are the same everywhere.  Two things need not be: buffers, such as the running
statistics of a Batch Normalization that is not synchronized, and the generator, since each rank draws its own numbers.
Where they are the same, or nothing was drawn, a checkpoint serves any number of ranks; otherwise it holds those of each
rank, and serves as many ranks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from ..errors import CollectiveError, explain
from ..nn import Module
from ..parallel import rank, size, world
from ..random import generator
from .checkpoint import CheckpointError


class Ranks:
    """What of a model and the generator is this rank's own.

    Args:
        model: the model that is trained.
    """

    def __init__(self, model: Module) -> None:
        self.model = model
        self._own_stream()

    def _own_stream(self) -> None:
        """Numbers far away from those of other ranks, so that dropout drops something else on each."""
        bits = generator().bit_generator
        if rank():
            bits.state = bits.jumped(rank()).state  # type: ignore[attr-defined]  # every generator of default_rng has it
        self._start: Any = bits.state

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold besides rank 0's state; asked for on all ranks at once.

        Raises:
            CollectiveError: the parameters are no longer the same.
        """
        bits = generator().bit_generator
        digests = world().objects({name: _digest(leaf) for name, leaf in self._arrays().items()}, "a checkpoint")
        differing = {name for name in digests[0] if any(d.get(name) != digests[0][name] for d in digests)}
        parameters = differing.intersection(name for name, _ in self.model.named_parameters())
        if parameters:
            fix = "change parameters in the same way on every rank; parallel.broadcast_parameters makes them the same"
            got = ", ".join(sorted(parameters))
            raise CollectiveError(explain("ranks have other parameters than rank 0", got=got, fix=fix))
        buffers = {name: self._arrays()[name].tolist() for name in sorted(differing)}
        mine = {"buffers": buffers, "rng": None if bits.state == self._start else bits.state}
        all_of_them = world().objects(mine, "a checkpoint's own parts")
        if not any(own["buffers"] or own["rng"] is not None for own in all_of_them):
            return {"size": size(), "own": None}
        for own, state in zip(all_of_them, world().objects(bits.state, "states of generators")):
            own["rng"] = state
        return {"size": size(), "own": all_of_them}

    def prepare(self, path: Any, extra: Any) -> Callable[[], None]:
        """Check what a checkpoint holds of this; the result takes it over, after the checkpoint has been loaded.

        Raises:
            CheckpointError: it cannot be continued on this number of ranks.
        """
        kept = extra.get("ranks") if isinstance(extra, dict) else None
        if kept is None or kept["own"] is None:
            return self._own_stream
        if kept["size"] != size():
            names = list(kept["own"][0]["buffers"])
            why = f"each has its own {', '.join(names)}" if names else "each has drawn random numbers of its own"
            got = f"{kept['size']} ranks, of which {why}; now {size()}"
            fix = f"continue on {kept['size']} ranks"
            if names:
                fix += "; for another time, nn.SyncBatchNorm has the same statistics on all"
            raise CheckpointError(explain(f"{path} cannot be continued on another number of ranks", got=got, fix=fix))
        own = kept["own"][rank()]

        def take_over() -> None:
            buffers = dict(self.model.named_buffers())
            for name, numbers in own["buffers"].items():
                buffers[name].data = np.array(numbers, buffers[name].dtype)
            generator().bit_generator.state = own["rng"]
            self._start = None  # drawn already

        return take_over

    def together(self) -> None:
        """After the run all ranks draw the same numbers again, those of rank 0."""
        if size() > 1:
            bits = generator().bit_generator
            bits.state = world().objects(bits.state, "the end of a run")[0]

    def _arrays(self) -> dict[str, Any]:
        return {name: leaf.data for name, leaf in (*self.model.named_parameters(), *self.model.named_buffers())}


def _digest(array: Any) -> str:
    return blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()
