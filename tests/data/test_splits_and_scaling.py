"""Splits: nothing lost, nothing twice, labels in proportion.  Scaling: the training part's statistics, both ways."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bn as tg
from tinygrad_bn.data import ArrayDataset, DataLoader, StandardScaler, random_split
from tinygrad_bn.errors import ArgumentError, DTypeError, ShapeError


def dataset(rows=100):
    return ArrayDataset(np.arange(rows)[:, None] * [1.0, 10.0], np.arange(rows))


def rows_of(parts):
    found = []
    for part in parts:
        x, y = part.arrays
        assert_array_equal(x, y[:, None] * [1.0, 10.0])
        found.append(y.tolist())
    return found


# -- splits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([70, 20, 10], [70, 20, 10]),
        ([0.7, 0.2, 0.1], [70, 20, 10]),
        ([1.0], [100]),
        ([100], [100]),
        ([1 / 3, 1 / 3, 1 / 3], [34, 33, 33]),
        (np.array([0.125, 0.875]), [13, 87]),
    ],
)
def test_parts_are_disjoint_and_everything(lengths, sizes):
    parts = rows_of(random_split(dataset(), lengths, seed=0))
    assert [len(part) for part in parts] == sizes
    assert sorted(chain(*parts)) == list(range(100))
    assert all(part == sorted(part) for part in parts)


@pytest.mark.parametrize(
    ("rows", "lengths", "sizes"),
    [(101, [1 / 3] * 3, [34, 34, 33]), (11, [0.25] * 4, [3, 3, 3, 2]), (7, [0.3, 0.3, 0.4], [3, 2, 2])],
)
def test_rows_left_over_go_one_each_to_the_first_parts(rows, lengths, sizes):
    assert [len(part) for part in random_split(dataset(rows), lengths, seed=0)] == sizes


def test_the_choice_follows_the_seed():
    first, again, other = (rows_of(random_split(dataset(), [0.5, 0.5], seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    tg.manual_seed(5)
    drawn = [rows_of(random_split(dataset(), [0.5, 0.5])) for _ in range(2)]
    tg.manual_seed(5)
    assert drawn[0] == rows_of(random_split(dataset(), [0.5, 0.5])) != drawn[1]


@pytest.mark.parametrize("stratified", [False, True])
def test_every_row_is_in_a_part_as_often_as_the_parts_size_says(stratified):
    labels = np.arange(20) % 2 if stratified else None
    data = dataset(20)
    counts = np.zeros(20)
    for seed in range(1000):
        (_, test) = random_split(data, [15, 5], seed=seed, stratify=labels)
        counts[test.arrays[1]] += 1
    assert np.abs(counts - 250).max() < 5 * np.sqrt(1000 * 0.25 * 0.75)  # 5 standard deviations of a binomial


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(3, 40), min_size=1, max_size=6), st.lists(st.integers(1, 30), min_size=2, max_size=4),
    st.integers(0, 1000),
)  # fmt: skip
def test_labels_keep_their_share_in_every_part(counts, weights, seed):
    assume(min(counts) >= len(weights))
    rows = sum(counts)
    fractions = np.array(weights) / sum(weights)
    assume((np.floor(fractions * rows) >= 1).all())
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = rows_of(random_split(dataset(rows), list(fractions), seed=seed, stratify=labels))
    assert sorted(chain(*parts)) == list(range(rows))
    for part in parts:
        share = len(part) / rows
        expected = share * np.array(counts)
        got = np.bincount(labels[part], minlength=len(counts))
        assert np.abs(got - expected).max() <= 1.0 + share * (len(parts) - 2) + 1e-9


def test_labels_of_any_kind():
    labels = np.array(["good", "bad", "good", "good"] * 25)
    for given_labels in (labels, labels.tolist(), tg.Tensor(labels == "good")):
        train, test = rows_of(random_split(dataset(), [0.8, 0.2], seed=0, stratify=given_labels))
        assert [(labels[part] == "bad").sum() for part in (train, test)] == [20, 5]


@pytest.mark.parametrize(
    ("lengths", "arguments", "kind", "message"),
    [
        ([], {}, ArgumentError, "numbers > 0"),
        ([50, -10, 60], {}, ArgumentError, "numbers > 0"),
        ([0.5, 0.5, 0.0], {}, ArgumentError, "numbers > 0"),
        (["a"], {}, ArgumentError, "numbers > 0"),
        ([True], {}, ArgumentError, "numbers > 0"),
        ([np.nan, 0.5], {}, ArgumentError, "numbers > 0"),
        ([50, 49], {}, ArgumentError, "add up to all rows"),
        ([0.5, 0.4], {}, ArgumentError, "fractions add up to 1"),
        ([0.999, 0.001], {}, ArgumentError, "a part would be empty"),
        ([0.5, 0.5], {"seed": -1}, ArgumentError, "seed"),
        ([0.5, 0.5], {"seed": 0.5}, ArgumentError, "seed"),
        ([0.5, 0.5], {"stratify": np.zeros(99)}, ShapeError, "one label per row"),
        ([0.5, 0.5], {"stratify": [1] + [0] * 99}, ArgumentError, "label 1 has 1"),
    ],
)
def test_splits_that_cannot_be_made(lengths, arguments, kind, message):
    with pytest.raises(kind, match=message):
        random_split(dataset(), lengths, **arguments)


def test_only_datasets_are_split():
    for wrong in ((i for i in range(10)), {"a": 1}, 7):
        with pytest.raises(DTypeError, match="random_split: a dataset has a length and numbered rows"):
            random_split(wrong, [5, 5])
    with pytest.raises(ArgumentError, match="no rows"):
        random_split([], [0.5, 0.5])


class Squares:
    """A map-style dataset."""

    def __len__(self):
        return 20

    def __getitem__(self, i):
        if not isinstance(i, int) or not 0 <= i < 20:
            raise IndexError(i)
        return np.array([i, i * i]), i % 2


@pytest.mark.parametrize("data", [Squares(), list(Squares()), [(np.arange(i), i) for i in range(20)]])
def test_datasets_of_single_rows_are_split_into_views(data):
    parts = random_split(data, [0.7, 0.3], seed=0, stratify=[i % 2 for i in range(20)])
    numbers = [[int(row[-1]) if data[0][0].size == 0 else int(row[0][0]) for row in part] for part in parts]
    assert [len(part) for part in parts] == [14, 6]
    assert sorted(numbers[0] + numbers[1]) == list(range(20))
    assert sum(i % 2 for i in numbers[1]) == 3
    assert parts[0][-1] is data[numbers[0][-1]] or parts[0][-1][0].tolist() == data[numbers[0][-1]][0].tolist()
    assert "14 of 20 rows" in repr(parts[0])
    with pytest.raises(IndexError):
        parts[0][14]


def test_a_part_of_single_rows_is_loaded_in_batches():
    part, _ = random_split(Squares(), [0.5, 0.5], seed=3)
    batches = list(DataLoader(part, batch_size=4, shuffle=True, seed=0))
    assert [x.shape for x, _ in batches] == [(4, 2), (4, 2), (2, 2)]
    assert sorted(int(n) for x, _ in batches for n in x[:, 0]) == part.indices


# -- scaling ------------------------------------------------------------------------------------------------------------


def test_the_training_parts_statistics_scale_everything():
    rng = np.random.default_rng(0)
    train, test = rng.normal(5.0, [1.0, 2.0, 30.0], (200, 3)), rng.normal(7.0, 3.0, (50, 3))
    scaler = StandardScaler()
    assert scaler.fit(train) is scaler
    scaled = scaler.transform(train)
    assert_allclose(scaled.mean(0), 0.0, atol=1e-12)
    assert_allclose(scaled.std(0), 1.0, rtol=1e-12)
    expected = (test - np.sum(train, 0) / 200) / np.sqrt(np.sum((train - np.sum(train, 0) / 200) ** 2, 0) / 200)
    assert_allclose(scaler.transform(test), expected, rtol=1e-12)
    assert_allclose(scaler.inverse_transform(scaler.transform(test)), test, rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e-200, -3e7])
def test_a_constant_column_is_only_shifted(value):
    train = np.column_stack([np.full(1000, value), np.arange(1000.0)])
    scaler = StandardScaler().fit(train)
    assert scaler.scale[0] == 1.0
    assert_allclose(scaler.transform(train)[:, 0], 0.0, atol=1e-7)
    assert_allclose(scaler.transform(train + 2.0)[:, 0], 2.0, rtol=1e-7)
    assert_allclose(scaler.inverse_transform(scaler.transform(train))[:, 0], value, rtol=1e-12)


def test_a_column_whose_deviations_underflow_stays_finite():
    x = np.array([[1e-200], [2e-200]])
    assert_array_equal(StandardScaler().fit(x).scale, 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_floats_keep_their_dtype_and_other_numbers_become_float64(dtype):
    x = np.array([[0, 1], [1, 1], [1, 0]]).astype(dtype)
    scaler = StandardScaler().fit(x)
    assert scaler.mean.dtype == scaler.scale.dtype == np.float64
    scaled = scaler.transform(x)
    assert scaled.dtype == (dtype if np.dtype(dtype).kind == "f" else np.float64)
    assert_allclose(scaled[:, 0], np.array([-2.0, 1.0, 1.0]) / np.sqrt(2.0), rtol=1e-6)
    assert scaler.inverse_transform(scaled).dtype == scaled.dtype
    assert_allclose(scaler.inverse_transform(scaled), x.astype(float), atol=1e-6)


def test_float32_with_a_large_mean_is_centered_in_float64():
    x = (1e6 + np.array([[0.0], [1.0], [2.0], [3.0]])).astype(np.float32)
    expected = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    assert_allclose(StandardScaler().fit(x).transform(x)[:, 0], expected, rtol=1e-6)


def test_columns_of_any_shape():
    rng = np.random.default_rng(0)
    for shape in ((), (2, 3)):
        x = rng.standard_normal((20, *shape))
        assert_allclose(StandardScaler().fit(x).transform(tg.Tensor(x)).std(0), np.ones(shape), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_statistics_that_are_not_finite(bad):
    scaler = StandardScaler()
    with pytest.raises(ArgumentError, match=r"column \[1\]"):
        scaler.fit([[1.0, 2.0], [3.0, bad], [3.0, -bad]])
    assert scaler.mean is None


def test_rows_that_cannot_be_scaled():
    for empty in (np.ones((0, 3)), 1.0):
        with pytest.raises(ShapeError, match="rows of numbers"):
            StandardScaler().fit(empty)
    scaler = StandardScaler()
    for method in (scaler.transform, scaler.inverse_transform):
        with pytest.raises(ArgumentError, match="fit"):
            method(np.ones((2, 3)))
    scaler.fit(np.arange(6.0).reshape(2, 3))
    for other in (np.ones((2, 4)), np.ones(3), 1.0):
        with pytest.raises(ShapeError, match="other columns"):
            scaler.transform(other)


def test_a_restored_scaler_scales_the_same():
    x = np.random.default_rng(0).standard_normal((20, 3))
    scaler, restored = StandardScaler().fit(x), StandardScaler()
    state = scaler.state_dict()
    restored.load_state_dict(state)
    state["mean"][...] = 7.0
    assert_array_equal(restored.transform(x), scaler.transform(x))
    restored.load_state_dict(StandardScaler().state_dict())
    assert restored.mean is None


ONES = np.ones(2)


@pytest.mark.parametrize(
    "state",
    [
        None, {}, {"mean": ONES}, {"mean": ONES, "scale": None}, {"mean": ONES, "scale": np.ones(3)},
        {"mean": ONES, "scale": np.zeros(2)}, {"mean": ONES, "scale": ONES * np.nan}, {"mean": "a", "scale": "b"},
        {"mean": ONES.astype(int), "scale": ONES},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(state):
    scaler = StandardScaler().fit(np.arange(6.0).reshape(2, 3))
    before = scaler.state_dict()
    with pytest.raises(ArgumentError, match=r"StandardScaler\.load_state_dict"):
        scaler.load_state_dict(state)
    assert_array_equal(scaler.mean, before["mean"])
    assert_array_equal(scaler.scale, before["scale"])
