"""Datasets and loaders: which rows, in which order, repeatable and taken up again anywhere; what is refused."""

import json
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn.data import ArrayDataset, DataLoader
from tinygrad_bn.errors import ArgumentError, DTypeError, IndexingError, ShapeError


def dataset(rows=10):
    return ArrayDataset(np.arange(rows * 2.0).reshape(rows, 2), np.arange(rows))


def rows_of(batches):
    """The row numbers of each batch, after checking that inputs and targets stayed together."""
    found = []
    for x, y in batches:
        assert_array_equal(x[:, 0], 2.0 * y)
        found.append(y.tolist())
    return found


# -- datasets -----------------------------------------------------------------------------------------------------------


def test_rows_of_all_arrays_together():
    data = dataset()
    assert len(data) == 10
    x, y = data[3]
    assert (x.tolist(), y) == ([6.0, 7.0], 3)
    for index, expected in [
        (slice(2, 5), [2, 3, 4]),
        ([7, 1], [7, 1]),
        ((7, 1), [7, 1]),
        ([], []),
        (np.array([-1]), [9]),
        (np.arange(10) % 3 == 0, [0, 3, 6, 9]),
    ]:
        x, y = data[index]
        assert x.shape == (len(expected), 2)
        assert y.tolist() == expected
    assert [int(y) for _, y in data] == list(range(10))
    assert repr(data) == "ArrayDataset((10, 2) float64, (10,) int64)"


def test_arrays_are_shared_but_not_written_to():
    x = np.zeros((4, 2))
    data = ArrayDataset(x, tg.Tensor([1, 2, 3, 4]))
    assert np.shares_memory(data.arrays[0], x)
    for part in (data.arrays[0], data[1:3][0]):
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 1.0
    x[0] = 5.0
    assert_array_equal(data[0][0], 5.0)
    assert data[0][1] == 1


@pytest.mark.parametrize(
    ("arrays", "kind"),
    [
        ([], ArgumentError),
        ([np.ones(3), np.ones(4)], ShapeError),
        ([np.ones(3), 1.0], ShapeError),
        ([1.0], ShapeError),
        ([np.array(["a"])], DTypeError),
        ([np.ones(3, complex)], DTypeError),
    ],
)
def test_arrays_that_do_not_belong_together(arrays, kind):
    with pytest.raises(kind, match="ArrayDataset"):
        ArrayDataset(*arrays)


@pytest.mark.parametrize(
    "index", [10, -11, 1.5, "a", [0, 10], [0.5], [[0]], np.ones(3, bool), None, True, slice("a", "b")]
)
def test_rows_that_do_not_exist(index):
    with pytest.raises(IndexingError, match="ArrayDataset"):
        dataset()[index]


# -- order --------------------------------------------------------------------------------------------------------------


def test_without_shuffling_batches_follow_the_dataset():
    loader = DataLoader(dataset(), batch_size=4)
    assert len(loader) == 3
    for _ in range(2):
        assert rows_of(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    short = DataLoader(dataset(), 4, drop_last=True)
    assert len(short) == 2
    assert rows_of(short) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert "batch_size=4" in repr(short)
    assert "# 2 batches" in repr(short)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", range(1, 9))
def test_there_are_as_many_batches_as_are_said_and_none_is_empty(size, drop_last):
    loader = DataLoader(ArrayDataset(np.arange(8)), size, drop_last=drop_last)
    sizes = [len(x) for (x,) in loader]
    assert len(sizes) == len(loader)
    assert sizes == [size] * (8 // size) + [8 % size] * (8 % size > 0 and not drop_last)


def test_shuffled_epochs_are_permutations_that_differ_and_repeat():
    loader, again = (DataLoader(dataset(50), 7, shuffle=True, seed=3) for _ in range(2))
    epochs = [list(chain(*rows_of(loader))) for _ in range(3)]
    assert epochs == [list(chain(*rows_of(again))) for _ in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    other = DataLoader(dataset(50), 7, shuffle=True, seed=4)
    assert list(chain(*rows_of(other))) != epochs[0]


def test_every_row_comes_first_equally_often():
    loader = DataLoader(dataset(5), 5, shuffle=True, seed=0)
    firsts = [next(iter(loader))[1][0] for _ in range(2000)]
    counts = np.bincount(firsts, minlength=5)
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)  # 5 standard deviations of a binomial


def test_a_seed_of_its_own_comes_from_manual_seed():
    tg.manual_seed(11)
    first = DataLoader(dataset(), shuffle=True).seed
    second = DataLoader(dataset(), shuffle=True).seed
    tg.manual_seed(11)
    assert DataLoader(dataset(), shuffle=True).seed == first != second
    assert DataLoader(dataset()).seed == 0


def test_a_loop_that_was_left_does_not_shorten_the_next_epoch():
    loader = DataLoader(dataset(), 4, shuffle=True, seed=1)
    next(iter(loader))
    assert (loader.epoch, loader.position) == (1, 1)
    assert len(rows_of(loader)) == 3
    assert (loader.epoch, loader.position) == (2, 3)


def test_two_loops_over_one_loader_do_not_disturb_each_other():
    loader, reference = (DataLoader(dataset(), 4, shuffle=True, seed=1) for _ in range(2))
    expected = [rows_of(reference), rows_of(reference)]
    first, second = iter(loader), iter(loader)
    mixed = [(next(first), next(second)) for _ in range(3)]
    assert [rows_of(side) for side in zip(*mixed)] == expected


# -- taken up again -------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 23),
    st.integers(1, 7),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**70),
    st.integers(0, 40),
)
def test_a_state_gives_exactly_the_batches_still_to_come(rows, size, shuffle, drop_last, seed, taken):
    size = min(size, rows)

    def made(seed):
        return DataLoader(dataset(rows), size, shuffle, drop_last=drop_last, seed=seed)

    def endless(loader):
        while True:
            yield from loader

    loader = made(seed)
    batches = endless(loader)
    for _ in range(taken):
        next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    restored = made(seed + 1)
    restored.load_state_dict(state)
    rest = endless(restored)
    for _ in range(12):
        assert rows_of([next(rest)]) == rows_of([next(batches)])
        assert restored.state_dict() == loader.state_dict()


def test_an_epoch_begun_without_a_batch_begins_again():
    loader, reference = (DataLoader(dataset(), 4, shuffle=True, seed=1) for _ in range(2))
    iter(loader)
    restored = DataLoader(dataset(), 4, shuffle=True)
    restored.load_state_dict(loader.state_dict())
    assert rows_of(restored) == rows_of(reference)


def test_only_the_first_loop_after_loading_is_shortened():
    loader = DataLoader(dataset(), 4)
    iterator = iter(loader)
    next(iterator)
    next(iterator)
    loader.load_state_dict(loader.state_dict())
    assert [len(rows_of(loader)) for _ in range(3)] == [1, 3, 3]


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size"), ({"batch_size": -1}, "batch_size"), ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"), ({"seed": -1}, "seed"), ({"seed": 1.5}, "seed"),
        ({"batch_size": 11, "drop_last": True}, "not a single batch"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        DataLoader(dataset(), **arguments)


def test_an_empty_dataset_has_no_batch():
    with pytest.raises(ArgumentError, match="not a single batch"):
        DataLoader(dataset(0))


STATE = {"rows": 10, "batch_size": 4, "shuffle": True, "drop_last": False, "seed": 1, "epoch": 2, "position": 1}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "not a loader's state"),
        ({}, "not a loader's state"),
        (STATE | {"extra": 1}, "not a loader's state"),
        (STATE | {"rows": 11}, "rows differs"),
        (STATE | {"batch_size": 5}, "batch_size differs"),
        (STATE | {"shuffle": False}, "shuffle differs"),
        (STATE | {"shuffle": 1}, "shuffle differs"),
        (STATE | {"drop_last": True}, "drop_last differs"),
        (STATE | {"seed": -1}, "whole numbers"),
        (STATE | {"epoch": 1.0}, "whole numbers"),
        (STATE | {"position": "1"}, "whole numbers"),
        (STATE | {"position": True}, "whole numbers"),
        (STATE | {"position": 4}, "outside of the epoch"),
        (STATE | {"epoch": 0}, "outside of the epoch"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    loader = DataLoader(dataset(), 4, shuffle=True, seed=9)
    before = loader.state_dict()
    with pytest.raises(ArgumentError, match=message):
        loader.load_state_dict(state)
    assert loader.state_dict() == before
    assert len(rows_of(loader)) == 3
