"""The data files are the real ones, and a file that is not is refused with words that help."""

import hashlib
import re

import numpy as np
import pytest

from demos.datasets import FOLDER, MNIST, DataFile, DatasetError, checked, load_mnist


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def small_file(folder, content):
    (folder / "small.bin").write_bytes(content)
    return DataFile("small.bin", len(content), hashlib.sha256(content).hexdigest())


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


def test_a_whole_file_passes(tmp_path):
    file = small_file(tmp_path, b"twelve bytes")
    assert checked(file, tmp_path) == tmp_path / "small.bin"


def test_a_missing_file_is_named_with_the_way_to_restore_it(tmp_path):
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path / 'mnist.npz'}: no such file")) as caught:
        load_mnist(tmp_path)
    assert "git checkout -- demos/data/mnist.npz" in str(caught.value)
    assert str(MNIST.size) in str(caught.value)


def test_a_truncated_file_says_how_long_it_is_and_should_be(tmp_path):
    whole = (FOLDER / MNIST.name).read_bytes()
    (tmp_path / MNIST.name).write_bytes(whole[:-1])
    with pytest.raises(DatasetError, match="truncated") as caught:
        load_mnist(tmp_path)
    assert "11490518 bytes" in str(caught.value)
    assert "11490519 bytes" in str(caught.value)


def test_one_flipped_bit_is_found(tmp_path):
    content = bytearray((FOLDER / MNIST.name).read_bytes())
    content[5_000_000] ^= 1
    (tmp_path / MNIST.name).write_bytes(content)
    with pytest.raises(DatasetError, match="altered") as caught:
        load_mnist(tmp_path)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert MNIST.sha256 in str(caught.value)


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
