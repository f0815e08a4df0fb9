"""Checks that run on several ranks at once: ``tinygrad-bn run -n N on_ranks.py RESULTS FOLDER``.

Each function ``check_...`` runs on all ranks; what went wrong, by check and rank, goes into the file RESULTS as JSON.
Whatever is expected of a Batch Normalization comes from plain NumPy (``bn_oracle``).
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bn_oracle
import numpy as np
import random_programs

import tinygrad_bn as tg
from tinygrad_bn import data, functional, nn, ops, optim, parallel, program, train
from tinygrad_bn.compiler.c.build import available
from tinygrad_bn.engine.sweep import gradients
from tinygrad_bn.errors import ArgumentError, CollectiveError, DTypeError, ShapeError
from tinygrad_bn.parallel import world

RANK, SIZE = parallel.rank(), parallel.size()
FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()

ROWS = {1: [[3]], 2: [[3, 5], [1, 1], [0, 3], [1, 40]], 3: [[2, 0, 4]], 4: [[3, 5, 7, 9], [1, 0, 0, 1]]}
EPS = 1e-5


def own(sizes: list[int]) -> slice:
    first = sum(sizes[:RANK])
    return slice(first, first + sizes[RANK])


def close(got: Any, expected: Any, tolerance: float, what: str) -> None:
    got = got.numpy() if isinstance(got, tg.Variable) else np.asarray(got)
    assert got.shape == np.shape(expected), f"{what}: shape {got.shape}, expected {np.shape(expected)}"
    error = float(np.abs(got - expected).max(initial=0.0)) / max(1.0, float(np.abs(expected).max(initial=0.0)))
    assert error <= tolerance, f"{what}: off by {error:.1e}"


@contextmanager
def refused(kind: type[Exception], *parts: str) -> Any:
    """As pytest.raises, which takes long to import in every process."""
    said = None
    try:
        yield
    except kind as error:
        said = str(error)
    assert said is not None, f"no {kind.__name__}"
    assert all(part in said for part in parts), said


@contextmanager
def meetings() -> Any:
    """What the ranks meet for inside."""
    said: list[str] = []
    here, before = world(), world().meet
    here.meet = lambda what: (said.append(what), before(what))[1]  # type: ignore[method-assign]
    try:
        yield said
    finally:
        del here.meet


# -- Batch Normalization over all rows ----------------------------------------------------------------------------------


def hessian_vector(x: np.ndarray, gamma: np.ndarray, dy: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The derivative of dx along v, by the complex step in the oracle's closed form."""
    return np.imag(bn_oracle.backward(x + 1j * bn_oracle.STEP * v, gamma, dy, EPS)[0]) / bn_oracle.STEP


def check_one_big_batch() -> None:
    for sizes in ROWS[SIZE]:
        for inner in ((), (2,), (3, 2), (2, 1, 2)):
            for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
                _one_big_batch(sizes, inner, dtype, tolerance)


def _one_big_batch(sizes: list[int], inner: tuple[int, ...], dtype: Any, tolerance: float) -> None:
    n, c, take = sum(sizes), 3, own(sizes)
    rng = np.random.default_rng([n, len(inner)])
    x, dy, v = (rng.normal(size=(3, n, c, *inner)) * 2 + 5).astype(dtype)
    gamma, beta = rng.uniform(0.5, 2, c).astype(dtype), rng.normal(size=c).astype(dtype)
    exact = [array.astype(np.float64) for array in (x, gamma, dy, v)]

    layer = nn.SyncBatchNorm(c, eps=EPS, dtype=dtype)
    layer.weight.data, layer.bias.data = gamma, beta
    given = tg.Tensor(x[take], requires_grad=True)
    y = layer(given)
    dx, dgamma, dbeta = gradients([y], [given, layer.weight, layer.bias], [dy[take]], create_graph=True)
    (second,) = gradients([ops.sum(dx * v[take])], [given])

    label = f"rows {sizes}, inner {inner}, {np.dtype(dtype)}"
    shape = (1, c) + (1,) * len(inner)
    x_hat, root = bn_oracle.statistics(exact[0], EPS)
    expected = x_hat * exact[1].reshape(shape) + beta.astype(float).reshape(shape)
    want_dx, want_dgamma, want_dbeta = bn_oracle.backward(exact[0], exact[1], exact[2], EPS)
    close(y, expected[take], tolerance, f"{label}: y")
    close(dx, want_dx[take], tolerance, f"{label}: dx")
    close(parallel.all_reduce(dgamma), want_dgamma, tolerance, f"{label}: dgamma")
    close(parallel.all_reduce(dbeta), want_dbeta, tolerance, f"{label}: dbeta")
    close(second, hessian_vector(*exact)[take], tolerance, f"{label}: Hessian-vector product")

    m = n * int(np.prod(inner))
    mean, variance = exact[0].mean(bn_oracle.axes_of(x)), root.reshape(-1) ** 2 - EPS
    close(layer.running_mean, 0.1 * mean, tolerance, f"{label}: running mean")
    close(layer.running_var, 0.9 + 0.1 * variance * m / (m - 1), tolerance, f"{label}: running variance")
    assert y.dtype == dx.dtype == second.dtype == dtype


def check_a_wrong_mean_shows() -> None:
    """The check above can fail: a norm of its own rows is another one."""
    if SIZE == 1:
        return
    sizes = [3] * SIZE
    before = nn.SyncBatchNorm._mean
    nn.SyncBatchNorm._mean = lambda self, shape: (ops.mean, float(sum(sizes)))
    try:
        with refused(AssertionError, "y: off by"):
            _one_big_batch(sizes, (), np.float64, 1e-12)
    finally:
        nn.SyncBatchNorm._mean = before


def check_plain_average_of_batches() -> None:
    """momentum=None, two batches of other rows."""
    layer = nn.SyncBatchNorm(2, momentum=None, dtype=np.float64)
    batches = np.random.default_rng(1).normal(size=(2, 3 * SIZE, 2))
    for batch in batches:
        layer(batch[own([3] * SIZE)])
    close(layer.running_mean, batches.mean(1).mean(0), 1e-12, "mean")
    close(layer.running_var, batches.var(1, ddof=1).mean(0), 1e-12, "variance")
    assert layer.num_batches_tracked.item() == 2


def check_evaluation_exchanges_nothing() -> None:
    layer = nn.SyncBatchNorm(2, dtype=np.float64)
    x = np.random.default_rng(2).normal(size=(4, 2))
    layer(x)
    layer.eval()
    with meetings() as said:
        y = layer(x)
    mean, variance = layer.running_mean.numpy(), layer.running_var.numpy()
    close(y, (x - mean) / np.sqrt(variance + EPS), 1e-12, "y")
    assert said == []
    with meetings() as said:  # without running statistics evaluation uses those of the batch, of all ranks
        y = nn.SyncBatchNorm(2, track_running_stats=False, dtype=np.float64).eval()(x + RANK)
    everything = np.concatenate([x + rank for rank in range(SIZE)])
    close(y, (x + RANK - everything.mean(0)) / np.sqrt(everything.var(0) + EPS), 1e-12, "y without statistics")
    assert SIZE == 1 or len(said) == 3


def check_what_is_frozen() -> None:
    x = np.random.default_rng(3 + RANK).normal(size=(3, 2))
    layer = nn.SyncBatchNorm(2, dtype=np.float64)
    layer.weight.requires_grad = False
    ops.sum(layer(x) * x).backward()
    assert layer.weight.grad is None
    close(layer.bias.grad, x.sum(0), 1e-12, "dbeta")
    plain = nn.SyncBatchNorm(2, affine=False, dtype=np.float64)
    close(plain(tg.Tensor(x)).numpy().sum(0), -np.sum([other.sum(0) for other in _others(plain(x))], 0), 1e-12, "sum")


def _others(value: np.ndarray) -> list[np.ndarray]:
    return [part for rank, part in enumerate(world().objects(value, "parts")) if rank != RANK] or [np.zeros((1, 2))]


def check_one_value_per_channel_is_refused() -> None:
    sizes = [0] * (SIZE - 1) + [1]
    with refused(ShapeError, "at least two values per channel"):
        nn.SyncBatchNorm(2)(np.zeros((sizes[RANK], 2), np.float32))


def check_random_programs() -> None:
    for seed in range(6):
        worst = random_programs.difference(seed)
        assert worst < 1e-9, f"seed {seed}: {worst:.1e}"


# -- steps --------------------------------------------------------------------------------------------------------------


def network(norm: type[nn.Module]) -> nn.Module:
    tg.manual_seed(5)
    return nn.Sequential(
        nn.Linear(4, 6, dtype=np.float64), norm(6, dtype=np.float64), nn.Tanh(), nn.Linear(6, 3, dtype=np.float64)
    )


def weights(model: nn.Module) -> np.ndarray:
    return np.concatenate([p.numpy().ravel() for p in model.parameters()])


def check_twenty_steps() -> None:
    sizes = [3 * rank + 1 for rank in range(SIZE)]
    rng = np.random.default_rng(7)
    x, labels = rng.normal(size=(sum(sizes), 4)) * 2, rng.integers(0, 3, sum(sizes))
    take = own(sizes)

    def trained(norm: type[nn.Module], together: bool) -> nn.Module:
        model = network(norm)
        optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
        for _ in range(20):
            optimizer.zero_grad()
            if together:
                loss = functional.cross_entropy(model(x[take]), labels[take])
                parallel.backward(loss, model.parameters(), rows=len(x[take]))
            else:
                functional.cross_entropy(model(x), labels).backward()
            optimizer.step()
        return model

    if SIZE == 1:
        return
    whole, parts = trained(nn.BatchNorm1d, False), trained(nn.SyncBatchNorm, True)
    close(weights(parts), weights(whole), 1e-12, "weights")
    close(parts[1].running_var, whole[1].running_var.numpy(), 1e-12, "running variance")
    everyone = world().objects(weights(parts).tobytes(), "weights")
    assert len(set(everyone)) == 1, "the ranks' weights are not the same bits"
    sizes[:] = [2] * (SIZE - 1) + [sum(sizes) - 2 * (SIZE - 1)]  # local statistics need two rows
    take = own(sizes)
    assert np.abs(weights(trained(nn.BatchNorm1d, True)) - weights(whole)).max() > 1e-3


def check_backward() -> None:
    """Weighted by rows, added to what is there; what no rank uses stays None, what one uses does not."""
    w, u, f, unused = (tg.Parameter(np.ones(2)) for _ in range(4))
    f.requires_grad = False
    rows = RANK  # rank 0 has none
    x = np.full((rows, 2), float(RANK))
    loss = ops.sum(w * x) / max(rows, 1) + ops.sum(w * 0.0 * f)
    if RANK == SIZE - 1:
        loss = loss + ops.sum(u)
    if SIZE == 1:
        with refused(ArgumentError, "no rows on any rank"):
            parallel.backward(loss, [w], rows=0)
        return
    w.grad = tg.Tensor(np.ones(2))
    parallel.backward(loss, iter([w, u, f, unused]), rows=rows)
    total = sum(range(SIZE))
    close(w.grad, np.full(2, 1 + sum(r * r for r in range(SIZE)) / total), 1e-12, "w")
    close(u.grad, np.full(2, (SIZE - 1) / total), 1e-12, "u")
    assert unused.grad is None
    assert f.grad is None
    with refused(ArgumentError, "rows"):
        parallel.backward(loss, [w], rows=-1)
    with refused(DTypeError, "Scalar"):
        parallel.backward(loss, [tg.Scalar(1.0)], rows=1)


def check_memory_order_of_gradients() -> None:
    layer = nn.Linear(3, 2)
    parallel.backward(ops.mean(layer(np.full((2, 3), RANK + 1.0, np.float32)) ** 2), layer.parameters(), rows=2)
    assert layer.weight.data.flags.f_contiguous
    assert layer.weight.grad.data.flags.f_contiguous
    everyone = np.stack(world().objects(layer.weight.grad.numpy(), "a gradient"))
    assert (everyone == everyone[0]).all()


def check_broadcast_of_parameters() -> None:
    tg.manual_seed(RANK)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model[1].running_mean.data = np.full(3, RANK, np.float32)
    parallel.broadcast_parameters(model)
    tg.manual_seed(0)
    assert (model[0].weight.numpy() == nn.Linear(2, 3).weight.numpy()).all()
    assert (model[1].running_mean.numpy() == 0).all()


# -- the exchanges ------------------------------------------------------------------------------------------------------


def everyone(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of all ranks, the rank first."""
    return np.random.default_rng(11).normal(size=(SIZE, *shape))


def check_values() -> None:
    x = everyone((2, 3))
    close(parallel.all_reduce(x[RANK]), x.sum(0), 1e-14, "sum")
    close(parallel.all_reduce(x[RANK], "mean"), x.mean(0), 1e-14, "mean")
    assert (parallel.all_reduce(tg.Tensor(x[RANK]), "max").numpy() == x.max(0)).all()
    assert (parallel.broadcast(x[RANK], root=SIZE - 1) == x[-1]).all()
    rows = [np.full((rank, 2), rank) for rank in range(1, SIZE + 1)]
    gathered = parallel.all_gather(rows[RANK])
    assert (gathered == np.concatenate(rows)).all()
    assert parallel.all_reduce(2.5) == 2.5 * SIZE
    assert type(parallel.all_reduce(2.5)) is float
    assert parallel.all_reduce(np.array(3)).shape == ()
    assert parallel.all_reduce(np.arange(3)).dtype == np.arange(3).dtype
    half = parallel.all_reduce(np.ones(2, np.float16))
    assert half.dtype == np.float16
    assert (half == SIZE).all()
    assert parallel.all_reduce(np.zeros((0, 2))).shape == (0, 2)
    assert parallel.all_gather(np.zeros((0, 2), np.float32)).shape == (0, 2)
    before = np.ones(2)
    assert parallel.all_reduce(before) is not before
    scalar = tg.Scalar(2.0)
    out = parallel.all_reduce(scalar)
    out.backward()
    assert (out.item(), scalar.grad.item()) == (2.0 * SIZE, float(SIZE))


def check_refusals() -> None:
    with refused(ArgumentError, "'sum', 'mean' or 'max'"):
        parallel.all_reduce(np.ones(2), "median")
    with refused(ArgumentError, f"0 to {SIZE - 1}"):
        parallel.broadcast(np.ones(2), root=SIZE)
    with refused(DTypeError, "dtype bool"):
        parallel.all_reduce(np.ones(2, bool))
    with refused(DTypeError, "mask"):
        parallel.all_reduce(np.ma.masked_array([1.0], [True]))
    with refused(ShapeError, "no rows"):
        parallel.all_gather(np.array(1.0))


def check_derivatives() -> None:
    """First and second order, against central differences of the sum of what all ranks compute."""
    cases: dict[str, Callable[[Any], Any]] = {
        "sum": lambda x: parallel.all_reduce(ops.sin(x)) * ops.cos(x),
        "mean": lambda x: parallel.all_reduce(x * x, "mean") * x,
        "max": lambda x: ops.exp(parallel.all_reduce(ops.sin(x), "max")) * x,
        "broadcast": lambda x: parallel.broadcast(ops.sin(x), root=SIZE - 1) * ops.cos(x),
        "all_gather": lambda x: ops.sin(parallel.all_gather(x * x))[: SIZE + 1] * ops.sum(x),
    }
    x, v = everyone((2, 2)), np.random.default_rng(12).normal(size=(SIZE, 2, 2))
    for name, function in cases.items():
        weight = np.random.default_rng([13, RANK]).normal(size=np.shape(function(x[RANK])))

        def objective(value: np.ndarray, function: Any = function, weight: Any = weight) -> float:
            return float(parallel.all_reduce(float((function(value) * weight).sum())))

        def gradient(value: np.ndarray, function: Any = function, weight: Any = weight) -> np.ndarray:
            given = tg.Tensor(value, requires_grad=True)
            return gradients([ops.sum(function(given) * weight)], [given])[0].numpy()

        numeric = np.zeros((SIZE, 2, 2))
        for index in np.ndindex(numeric.shape):
            step = np.zeros_like(x)
            step[index] = 1e-6
            numeric[index] = (objective((x + step)[RANK]) - objective((x - step)[RANK])) / 2e-6
        close(gradient(x[RANK]), numeric[RANK], 1e-8, f"{name}: gradient")
        along = (gradient((x + 1e-6 * v)[RANK]) - gradient((x - 1e-6 * v)[RANK])) / 2e-6
        given = tg.Tensor(x[RANK], requires_grad=True)
        (first,) = gradients([ops.sum(function(given) * weight)], [given], create_graph=True)
        (second,) = gradients([ops.sum(first * v[RANK])], [given])
        close(second, along, 1e-7, f"{name}: Hessian-vector product")


def check_gradients_of_unequal_numbers_of_rows() -> None:
    x = tg.Tensor(np.ones((RANK + 1, 2)), requires_grad=True)
    first, rows = RANK * (RANK + 1) // 2, SIZE * (SIZE + 1) // 2
    weight = np.arange(2.0 * rows).reshape(rows, 2)
    ops.sum(parallel.all_gather(x) * weight).backward()
    close(x.grad, SIZE * weight[first : first + RANK + 1], 1e-14, "gradient")


def check_ties_share_the_gradient() -> None:
    x = tg.Tensor([1.0, float(RANK)], requires_grad=True)
    ops.sum(parallel.all_reduce(x, "max")).backward()
    expected = [1.0, SIZE * (RANK == SIZE - 1)]
    close(x.grad, expected, 1e-14, "gradient")


def check_other_exchanges_are_named() -> None:
    if SIZE == 1:
        return
    first = RANK == 0
    with refused(CollectiveError, "rank 0: all_reduce of float64 (2,)", "broadcast", "on_ranks.py:"):
        parallel.all_reduce(np.ones(2)) if first else parallel.broadcast(np.ones(2))
    with refused(CollectiveError, "(3,)", "(2,)"):
        parallel.all_reduce(np.ones(3 if first else 2))
    with refused(CollectiveError, "float32", "float64"):
        parallel.all_reduce(np.ones(2, np.float32 if first else np.float64))
    # One rank asks for no gradient, so it has no exchange in the backward pass.
    layer = nn.SyncBatchNorm(2, dtype=np.float64)
    x = tg.Tensor(np.random.default_rng(RANK).normal(size=(3, 2)), requires_grad=not first)
    y = ops.sum(ops.sin(layer(x)))
    with refused(CollectiveError, "backward of SyncBatchNorm/variance", "rows of parallel.backward"):
        parallel.backward(y, layer.parameters(), rows=3) if first else y.backward()
    # Two layers whose exchanges look alike: their names tell them apart.
    model = nn.Sequential(nn.SyncBatchNorm(2), nn.SyncBatchNorm(2))
    with refused(CollectiveError, "all_reduce, 0/count,", "all_reduce, 1/count,"):
        model[0 if first else 1](np.ones((2, 2), np.float32))
    assert parallel.all_reduce(1.0) == SIZE  # and all can go on


# -- recordings ---------------------------------------------------------------------------------------------------------


def stepping(model: nn.Module, optimizer: optim.Optimizer) -> Callable[[Any, Any], Any]:
    """A step on a rank's own rows."""

    def step(x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), target)
        parallel.backward(loss, model.parameters(), rows=x.shape[0])
        optimizer.step()
        return loss

    return step


def check_a_recorded_step() -> None:
    """Forward, backward and update as a program, on batches of another length on each rank."""
    x, labels = np.random.default_rng(20).normal(size=(8 * SIZE, 4)), np.arange(8 * SIZE) % 3
    eager, recorded = network(nn.SyncBatchNorm), network(nn.SyncBatchNorm)

    one, other = (stepping(model, optim.SGD(model.parameters(), lr=0.1)) for model in (eager, recorded))
    with meetings() as said:
        found = program.record(other, x[:4], labels[:4])
    assert said == []
    for sizes in ([4] * SIZE, [3 + 2 * rank for rank in range(SIZE)]):
        take = own(sizes)
        expected, got = one(x[take], labels[take]), found.run(x[take], labels[take])
        close(got, expected.numpy(), 1e-12, "loss")
    close(weights(recorded), weights(eager), 1e-12, "weights")
    close(recorded[1].running_var, eager[1].running_var.numpy(), 1e-12, "running variance")
    simple = program.simplify(found)
    before = weights(recorded)
    close(simple.run(x[take], labels[take]), one(x[take], labels[take]).numpy(), 1e-12, "simplified")
    assert np.abs(weights(recorded) - before).max() > 0
    close(weights(recorded), weights(eager), 1e-12, "weights after the simplified step")


def check_a_compiled_step() -> None:
    """The exchanges stand between the pieces; all ranks record at the same call."""
    x, labels = np.random.default_rng(21).normal(size=(8 * SIZE, 4)), np.arange(8 * SIZE) % 3
    sizes = [3 + 2 * rank for rank in range(SIZE)]
    models = [network(nn.SyncBatchNorm) for _ in range(3)]
    for model, how in zip(models, (None, "numpy", "c")):
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        once = stepping(model, optimizer)
        if how == "c" and not available():
            break
        step = once if how is None else tg.compile(once, backend=how)
        for shift in range(4):
            take = own(sizes)
            step(np.roll(x, shift, axis=0)[take], labels[take])
        close(weights(model), weights(models[0]), 1e-12, f"weights, {how}")
        close(model[1].running_var, models[0][1].running_var.numpy(), 1e-12, f"running variance, {how}")


def check_recorded_exchanges() -> None:
    def function(x: Any) -> Any:
        whole = parallel.all_gather(x)
        return parallel.broadcast(ops.sum(whole, axis=0)) * parallel.all_reduce(x, "max")

    x = everyone((3, 2))
    found = program.record(function, np.ones((2, 2)))
    close(found.run(x[RANK]), function(x[RANK]), 1e-14, "program")
    if SIZE > 1:
        with refused(CollectiveError, "as many rows on every rank"):
            found.run(x[RANK][: 1 + (RANK == 0)])


# -- loader, fit --------------------------------------------------------------------------------------------------------


def check_loader() -> None:
    rows = [(np.array([float(i)]), i) for i in range(11)]
    arrays = data.ArrayDataset(np.arange(11.0).reshape(-1, 1), np.arange(11))
    for dataset in (rows, arrays):
        loader = parallel.DataLoader(dataset, 5, shuffle=True, seed=3)
        whole = list(data.DataLoader(dataset, 5, shuffle=True, seed=3))
        assert len(loader) == len(whole) == 3
        for batch, expected in zip(loader, whole):
            sizes = world().objects(len(batch[1]), "rows")
            assert max(sizes) - min(sizes) <= 1
            assert batch[0].shape[1:] == (1,)
            for part, all_rows in zip(batch, expected):
                assert (parallel.all_gather(part) == all_rows).all()
    tg.manual_seed(RANK)
    seeds = world().objects(parallel.DataLoader(arrays, 5, shuffle=True).seed, "seeds")
    assert len(set(seeds)) == 1
    kept = parallel.DataLoader(rows, 1, collate_fn=lambda found: np.array([number for _, number in found]))
    assert [len(batch) for batch in kept] == [1 if RANK == 0 else 0] * 11
    if SIZE > 1:
        with refused(CollectiveError, "batch_size=5", "batch_size=4"):
            parallel.DataLoader(arrays, 5 if RANK == 0 else 4)


X, LABELS = np.random.default_rng(30).normal(size=(42, 4)), np.random.default_rng(31).integers(0, 3, 42)


def fitted(epochs: int, norm: type[nn.Module] = nn.SyncBatchNorm, drop: float = 0.0, **options: Any) -> Any:
    model = network(norm)
    if drop:
        model = nn.Sequential(*model, nn.Dropout(drop))
    loader = parallel.DataLoader(data.ArrayDataset(X, LABELS), 8, shuffle=True, seed=1)
    run = train.fit(
        model, loader, optim.SGD(model.parameters(), lr=0.2, momentum=0.9), functional.cross_entropy, epochs=epochs,
        validation=parallel.DataLoader(data.ArrayDataset(X[:9], LABELS[:9]), 8), metrics={"accuracy": train.accuracy},
        progress=False, **options,
    )  # fmt: skip
    return model, [{k: v for k, v in record.items() if k != "seconds"} for record in run.history]


def check_fit() -> None:
    """Weights and history as on one process, whose results the run of one rank has left here."""
    model, history = fitted(3, callbacks=[train.BestCheckpoint(FOLDER / f"best-{SIZE}.safetensors")])
    there = FOLDER / "alone.json"
    if SIZE == 1:
        there.write_text(json.dumps([weights(model).tolist(), history]))
        return
    expected, records = json.loads(there.read_text())
    close(weights(model), expected, 1e-10, "weights")
    for record, one in zip(history, records):
        assert record.keys() == one.keys()
        for name, value in one.items():
            close(record[name], value, 1e-10, name)
    assert (FOLDER / f"best-{SIZE}.safetensors").exists()


def check_fit_goes_on() -> None:
    """A checkpoint of another number of ranks, and one of this."""
    straight, _ = fitted(3, clip_norm=1.0)
    for source in sorted({1, SIZE - 1} - {0, SIZE}):
        model, _ = fitted(3, clip_norm=1.0, checkpoint=_copy(f"run-{source}"), resume=True)
        close(weights(model), weights(straight), 1e-10, f"from {source} ranks")
    path, log = FOLDER / f"run-{SIZE}.safetensors", FOLDER / f"run-{SIZE}.jsonl"
    fitted(2, clip_norm=1.0, checkpoint=path, log=log)
    assert RANK > 0 or log.read_text().count("\n") == 2  # rank 0 alone writes


def _copy(name: str) -> Path:
    source, target = FOLDER / f"{name}.safetensors", FOLDER / f"{name}-on-{SIZE}.safetensors"
    if RANK == 0:
        target.write_bytes(source.read_bytes())
    world().meet("a copy")
    return target


def check_what_cannot_go_on() -> None:
    for name, options in (("local", {"norm": nn.BatchNorm1d}), ("drop", {"drop": 0.3})):
        # Every rank needs two rows of its own for a norm of its own; 42 rows in batches of 8 leave 2.
        if name == "local" and SIZE > 1:
            continue
        path = FOLDER / f"{name}-{SIZE}.safetensors"
        straight, _ = fitted(3, **options)
        fitted(2, checkpoint=path, **options)
        model, _ = fitted(3, checkpoint=path, resume=True, **options)
        assert (weights(model) == weights(straight)).all(), f"{name}: on as many ranks it goes on exactly"
    if SIZE > 2:
        with refused(
            train.CheckpointError, "2 ranks, of which each has drawn random numbers of its own", f"now {SIZE}"
        ):
            fitted(3, drop=0.3, checkpoint=_copy("drop-2"), resume=True)


def check_statistics_of_each_rank() -> None:
    """Without SyncBatchNorm each rank's running statistics are kept, and as many ranks go on exactly."""
    x, labels = np.concatenate([X, X])[: 16 * SIZE], np.concatenate([LABELS, LABELS])[: 16 * SIZE]
    path = FOLDER / f"each-{SIZE}.safetensors"

    def run(epochs: int, **options: Any) -> nn.Module:
        model = network(nn.BatchNorm1d)
        loader = parallel.DataLoader(data.ArrayDataset(x, labels), 4 * SIZE)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        train.fit(model, loader, optimizer, functional.cross_entropy, epochs=epochs, progress=False, **options)
        return model

    straight = run(3)
    run(2, checkpoint=path)
    model = run(3, checkpoint=path, resume=True)
    assert (weights(model) == weights(straight)).all()
    assert (model[1].running_mean.numpy() == straight[1].running_mean.numpy()).all()
    means = world().objects(model[1].running_mean.numpy().tolist(), "means")
    assert SIZE == 1 or means[0] != means[1]
    if SIZE > 2:
        with refused(train.CheckpointError, "2 ranks, of which each has its own 1.running_mean", "SyncBatchNorm"):
            run(3, checkpoint=_copy("each-2"), resume=True)


def check_all_stop_together() -> None:
    def stop(event: str, run: Any) -> None:
        if RANK == SIZE - 1 and run.step == 4:
            run.stop = True

    _, history = fitted(3, callbacks=[stop])
    assert history == []


def check_fit_refuses() -> None:
    if SIZE == 1:
        return
    model = network(nn.SyncBatchNorm)
    loader = data.DataLoader(data.ArrayDataset(X, LABELS), 8)
    with refused(ArgumentError, "a loader for several ranks", "parallel.DataLoader"):
        train.fit(model, loader, optim.SGD(model.parameters(), lr=0.1), functional.cross_entropy, epochs=1)
    worse = X.copy()
    worse[0] = np.nan  # a row of one rank; all say it
    both = parallel.DataLoader(data.ArrayDataset(worse, LABELS), 8)
    model = network(nn.SyncBatchNorm)
    with refused(tg.errors.AnomalyError, "the loss is nan in step 1"):
        train.fit(model, both, optim.SGD(model.parameters(), lr=0.1), functional.cross_entropy, epochs=1)


def check_converted() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(8))
    model[1].momentum = 0.3
    before = model[1]
    x = np.random.default_rng(40 + RANK).normal(size=(3, 1, 4, 4)).astype(np.float32)
    same = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert same is model
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "SyncBatchNorm", "ReLU", "Flatten", "SyncBatchNorm"]
    assert model[1].weight is before.weight
    assert model[1].momentum == 0.3
    y = model(x)
    everything = parallel.all_gather(y).numpy()
    close(everything.mean(0), np.zeros(8), 1e-6, "mean over all ranks")


def main() -> None:
    checks = {name: check for name, check in globals().items() if name.startswith("check_")}
    found: dict[str, dict[str, str]] = {}
    for name, check in checks.items():
        wrong = ""
        try:
            check()
        except Exception:
            wrong = traceback.format_exc()
        while True:  # where another rank is still in the check, both learn that they disagree
            try:
                said = world().objects(wrong, f"the result of {name}")
                break
            except CollectiveError:
                continue
        found[name] = {str(rank): text for rank, text in enumerate(said) if text}
    if RANK == 0:
        Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
