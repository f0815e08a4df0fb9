"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..engine import Variable, write
from ..engine.mode import current_mode
from ..engine.write import set_gradients
from ..errors import AnomalyError, ArgumentError, RecordingError, ShapeError, explain
from ..kinds import Array
from .line_search import Point, strong_wolfe
from .optimizer import Closure, Optimizer
from .settings import Setting

COUNTS = ("max_iter", "max_eval", "history_size")
CURVED = 1e-10  # the least curvature along a step from which something is learned


class Memory(NamedTuple):
    """What is remembered from one iteration to the next, float64; replaced as a whole.

    Attributes:
        iterations, evaluations: how many there were.
        moves, turns: the last steps, and how the gradient changed along each, oldest first.
        scale: the size of the inverse Hessian along the latest of them.
        direction, t, gradient: of the latest iteration: where to, how far, and the gradient where it began.
    """

    iterations: int = 0
    evaluations: int = 0
    moves: tuple[Array, ...] = ()
    turns: tuple[Array, ...] = ()
    scale: float = 1.0
    direction: Array | None = None
    t: float = 0.0
    gradient: Array | None = None


class LBFGS(Optimizer):
    """Steps by an estimate of the curvature, from the last steps and gradients, as torch.optim.LBFGS.

    (Nocedal and Wright, Numerical Optimization, second edition, 2006, algorithms 7.4 and 7.5.)  For a loss without noise:
    the whole data rather than a batch, no dropout.  It needs a closure, since one step computes the loss several times::

        def closure():
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
        loss = optimizer.step(closure)

    What it remembers and how it decides is float64, whatever the parameters are.

    Args:
        params: the parameters to train, leaves, all in one group.
        lr: how far to go in the direction, >= 0; with a line search, how far first.
        max_iter: iterations in a step, >= 1.
        max_eval: calls of the closure in a step from which on no iteration begins, >= 1; by default 5/4 of ``max_iter``.
        tolerance_grad: a step ends where no element of the gradient is larger, >= 0.
        tolerance_change: it ends where the loss or no parameter changes by more, >= 0.
        history_size: how many steps are remembered, >= 1.
        line_search_fn: ``"strong_wolfe"``, or ``None`` to go as far as ``lr`` says.

    Raises:
        ArgumentError: settings out of range, several groups, no parameters, or something that is not a leaf tensor.
    """

    max_iter = Setting()
    max_eval = Setting()
    tolerance_grad = Setting()
    tolerance_change = Setting()
    history_size = Setting()
    line_search_fn = Setting()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None and type(max_iter) is int:
            max_eval = max(max_iter * 5 // 4, 1)
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        counts = {"max_iter": max_iter, "max_eval": max_eval, "history_size": history_size}
        self.memory = Memory()
        super().__init__(params, {"lr": lr, **counts, **tolerances, "line_search_fn": line_search_fn})

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """The parameters, once.

        Raises:
            ArgumentError: as in the class, or a second group.
        """
        if self.param_groups:
            fix = "LBFGS(all_parameters)"
            raise ArgumentError(explain("LBFGS has one group: its direction is of all parameters together", fix=fix))
        super().add_param_group(group)

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        search = settings["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            expected = "'strong_wolfe' or None"
            raise ArgumentError(explain(f"{cls.__name__}: line_search_fn", got=repr(search), expected=expected))
        rest = {name: value for name, value in settings.items() if name != "line_search_fn"}
        return {**super()._checked(rest), "line_search_fn": search}

    @classmethod
    def _number(cls, name: str, value: Any) -> Any:
        if name not in COUNTS:
            return super()._number(name, value)
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            what = f"{cls.__name__}: {name} is a whole number >= 1"
            raise ArgumentError(explain(what, got=f"{name}={value!r}"))
        return int(value)

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, closure: Closure | None = None) -> Any:
        """Several iterations towards the minimum; none of it when something fails.

        Args:
            closure: forgets the gradients, computes the loss, runs ``backward`` and returns the loss.

        Returns:
            What the closure returned at first.

        Raises:
            ArgumentError: no closure.
            ShapeError: a loss that is not one number, or a gradient that does not fit its parameter.
            AnomalyError: a loss or a gradient that is not finite, other than where a line search tried to go.
            RecordingError: during a recording; how often the loss is computed depends on values.
        """
        if closure is None:
            fix = "optimizer.step(closure), where closure() runs zero_grad and backward and returns the loss"
            raise ArgumentError(explain("LBFGS.step computes the loss several times, so it needs a closure", fix=fix))
        if current_mode().tape is not None:
            what = "LBFGS.step cannot be recorded: how often it computes the loss depends on values"
            raise RecordingError(explain(what, fix="record what the closure does, and call the program in it"))
        before = [(p, p._data) for p in self.params]
        gradients = [p.grad for p in self.params]
        try:
            first, memory = self._descended(closure)
            self.memory = memory
        except BaseException:  # Ctrl-C, too, finds the parameters where they were
            write(before)
            set_gradients(self.params, gradients)
            raise
        return first

    def _descended(self, closure: Closure) -> tuple[Any, Memory]:
        settings, memory = self.param_groups[0], self.memory
        first, loss, g = self._loss(closure)
        self._must_be_finite(loss, g, memory)
        x = np.concatenate([p.data.ravel() for p in self.params]).astype(np.float64)
        evaluations = 1
        for iteration in range(settings["max_iter"]):
            enough = iteration > 0 and evaluations >= settings["max_eval"]
            if enough or np.abs(g).max(initial=0.0) <= settings["tolerance_grad"]:
                break
            memory = self._looked_around(memory, g)
            d: Any = memory.direction
            start = Point(0.0, loss, float(g @ d), g)
            if start.slope > -settings["tolerance_change"]:
                break
            if settings["line_search_fn"] is not None:
                point, called = self._searched(closure, x, d, start, memory.t)
            elif iteration + 1 < settings["max_iter"]:
                point, called = self._at(closure, x, d, memory.t), 1
                self._must_be_finite(point.loss, point.gradient, memory)
            else:  # the loss there is computed by the next step
                point, called = start._replace(t=memory.t), 0
            evaluations += called
            memory = memory._replace(t=point.t)
            x = x + point.t * d
            change = abs(point.loss - loss)
            loss, g = point.loss, point.gradient
            smallest = settings["tolerance_change"]
            if np.abs(point.t * d).max(initial=0.0) <= smallest or (called and change < smallest):
                break
        self._go_to(x)
        return first, memory._replace(evaluations=memory.evaluations + evaluations)

    def _looked_around(self, memory: Memory, g: Array) -> Memory:
        """The direction to go, and how far at first, with what the last step has taught."""
        settings = self.param_groups[0]
        moves, turns, scale = memory.moves, memory.turns, memory.scale
        if memory.direction is None or memory.gradient is None:
            t = min(1.0, 1.0 / float(np.abs(g).sum())) * settings["lr"]
        else:
            t = settings["lr"]
            move, turn = memory.t * memory.direction, g - memory.gradient
            curvature = float(move @ turn)
            if curvature > CURVED:
                oldest = len(moves) + 1 - settings["history_size"]
                moves, turns = (*moves, move)[max(oldest, 0) :], (*turns, turn)[max(oldest, 0) :]
                scale = curvature / float(turn @ turn)
        d = _direction(g, moves, turns, scale)
        return Memory(memory.iterations + 1, memory.evaluations, moves, turns, scale, d, t, g)

    def _searched(self, closure: Closure, x: Array, d: Array, start: Point, first: float) -> tuple[Point, int]:
        called = 0

        def at(t: float) -> Point:
            nonlocal called
            called += 1
            return self._at(closure, x, d, t)

        return strong_wolfe(at, start, first), called

    def _at(self, closure: Closure, x: Array, d: Array, t: float) -> Point:
        self._go_to(x + t * d)
        _, loss, g = self._loss(closure)
        return Point(t, loss, float(g @ d), g)

    def _go_to(self, x: Array) -> None:
        """Give the parameters these values."""
        ends = np.cumsum([p.size for p in self.params])
        with np.errstate(over="ignore"):
            write([(p, part.reshape(p.shape)) for p, part in zip(self.params, np.split(x, ends[:-1]))])

    def _loss(self, closure: Closure) -> tuple[Any, float, Array]:
        """What the closure returned, as a number, and all gradients in one."""
        returned = self._evaluated(closure)
        raw = np.asarray(returned.data if isinstance(returned, Variable) else returned)
        if raw.size != 1 or raw.dtype.kind not in "fiu":
            got = f"shape {raw.shape}" if raw.dtype.kind in "fiu" else type(returned).__name__
            raise ShapeError(explain("LBFGS.step: the closure returns the loss", got=got, expected="one number"))
        parts = []
        for p in self.params:
            grad = p.grad
            if grad is not None and (not isinstance(grad, Variable) or grad.shape != p.shape):
                raise self._unfit(p)
            parts.append(np.zeros(p.size) if grad is None else grad.data.ravel().astype(np.float64))
        return returned, float(raw.reshape(())), np.concatenate(parts)

    def _must_be_finite(self, loss: float, g: Array, memory: Memory) -> None:
        if not (math.isfinite(loss) and np.isfinite(g).all()):
            what = f"LBFGS.step: the loss or its gradient is not finite after iteration {memory.iterations}"
            fix = "a smaller lr, or line_search_fn='strong_wolfe', which goes less far then"
            raise AnomalyError(explain(what, got=f"loss {loss}", fix=fix))

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def _saved(self) -> dict[Any, Any]:
        n = sum(p.size for p in self.params)
        kept = self.memory._asdict()
        for name in ("moves", "turns"):
            kept[name] = np.array(kept[name]).reshape(-1, n)
        for name in ("direction", "gradient"):
            kept[name] = None if kept[name] is None else np.array(kept[name])
        return kept

    def _to_load(self, state: Any) -> Callable[[], None]:
        if not isinstance(state, Mapping) or set(state) != set(Memory._fields):
            got = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise self._other("state with other entries", got, ", ".join(Memory._fields))
        for name in ("iterations", "evaluations"):
            if type(state[name]) is not int or state[name] < 0:
                raise self._other(name, repr(state[name]), "a whole number >= 0")
        for name in ("scale", "t"):
            if type(state[name]) is not float or not 0 <= state[name] < math.inf:
                raise self._other(name, repr(state[name]), "a finite number >= 0")
        n = sum(p.size for p in self.params)
        arrays = {name: self._loaded(name, state[name], n) for name in ("moves", "turns", "direction", "gradient")}
        moves, turns = arrays["moves"], arrays["turns"]
        if moves is None or turns is None or moves.ndim != 2 or moves.shape != turns.shape:
            raise self._other("moves and turns do not belong together", "other shapes", "as many of each")
        begun = [name for name in ("direction", "gradient") if arrays[name] is not None]
        if len(begun) == 1 or any(arrays[name].ndim != 1 for name in begun):
            raise self._other("direction and gradient do not belong together", begun, f"both of shape ({n},), or none")
        memory = Memory(**{**state, **arrays, "moves": tuple(moves), "turns": tuple(turns)})

        def load() -> None:
            self.memory = memory

        return load

    def _loaded(self, name: str, value: Any, n: int) -> Any:
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.kind != "f" or array.ndim not in (1, 2) or array.shape[-1] != n or not np.isfinite(array).all():
            got = f"shape {array.shape}, dtype {array.dtype}"
            raise self._other(f"{name} does not fit", got, f"finite floating-point numbers, {n} in a row")
        return array.astype(np.float64)

    def snapshot(self) -> Callable[[], None]:
        memory = self.memory

        def put_back() -> None:
            self.memory = memory

        return put_back


def _direction(g: Array, moves: tuple[Array, ...], turns: tuple[Array, ...], scale: float) -> Array:
    """Minus the estimated inverse Hessian times g, in two loops over what is remembered (algorithm 7.4)."""
    q = -g
    shares = []
    for move, turn in zip(reversed(moves), reversed(turns)):
        shares.append(float(move @ q) / float(turn @ move))
        q = q - shares[-1] * turn
    q = scale * q
    for move, turn, share in zip(moves, turns, reversed(shares)):
        q = q + (share - float(turn @ q) / float(turn @ move)) * move
    return q
