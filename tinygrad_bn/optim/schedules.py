"""Schedules: the learning rate as a function of how often ``step`` was called.

Each schedule is a formula of that count alone, so it can be read off at any count, and one number restores it.  The
formulas are those of torch.optim.lr_scheduler.  An optimizer follows one schedule; ``SequentialLR`` joins several.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..errors import ArgumentError, explain
from .optimizer import Optimizer
from .settings import as_float, put_back, set_all, within


class Schedule(ABC):
    """Base of the schedules.  A subclass writes ``settings_at`` and names its own settings.

    Making one sets the optimizer to count 0; each ``step()`` moves on by one.  Whether a count is an epoch or a batch
    is decided by where ``step()`` is called.

    Args:
        optimizer: whose groups are set.

    Attributes:
        last_epoch: how often ``step`` was called (PyTorch's name).
        base_lrs: the learning rates the groups started with.  They are kept with the optimizer's groups, so it does not
            matter whether a schedule is made before or after the optimizer's state is loaded.
    """

    described_by: ClassVar[tuple[str, ...]] = ()  # the attributes that make up the formula

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = _optimizer(self, optimizer)
        self._groups = len(optimizer.param_groups)
        self._has_stepped = False
        self.last_epoch = 0
        self._set(0)

    @property
    def base_lrs(self) -> list[float]:
        groups = self.optimizer.param_groups[: self._groups]
        return [group.get("initial_lr", group["lr"]) for group in groups]

    @abstractmethod
    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        """The settings of group number ``group`` after ``count`` steps."""

    def step(self) -> None:
        """Move on by one and set the optimizer.

        Raises:
            ArgumentError: another schedule was stepped in turn with this one, so that each undoes the other's rates.
        """
        other = None if self.optimizer.stepped_by is None else self.optimizer.stepped_by()
        if other is not None and other is not self and self._has_stepped:
            what = f"{self._name}.step: a {other._name} sets the rates of this optimizer, too, and undoes what this one sets"
            fix = "join them: optim.SequentialLR(optimizer, [first, second], milestones=[...])"
            raise ArgumentError(explain(what, fix=fix))
        self._set(self.last_epoch + 1)
        self._has_stepped = True
        self.optimizer.stepped_by = weakref.ref(self)

    def get_last_lr(self) -> list[float]:
        """The learning rates set last, one per group."""
        return [self.settings_at(self.last_epoch, i)["lr"] for i in range(len(self.base_lrs))]

    def _set(self, count: int) -> None:
        groups = self.optimizer.param_groups
        self._check_groups()
        for group in groups:
            group.setdefault("initial_lr", group["lr"])  # a state that was saved without a schedule has none
        set_all(groups, [self.settings_at(count, i) for i in range(len(groups))])
        self.last_epoch = count

    def _check_groups(self) -> None:
        if len(self.optimizer.param_groups) != self._groups:
            fix = "add groups before making the schedule"
            raise ArgumentError(explain(f"{self._name}: a group was added to the optimizer afterwards", fix=fix))

    @property
    def _name(self) -> str:
        return type(self).__name__

    # -- saving and loading ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All there is to continue with, as plain data."""
        described = {name: getattr(self, name) for name in self.described_by}
        return {"schedule": self._name, "last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), **described}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state`` left off, and set the optimizer to the rates of that count.

        Raises:
            ArgumentError: the state of another schedule, of one with other settings, or of another number of groups;
                nothing is changed then.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Check a state, as ``load_state_dict`` does; the result takes it over and cannot fail."""
        self._check(state)

        def commit() -> None:
            groups = self.optimizer.param_groups
            before, places = [dict(group) for group in groups], self._places()
            try:
                self._adopt(state)
                self._set(self.last_epoch)
            except BaseException:  # Ctrl-C, as nothing else can happen here
                for schedule, count in places:
                    schedule.last_epoch = count
                put_back(groups, before)
                raise

        return commit

    def _places(self) -> list[tuple[Schedule, int]]:
        """This schedule and those it is made of, and where each is."""
        return [(self, self.last_epoch)]

    def _check(self, state: Mapping[str, Any]) -> None:
        self._check_groups()
        own = self.state_dict()
        if not isinstance(state, Mapping) or set(state) != set(own):
            got = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise self._other("not the state of such a schedule", got, ", ".join(own))
        for name in ("schedule", *self.described_by):
            if state[name] != own[name]:
                raise self._other(f"{name} differs", state[name], own[name])
        rates, count = state["base_lrs"], state["last_epoch"]
        if (
            type(rates) is not list
            or len(rates) != len(own["base_lrs"])
            or not all(0 <= as_float(r) < math.inf for r in rates)
        ):
            raise self._other("base_lrs do not fit", rates, f"{len(own['base_lrs'])} finite numbers >= 0")
        if type(count) is not int or not 0 <= count <= self._longest():
            raise self._other("last_epoch is not a count of steps", count, f"0 to {self._longest()}")

    def _adopt(self, state: Mapping[str, Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, state["base_lrs"]):
            group["initial_lr"] = float(rate)
        self.last_epoch = state["last_epoch"]

    def _longest(self) -> float:
        """The last count there is a formula for."""
        return math.inf

    def _other(self, what: str, got: object, expected: object) -> ArgumentError:
        return ArgumentError(explain(f"{self._name}.load_state_dict: {what}", got=got, expected=expected))


class StepLR(Schedule):
    """``lr = base * gamma**(count // step_size)``, as torch.optim.lr_scheduler.StepLR.

    Args:
        optimizer: whose groups are set.
        step_size: how many counts between two falls, >= 1.
        gamma: the factor, >= 0.
    """

    described_by = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = _count("StepLR", "step_size", step_size)
        self.gamma = within("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        return {"lr": self.base_lrs[group] * self.gamma ** (count // self.step_size)}


class LinearLR(Schedule):
    """From ``start_factor * base`` in a straight line to ``end_factor * base``, as torch.optim.lr_scheduler.LinearLR.

    With its defaults a warm-up.

    Args:
        optimizer: whose groups are set.
        start_factor: at count 0, above 0 and at most 1.
        end_factor: from count ``total_iters`` on, 0 to 1.
        total_iters: the length of the line, >= 1.
    """

    described_by = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3.0, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = within("LinearLR", "start_factor", start_factor, high=1.0)
        if self.start_factor == 0.0:
            raise ArgumentError(explain("LinearLR: start_factor is above 0", got=start_factor))
        self.end_factor = within("LinearLR", "end_factor", end_factor, high=1.0)
        self.total_iters = _count("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        done = min(count, self.total_iters) / self.total_iters
        return {"lr": self.base_lrs[group] * _line(self.start_factor, self.end_factor, done)}


class CosineAnnealingLR(Schedule):
    """Half a cosine from base down to ``eta_min`` in ``T_max`` counts, and up again in the next ``T_max``.

    As torch.optim.lr_scheduler.CosineAnnealingLR (Loshchilov and Hutter, arXiv:1608.03983, equation 5).

    Args:
        optimizer: whose groups are set.
        T_max: counts from the highest to the lowest rate, >= 1.
        eta_min: the lowest rate, >= 0.
    """

    described_by = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803 (PyTorch's name)
        self.T_max = _count("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = within("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)

    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        return {"lr": _half_cosine(self.base_lrs[group], self.eta_min, count / self.T_max)}


class OneCycleLR(Schedule):
    """Up to ``max_lr``, then down to almost nothing, momentum the other way, as torch.optim.lr_scheduler.OneCycleLR.

    (Smith and Topin, arXiv:1708.07120.)  To be stepped after each batch.  Count ``total_steps``, after the last batch,
    still has the last rate, where PyTorch extrapolates.

    Args:
        optimizer: whose groups are set.
        max_lr: the highest rate; one number, or one per group.
        total_steps: how many batches the cycle lasts; or give ``epochs`` and ``steps_per_epoch``.
        epochs: see ``total_steps``.
        steps_per_epoch: see ``total_steps``.
        pct_start: the share of the cycle in which the rate rises, 0 to 1.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: whether momentum (for Adam, the first of ``betas``) goes along.
        base_momentum: the lowest momentum, at the highest rate.
        max_momentum: the highest momentum, at both ends.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last rate is the first divided by this.
        three_phase: go down in as many counts as up, and only then to almost nothing.

    Raises:
        ArgumentError: settings out of range; ``cycle_momentum`` for an optimizer without momentum; a step too many.
    """

    described_by = (
        "max_lrs", "total_steps", "pct_start", "anneal_strategy", "cycle_momentum", "base_momentum", "max_momentum",
        "div_factor", "final_div_factor", "three_phase",
    )  # fmt: skip

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        groups = _optimizer(self, optimizer).param_groups
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(explain("OneCycleLR: give total_steps, or both epochs and steps_per_epoch"))
            total_steps = _count("OneCycleLR", "epochs", epochs) * _count(
                "OneCycleLR", "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = _count("OneCycleLR", "total_steps", total_steps)
        rates = list(max_lr) if isinstance(max_lr, (list, tuple)) else [max_lr] * len(groups)
        if len(rates) != len(groups):
            raise ArgumentError(explain("OneCycleLR: one max_lr per group", got=len(rates), expected=len(groups)))
        self.max_lrs = [within("OneCycleLR", "max_lr", rate) for rate in rates]
        self.pct_start = within("OneCycleLR", "pct_start", pct_start, high=1.0)
        if anneal_strategy not in ("cos", "linear"):
            expected = "'cos' or 'linear'"
            raise ArgumentError(explain("OneCycleLR: anneal_strategy", got=repr(anneal_strategy), expected=expected))
        self.anneal_strategy, self.cycle_momentum, self.three_phase = anneal_strategy, cycle_momentum, three_phase
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            fix = "pass cycle_momentum=False"
            raise ArgumentError(explain(f"OneCycleLR: {type(optimizer).__name__} has no momentum to cycle", fix=fix))
        below_one = math.nextafter(1.0, 0.0) if "betas" in optimizer.defaults else math.inf
        self.base_momentum = within("OneCycleLR", "base_momentum", base_momentum, high=below_one)
        self.max_momentum = within("OneCycleLR", "max_momentum", max_momentum, high=below_one)
        smallest = math.nextafter(0.0, 1.0)
        self.div_factor = within("OneCycleLR", "div_factor", div_factor, smallest)
        self.final_div_factor = within("OneCycleLR", "final_div_factor", final_div_factor, smallest)
        super().__init__(optimizer)

    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        if count > self.total_steps:
            fix = "make the schedule longer, or stop stepping it"
            raise ArgumentError(explain(f"OneCycleLR: the cycle lasts {self.total_steps} steps", got=count, fix=fix))
        middle = self.max_lrs[group]
        first = middle / self.div_factor
        last = first / self.final_div_factor
        low, high = self.base_momentum, self.max_momentum
        up = self.pct_start * self.total_steps - 1.0
        phases = [(up, first, middle, high, low)]
        if self.three_phase:
            phases.append((2.0 * up, middle, first, low, high))
            phases.append((self.total_steps - 1.0, first, last, high, high))
        else:
            phases.append((self.total_steps - 1.0, middle, last, low, high))
        phase = next((i for i, (end, *_) in enumerate(phases[:-1]) if count <= end), len(phases) - 1)
        end, from_lr, to_lr, from_momentum, to_momentum = phases[phase]
        begin = phases[phase - 1][0] if phase else 0.0
        done = min((count - begin) / (end - begin), 1.0) if end > begin else 1.0
        curve = _half_cosine if self.anneal_strategy == "cos" else _line
        settings: dict[str, Any] = {"lr": curve(from_lr, to_lr, done)}
        if self.cycle_momentum:
            momentum = curve(from_momentum, to_momentum, done)
            betas = self.optimizer.param_groups[group].get("betas")
            settings |= {"momentum": momentum} if betas is None else {"betas": (momentum, betas[1])}
        return settings

    def _longest(self) -> float:
        return self.total_steps


class SequentialLR(Schedule):
    """One schedule after the other, as torch.optim.lr_scheduler.SequentialLR: a warm-up, then a decay.

    ::

        warmup = LinearLR(optimizer, start_factor=0.01, total_iters=500)
        decay = CosineAnnealingLR(optimizer, T_max=9500)
        schedule = SequentialLR(optimizer, [warmup, decay], milestones=[500])

    Args:
        optimizer: whose groups are set.
        schedules: at least one, all made for this optimizer; each starts from the optimizer's original rates.
        milestones: the counts at which the second, third, ... begins, with its own count 0; ascending.
    """

    def __init__(self, optimizer: Optimizer, schedules: Sequence[Schedule], milestones: Sequence[int]) -> None:
        self.schedules = list(schedules)
        self.milestones = [_count("SequentialLR", "milestones", milestone) for milestone in milestones]
        if len(self.schedules) != len(self.milestones) + 1:
            got = f"{len(self.schedules)} schedules, {len(self.milestones)} milestones"
            raise ArgumentError(explain("SequentialLR: one milestone between two schedules", got=got))
        if any(late <= early for early, late in zip(self.milestones, self.milestones[1:])):
            raise ArgumentError(explain("SequentialLR: milestones ascend", got=self.milestones))
        for part in self.schedules:
            if not isinstance(part, Schedule) or part.optimizer is not optimizer:
                raise ArgumentError(explain("SequentialLR: schedules of this optimizer", got=repr(part)))
        super().__init__(optimizer)

    def settings_at(self, count: int, group: int) -> dict[str, Any]:
        part = bisect_right(self.milestones, count)
        begins = [0, *self.milestones]
        settings: dict[str, Any] = {}  # a momentum, say, that only some of the parts set
        for coming in reversed(self.schedules[part + 1 :]):
            settings |= coming.settings_at(0, group)
        for done, (begin, end) in zip(self.schedules[:part], zip(begins, self.milestones)):
            settings |= done.settings_at(end - begin - 1, group)
        return settings | self.schedules[part].settings_at(count - begins[part], group)

    def _places(self) -> list[tuple[Schedule, int]]:
        return super()._places() + [place for part in self.schedules for place in part._places()]

    def state_dict(self) -> dict[str, Any]:
        parts = [part.state_dict() for part in self.schedules]
        return {**super().state_dict(), "milestones": list(self.milestones), "schedules": parts}

    def _check(self, state: Mapping[str, Any]) -> None:
        super()._check(state)
        if state["milestones"] != self.milestones:
            raise self._other("milestones differ", state["milestones"], self.milestones)
        if not isinstance(state["schedules"], list) or len(state["schedules"]) != len(self.schedules):
            raise self._other("schedules differ", type(state["schedules"]).__name__, len(self.schedules))
        for part, part_state in zip(self.schedules, state["schedules"]):
            part._check(part_state)

    def _adopt(self, state: Mapping[str, Any]) -> None:
        super()._adopt(state)
        for part, part_state in zip(self.schedules, state["schedules"]):
            part._adopt(part_state)

    def _longest(self) -> float:
        return self.milestones[-1] + self.schedules[-1]._longest() if self.milestones else self.schedules[0]._longest()


def _half_cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1.0 + math.cos(math.pi * done)) / 2.0


def _line(first: float, last: float, done: float) -> float:
    return first + (last - first) * done


def _optimizer(schedule: Schedule, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        got = type(optimizer).__name__
        raise ArgumentError(
            explain(f"{type(schedule).__name__} sets an optimizer", got=got, expected="optim.Optimizer")
        )
    return optimizer


def _count(owner: str, name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ArgumentError(explain(f"{owner}: {name} is a whole number >= 1", got=f"{name}={value!r}"))
    return value
