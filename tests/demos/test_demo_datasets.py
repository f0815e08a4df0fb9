"""The data files are the real ones, what is loaded is what they say, and any other file is refused in words that help.

Rows are compared with the csv module's reading of the raw file, which shares no code with the loaders.
"""

import csv
import gzip
import hashlib
import re
from collections import Counter

import numpy as np
import pytest

from demos.datasets import (
    DIGITS,
    FOLDER,
    GERMAN,
    MNIST,
    SYLLABLES,
    TAIWAN,
    DataFile,
    DatasetError,
    checked,
    load_digits,
    load_german_credit,
    load_mnist,
    load_syllables,
    load_taiwan_credit,
    shuffled_digits,
    spelled,
)
from tinygrad_bn.errors import ArgumentError

LOADERS = [
    pytest.param(MNIST, load_mnist, id="mnist"),
    pytest.param(DIGITS, load_digits, id="digits"),
    pytest.param(GERMAN, load_german_credit, id="german"),
    pytest.param(TAIWAN, load_taiwan_credit, id="taiwan"),
    pytest.param(SYLLABLES, load_syllables, id="syllables"),
]
each_file = pytest.mark.parametrize(("file", "load"), LOADERS)


@pytest.fixture(scope="module")
def taiwan():
    return load_taiwan_credit(sensitive=True)


@pytest.fixture(scope="module")
def words():
    return load_syllables()


def raw(file, delimiter=","):
    """The rows of a compressed text file as dictionaries of strings."""
    with gzip.open(FOLDER / file.name, "rt", newline="") as handle:
        return list(csv.DictReader(handle, delimiter=delimiter))


def small_file(folder, content):
    (folder / "small.bin").write_bytes(content)
    return DataFile("small.bin", len(content), hashlib.sha256(content).hexdigest())


# -- images -------------------------------------------------------------------------------------------------------------


def test_mnist_has_the_published_label_counts(mnist):
    known = np.bincount(np.concatenate([mnist.train.labels, mnist.validation.labels]))
    assert known.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_pixels_are_binary_and_the_first_digit_is_the_known_five(mnist):
    for part, size in ((mnist.train, 55_000), (mnist.validation, 5_000), (mnist.test, 10_000)):
        assert part.images.shape == (size, 784)
        assert part.images.dtype == np.float32
        assert len(part) == size
    assert set(np.unique(mnist.validation.images)) == {0.0, 1.0}
    assert mnist.validation.labels[0] == 5  # the first of the 60,000 is held out
    with np.load(FOLDER / MNIST.name) as archive:
        gray = archive["x_train"][1].ravel()  # the second is the first to train on
    assert np.array_equal(mnist.train.images[0], np.where(gray >= 128, 1.0, 0.0))


def test_small_digits_have_the_published_label_counts():
    digits = load_digits()
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert digits.labels.dtype == np.int64
    assert digits.images.shape == (1797, 64)
    assert digits.images.dtype == np.float32


def test_shuffled_digits_keep_their_labels_and_follow_the_seed():
    digits, shuffled = load_digits(), shuffled_digits([7, 2])
    order = np.random.default_rng([7, 2]).permutation(1797)
    np.testing.assert_array_equal(shuffled.images, digits.images[order])
    np.testing.assert_array_equal(shuffled.labels, digits.labels[order])
    assert not np.array_equal(shuffled.labels, shuffled_digits(7).labels)


def test_small_digits_are_sixteenths_in_reading_order():
    digits = load_digits()
    with np.load(FOLDER / DIGITS.name) as archive:
        raw_images = archive["x"]
    assert set(np.unique(digits.images)) == {k / 16 for k in range(17)}
    for n in (0, 911, 1796):
        by_hand = [int(pixel) / 16 for line in raw_images[n] for pixel in line]
        assert digits.images[n].tolist() == by_hand


# -- credit -------------------------------------------------------------------------------------------------------------


def number_or_code(row, name):
    """What column ``name`` of the table should be for a raw row."""
    column, _, code = name.partition("=")
    return float(row[column] == code) if code else float(row[column])


def test_german_credit_in_full_is_seven_numbers_and_54_codes():
    table = load_german_credit(sensitive=True)
    assert table.x.shape == (1000, 61)
    assert table.x.dtype == np.float32
    assert table.y.dtype == np.int64
    assert (table.y.mean(), len(table)) == (0.3, 1000)
    assert len(set(table.names)) == 61
    assert sum("=" not in name for name in table.names) == 7
    assert table.left_out == ()
    assert np.isfinite(table.x).all()


def test_german_credit_has_every_raw_value_and_label():
    table, rows = load_german_credit(sensitive=True), raw(GERMAN)
    expected = [[number_or_code(row, name) for name in table.names] for row in rows]
    assert table.x.tolist() == expected
    assert table.y.tolist() == [int(row["class"] == "2") for row in rows]


def test_each_code_column_of_the_german_table_is_one_for_exactly_one_code_a_row():
    table = load_german_credit(sensitive=True)
    sources = np.array([name.partition("=")[0] for name in table.names])
    coded = Counter(name.partition("=")[0] for name in table.names if "=" in name)
    assert len(coded) == 13
    for source in coded:
        assert np.array_equal(table.x[:, sources == source].sum(axis=1), np.ones(1000))
    purposes = [name for name in table.names if name.startswith("purpose")]
    assert purposes[-2:] == ["purpose=A49", "purpose=A410"]  # as the code table has them
    assert "purpose=A47" not in purposes  # no row has it


def test_taiwan_credit_in_full_is_23_columns_and_the_published_defaults(taiwan):
    assert taiwan.x.shape == (30_000, 23)
    assert taiwan.x.dtype == np.float32
    assert taiwan.y.dtype == np.int64
    assert np.bincount(taiwan.y).tolist() == [23_364, 6_636]
    assert taiwan.left_out == ()
    assert np.isfinite(taiwan.x).all()
    assert taiwan.names[5:7] == ("PAY_0", "PAY_2")


def test_taiwan_credit_rows_are_those_of_the_file_and_exact_in_float32(taiwan):
    rows = raw(TAIWAN)
    for n in (0, 1, 14_999, 29_999):
        assert taiwan.x[n].tolist() == [int(rows[n][name]) for name in taiwan.names]
    assert taiwan.y.tolist() == [int(row["DEFAULT"]) for row in rows]
    for name in ("LIMIT_BAL", "BILL_AMT3", "PAY_AMT2"):  # the greatest amounts
        assert taiwan.x[:, taiwan.names.index(name)].tolist() == [int(row[name]) for row in rows]


def test_taiwan_credit_has_the_ranges_and_the_undocumented_codes_the_readme_names(taiwan):
    column = dict(zip(taiwan.names, taiwan.x.T))
    pays = np.stack([values for name, values in column.items() if re.fullmatch(r"PAY_\d", name)])
    assert pays.shape == (6, 30_000)
    assert set(np.unique(pays)) == set(range(-2, 9))
    education, marriage = Counter(column["EDUCATION"].tolist()), Counter(column["MARRIAGE"].tolist())
    assert [education[code] for code in (0, 5, 6)] == [14, 280, 51]
    assert marriage[0] == 54
    assert column["BILL_AMT1"].min() < 0
    assert (column["AGE"].min(), column["AGE"].max()) == (21, 79)
    rows = Counter(map(tuple, np.column_stack([taiwan.x, taiwan.y]).tolist()))
    assert sum(count - 1 for count in rows.values()) == 35


@pytest.mark.parametrize(
    ("load", "sensitive", "width"),
    [
        (load_german_credit, ("personal_status_sex", "age", "foreign_worker"), 54),
        (load_taiwan_credit, ("SEX", "EDUCATION", "MARRIAGE", "AGE"), 19),
    ],
)
def test_sensitive_columns_are_absent_unless_asked_for(load, sensitive, width):
    without, full = load(), load(sensitive=True)
    assert without.left_out == sensitive
    assert without.x.shape == (len(full), width)
    assert not {name.partition("=")[0] for name in without.names} & set(sensitive)
    assert {name.partition("=")[0] for name in full.names} >= set(sensitive)
    kept = [full.names.index(name) for name in without.names]
    assert np.array_equal(without.x, full.x[:, kept])
    assert np.array_equal(without.y, full.y)


def test_rows_of_a_table_keep_their_labels_and_names(taiwan):
    part = taiwan[[7, 29_999]]
    assert np.array_equal(part.x, taiwan.x[[7, 29_999]])
    assert part.y.tolist() == [taiwan.y[7], taiwan.y[29_999]]
    assert (part.names, part.left_out, len(part)) == (taiwan.names, taiwan.left_out, 2)


# -- words --------------------------------------------------------------------------------------------------------------


def test_words_and_syllables_are_those_of_the_file(words):
    rows = raw(SYLLABLES, delimiter="\t")
    assert words.words == tuple(row["word"] for row in rows)
    assert words.syllables.tolist() == [int(row["syllables"]) for row in rows]
    assert words.syllables.dtype == np.int64
    assert len(words) == len(set(words.words)) == 117_485
    assert np.bincount(words.syllables).tolist() == [0, 15106, 54063, 32395, 11739, 3342, 712, 110, 15, 2, 0, 0, 1]


def test_words_are_in_alphabetical_order_and_known_ones_have_their_syllables(words):
    assert list(words.words) == sorted(words.words)
    count = dict(zip(words.words, words.syllables.tolist()))
    assert [count[word] for word in ("cat", "normal", "gradient", "antidisestablishmentarianism")] == [1, 2, 3, 12]


def test_spelled_words_can_be_read_back(words):
    codes = spelled(words.words, 28)
    assert codes.shape == (117_485, 28)
    assert codes.dtype == np.uint8
    for n in range(0, len(words), 997):
        letters = [" abcdefghijklmnopqrstuvwxyz"[code] for code in codes[n]]
        assert "".join(letters) == words.words[n] + " " * (28 - len(words.words[n]))
    assert np.array_equal((codes > 0).sum(axis=1), [len(word) for word in words.words])


def test_spelled_of_three_short_words():
    assert spelled(["cab", "z", "adieu"], 5).tolist() == [[3, 1, 2, 0, 0], [26, 0, 0, 0, 0], [1, 4, 9, 5, 21]]
    assert spelled([], 5).shape == (0, 5)


@pytest.mark.parametrize("word", ["", "toolong", "Cab", "it's", "caf\u00e9", "a b", "ab\n", "`"])
def test_a_word_that_does_not_fit_is_named(word):
    with pytest.raises(ArgumentError, match="1 to 6 letters a to z") as caught:
        spelled(["fine", word], 6)
    assert repr(word) in str(caught.value)


def test_rows_without_letters_are_refused():
    with pytest.raises(ArgumentError, match="length=0"):
        spelled(["a"], 0)


# -- files that are not the ones they should be -------------------------------------------------------------------------


def test_the_readme_has_the_hash_of_every_data_file():
    listed = dict(re.findall(r"^\| `([0-9a-f]{64})` \| `(.+)` \|$", (FOLDER / "README.md").read_text(), re.M))
    data = [path for path in FOLDER.iterdir() if path.suffix in {".npz", ".gz"} or path.name.endswith(".codes.txt")]
    assert listed == {hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in data}
    for file in (MNIST, DIGITS, GERMAN, TAIWAN, SYLLABLES):
        assert listed[file.sha256] == file.name


def test_every_data_file_has_a_notice_that_names_it():
    notices = "".join(path.read_text() for path in FOLDER.glob("LICENSE-*.md"))
    for file in (MNIST, DIGITS, GERMAN, TAIWAN, SYLLABLES):
        assert f"# License of `{file.name}`" in notices
    cmudict = (FOLDER / "LICENSE-cmudict.txt").read_bytes()  # to be kept as it is
    assert hashlib.sha256(cmudict).hexdigest() == "bd4ce8e44170a5f9f481310ca85c51de3c4f851a65e679b40e603b143bd3542a"


def test_a_whole_file_passes(tmp_path):
    file = small_file(tmp_path, b"twelve bytes")
    assert checked(file, tmp_path) == tmp_path / "small.bin"


@each_file
def test_a_missing_file_is_named_with_the_way_to_restore_it(file, load, tmp_path):
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path / file.name}: no such file")) as caught:
        load(folder=tmp_path)
    assert f"git checkout -- demos/data/{file.name}" in str(caught.value)
    assert str(file.size) in str(caught.value)


@each_file
def test_a_truncated_file_says_how_long_it_is_and_should_be(file, load, tmp_path):
    whole = (FOLDER / file.name).read_bytes()
    (tmp_path / file.name).write_bytes(whole[:-1])
    with pytest.raises(DatasetError, match="truncated") as caught:
        load(folder=tmp_path)
    assert f"{len(whole) - 1} bytes" in str(caught.value)
    assert f"{len(whole)} bytes" in str(caught.value)


@each_file
def test_one_flipped_bit_is_found(file, load, tmp_path):
    content = bytearray((FOLDER / file.name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file.name).write_bytes(content)
    with pytest.raises(DatasetError, match="altered") as caught:
        load(folder=tmp_path)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert file.sha256 in str(caught.value)


def test_a_longer_file_is_called_altered(tmp_path):
    file = small_file(tmp_path, b"twelve bytes")
    with (tmp_path / file.name).open("ab") as handle:
        handle.write(b"!")
    with pytest.raises(DatasetError, match="altered"):
        checked(file, tmp_path)


def test_a_folder_in_the_files_place_cannot_be_read(tmp_path):
    (tmp_path / "mnist.npz").mkdir()
    with pytest.raises(DatasetError, match="cannot be read"):
        load_mnist(tmp_path)
