"""Datasets and loaders: which rows, in which order, repeatable and taken up again anywhere; what is refused."""

import json
from itertools import chain

import numpy as np
import pytest
import torch
import torch.utils.data
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
        (STATE | {"position": 4}, "outside the epoch"),
        (STATE | {"epoch": 0}, "outside the epoch"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    loader = DataLoader(dataset(), 4, shuffle=True, seed=9)
    before = loader.state_dict()
    with pytest.raises(ArgumentError, match=message):
        loader.load_state_dict(state)
    assert loader.state_dict() == before
    assert len(rows_of(loader)) == 3


# -- rows one by one ------------------------------------------------------------------------------------------------------


class Rows:
    """PyTorch's map-style dataset: takes whole numbers and nothing else."""

    def __init__(self, make, length=10):
        self.make, self.length, self.asked = make, length, []

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        if type(i) is not int:
            raise TypeError("only whole numbers")
        self.asked.append(i)
        return self.make(i)


ROWS = {
    "pairs": lambda i: (np.full(3, i, np.float32), i % 2),
    "lists": lambda i: [np.full(3, i, np.float32), i % 2],
    "three fields": lambda i: (np.full((2, 2), i), float(i), i > 4),
    "numbers": lambda i: (i, 0.5 * i),
    "nested lists": lambda i: ([float(i), 1.0], i),
    "numpy numbers": lambda i: (np.float32(i), np.int16(i)),
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
def test_rows_become_the_batches_that_pytorch_makes(make, shuffle):
    order = next(iter(DataLoader(ArrayDataset(np.arange(10)), 10, shuffle, seed=3)))[0].tolist()
    for dataset in (Rows(make), [make(i) for i in range(10)], tuple(make(i) for i in range(10))):
        found = list(DataLoader(dataset, 4, shuffle, seed=3))
        their_rows = [[torch.tensor(field) for field in make(i)] for i in order]
        theirs = [torch.utils.data.default_collate(their_rows[a : a + 4]) for a in (0, 4, 8)]
        assert len(found) == len(theirs) == 3
        for batch, their_batch in zip(found, theirs):
            assert type(batch) is tuple
            for ours, other in zip(batch, their_batch, strict=True):
                assert_array_equal(ours, other.numpy())
                assert isinstance(ours, np.ndarray)
        for ours, field in zip(found[0], make(0)):
            assert ours.dtype == np.asarray(field).dtype


def test_rows_of_tensors_and_rows_without_a_target():
    tensors = [(tg.Tensor(np.full(2, i, np.float32), requires_grad=True), i) for i in range(4)]
    batch, labels = next(iter(DataLoader(tensors, 4)))
    assert type(batch) is np.ndarray
    assert batch.dtype == np.float32
    assert_array_equal(labels, [0, 1, 2, 3])
    (alone,) = next(iter(DataLoader(np.arange(6).reshape(3, 2), 2)))
    assert_array_equal(alone, [[0, 1], [2, 3]])


def test_an_array_dataset_is_not_asked_row_by_row():
    class Counting(ArrayDataset):
        calls = 0

        def __getitem__(self, index):
            self.calls += 1
            return super().__getitem__(index)

    data = Counting(np.arange(10), np.arange(10))
    assert len(list(DataLoader(data, 5, shuffle=True))) == 2
    assert data.calls == 2


def test_a_batch_is_what_collate_fn_makes():
    texts = ["a", "bb", "ccc", "dddd", "e"]
    batches = list(DataLoader(texts, 2, collate_fn=lambda rows: {"text": rows, "length": [len(row) for row in rows]}))
    assert batches[1] == {"text": ["ccc", "dddd"], "length": [3, 4]}
    assert batches[2] == {"text": ["e"], "length": [1]}
    data = ArrayDataset(np.arange(4), np.arange(4) * 2)
    pairs = next(iter(DataLoader(data, 2, collate_fn=list)))
    assert [tuple(map(int, pair)) for pair in pairs] == [(0, 0), (1, 2)]
    with pytest.raises(ArgumentError, match="collate_fn is a function"):
        DataLoader(texts, collate_fn="stack")


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [([(np.ones(2), 0), (np.ones(3), 1)], ShapeError, r"field 0 .* other shapes\n.*\(2,\) and \(3,\)"),
     ([(1, 2), (1, 2, 3)], ShapeError, "2 and 3 fields"), ([(), ()], ShapeError, "0 fields"),
     (["text", "more"], DTypeError, "str"), ([{"x": 1}] * 2, DTypeError, "dict"), ([None, None], DTypeError, "NoneType"),
     ([(1, "a"), (2, "b")], DTypeError, "field 1"), ([([1, [2]], 0)] * 2, ShapeError, "field 0 of the rows is no array"),
     ([(1j,), (2j,)], DTypeError, "complex")],
)  # fmt: skip
def test_rows_that_make_no_batch(rows, kind, message):
    with pytest.raises(kind, match=message) as error:
        next(iter(DataLoader(rows, 2)))
    assert "collate_fn=" in str(error.value)


@pytest.mark.parametrize(
    "dataset", [(i for i in range(3)), {0: 1}, {1, 2}, 5, None, iter([1])], ids=lambda value: type(value).__name__
)
def test_what_has_no_numbered_rows(dataset):
    with pytest.raises(DTypeError, match="a length and numbered rows"):
        DataLoader(dataset)


def test_an_error_of_the_dataset_is_told_as_it_is():
    with pytest.raises(ZeroDivisionError):
        next(iter(DataLoader(Rows(lambda i: 1 / 0))))


# -- probes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [iter, lambda loader: [iter(loader), iter(loader)], len, repr, DataLoader.state_dict])
@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_a_probe_loses_no_place(probe, taken):
    def loader():
        return DataLoader(ArrayDataset(np.arange(10)), 4, shuffle=True, seed=3)

    first = loader()
    batches = iter(first)
    for _ in range(taken):
        next(batches)
    state = first.state_dict()
    plain, probed = loader(), loader()
    for each in (plain, probed):
        each.load_state_dict(state)
    probe(probed)
    assert probed.state_dict() == state
    for _ in range(2):
        for (a,), (b,) in zip(plain, probed, strict=True):
            assert_array_equal(a, b)
    assert plain.state_dict() == probed.state_dict()


@pytest.mark.parametrize("setting", ["shuffle", "drop_last"])
@pytest.mark.parametrize("wrong", ["no", 1, None, np.ones(2)], ids=str)
def test_a_loader_takes_true_or_false_at_its_word_only(setting, wrong):
    with pytest.raises(ArgumentError, match=f"DataLoader: {setting}"):
        DataLoader([1, 2, 3], **{setting: wrong})
