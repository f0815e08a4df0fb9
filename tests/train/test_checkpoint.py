"""Checkpoints: everything comes back, PyTorch's weights load, no moment leaves half a file, bad files change nothing."""

import gzip
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections import OrderedDict
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import tinygrad_bn as tg
from tests.train.interrupted import interrupted_at, some_of
from tinygrad_bn import nn, optim
from tinygrad_bn.data import ArrayDataset, DataLoader, StandardScaler
from tinygrad_bn.errors import ArgumentError, DTypeError, TinygradError
from tinygrad_bn.random import generator
from tinygrad_bn.train import CheckpointError, load_checkpoint, save_checkpoint

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)).astype(np.float32), np.arange(20) % 2


class Setup:
    """A model and all that trains it, somewhere in the middle of an epoch."""

    def __init__(self, seed, steps=0):
        tg.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))
        self.optimizer = optim.Adam(self.model.named_parameters(), lr=0.01)
        self.schedule = optim.OneCycleLR(self.optimizer, 0.1, total_steps=30)
        self.loader = DataLoader(ArrayDataset(X, Y), 4, shuffle=True, seed=seed)
        self.scaler = StandardScaler()
        self.train(steps)

    def train(self, steps):
        """Some steps, from the batch on where the loader is."""
        self.loader.load_state_dict(self.loader.state_dict())
        batches = chain.from_iterable(self.loader for _ in range(steps + 1))
        for x, y in islice(batches, steps):
            self.optimizer.zero_grad()
            tg.functional.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
            self.schedule.step()

    @property
    def parts(self):
        return vars(self)

    def everything(self):
        """All state as bytes and text, to compare bit for bit."""
        found = {name: repr(frozen(part.state_dict())) for name, part in self.parts.items()}
        return {"rng": repr(generator().bit_generator.state), **found}


def frozen(value):
    if isinstance(value, np.ndarray):
        return (value.dtype.name, value.shape, value.tobytes())
    if isinstance(value, dict):
        return {key: frozen(inner) for key, inner in value.items()}
    return [frozen(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def written(path, tensors=None, **text):
    """A file with any metadata text at all."""
    metadata = {"tinygrad_bn": text["raw"] if "raw" in text else json.dumps(text)} if text else None
    path.write_bytes(safetensors.numpy.save(tensors or {}, metadata=metadata))
    return path


def text_of(path):
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["tinygrad_bn"])


# -- everything comes back ------------------------------------------------------------------------------------------------


def test_all_parts_and_the_generator_come_back_bit_for_bit(tmp_path):
    path = tmp_path / "run.safetensors"
    saved = Setup(0, steps=7)
    saved.scaler.fit(X)
    extra = {
        "note": "μ",
        "best": np.float32(0.5),
        "none": None,
        "grid": [1, [2.5, True]],
        "mean": np.arange(3),
        "0": {},
    }
    save_checkpoint(path, extra=extra, **saved.parts)
    before = saved.everything()
    loaded = Setup(1, steps=2)
    returned = load_checkpoint(path, **loaded.parts)
    assert loaded.everything() == before
    assert_array_equal(returned.pop("mean"), [0, 1, 2])
    assert returned == {"note": "μ", "best": 0.5, "none": None, "grid": [1, [2.5, True]], "0": {}}
    saved_rng = generator().bit_generator.state
    saved.train(5)
    generator().bit_generator.state = saved_rng
    loaded.train(5)
    assert loaded.everything() == saved.everything()


def test_layouts_and_special_values_come_back(tmp_path):
    model = nn.Module()
    model.weight = nn.Parameter(np.asfortranarray([[1.0, np.nan, np.inf], [-0.0, 5e-324, -np.inf]]))
    model.register_buffer("empty", np.ones((0, 2), np.float16))
    model.register_buffer("count", np.array(2**62))
    model.register_buffer("mask", np.array([True, False]))
    path = tmp_path / "weights"
    save_checkpoint(path, model=model)
    before = frozen(model.state_dict())
    strides = model.weight.numpy().strides
    for tensor in (model.weight, model.count, model.mask):
        tensor.data = np.zeros(tensor.shape, tensor.dtype)
    load_checkpoint(path, model=model)
    assert frozen(model.state_dict()) == before
    assert model.weight.numpy().strides == strides


def test_the_generator_can_be_left_out(tmp_path):
    path = tmp_path / "weights"
    model = nn.Linear(2, 2)
    tg.manual_seed(1)
    save_checkpoint(path, model=model, rng=False)
    state = generator().bit_generator.state
    load_checkpoint(path, model=model)
    assert generator().bit_generator.state == state
    save_checkpoint(path, model=model)
    tg.manual_seed(2)
    load_checkpoint(path, model=model, rng=False)
    assert generator().bit_generator.state == np.random.default_rng(2).bit_generator.state
    load_checkpoint(path, model=model)
    assert generator().bit_generator.state == state


def test_a_model_alone_is_taken_out_of_a_whole_run(tmp_path):
    path = tmp_path / "run"
    saved, fresh = Setup(0, steps=3), Setup(1)
    save_checkpoint(path, **saved.parts, nothing=None)
    assert load_checkpoint(path, model=fresh.model, scheduler=None) is None
    assert frozen(fresh.model.state_dict()) == frozen(saved.model.state_dict())


# -- PyTorch --------------------------------------------------------------------------------------------------------------


def torch_model(dtype=torch.float32):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(4, 2)
    )
    model(torch.tensor(X))
    return model.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_a_pytorch_model_load_as_they_are(tmp_path, dtype):
    theirs = torch_model(dtype)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    ours = Setup(1).model
    load_checkpoint(tmp_path / "weights.safetensors", model=ours)
    for name, tensor in theirs.state_dict().items():
        assert_array_equal(ours.state_dict()[name], tensor.to(torch.float32).numpy())
    assert ours[1].num_batches_tracked.item() == 1


def test_pytorch_reads_our_weights(tmp_path):
    ours = Setup(3, steps=2).model
    save_checkpoint(tmp_path / "weights.safetensors", model=ours)
    theirs = torch_model()
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    ours.eval()
    with tg.no_grad():
        np.testing.assert_allclose(
            ours(X).numpy(), theirs.eval()(torch.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6
        )


# -- never half a file ----------------------------------------------------------------------------------------------------


KILLED_WHILE_SAVING = """
import json, os, signal, sys
import numpy as np
from tinygrad_bn import nn
from tinygrad_bn.train import save_checkpoint

path, points = sys.argv[1], json.loads(sys.argv[2])
old, new = nn.Linear(50, 40), nn.Linear(50, 40)
old.weight.data, new.weight.data = np.zeros((40, 50)), np.ones((40, 50))
outcomes = []
for function, call, after in points:
    save_checkpoint(path, model=old, rng=False)
    child = os.fork()
    if not child:
        real, calls = getattr(os, function), 0
        def dying(*args):
            global calls
            calls += 1
            if calls == call and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args)
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        setattr(os, function, dying)
        save_checkpoint(path, model=new, rng=False)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    outcomes.append([os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, open(path, "rb").read().hex()])
print(json.dumps(outcomes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_killed_at_each_step_of_writing_leaves_the_old_file_or_the_new(tmp_path):
    points = [(f, call, after) for f, call in (("fsync", 1), ("replace", 1), ("fsync", 2)) for after in (0, 1)]
    points = [("open", 1, 1), *points, ("close", 1, 1)]
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path / "run"), json.dumps(points)]
    output = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout
    outcomes = json.loads(output)
    assert [number for number, _ in outcomes] == [signal.SIGKILL] * len(points)
    found = []
    for _, content in outcomes:
        (tmp_path / "copy").write_bytes(bytes.fromhex(content))
        model = nn.Linear(50, 40)
        load_checkpoint(tmp_path / "copy", model=model)
        found.append(set(model.weight.numpy().ravel()))
    assert found == [{0.0}] * 4 + [{1.0}] * 4  # the new file from the moment it was renamed


# -- bad files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "run"
    setup = Setup(0, steps=3)
    setup.scaler.fit(X)
    save_checkpoint(path, **setup.parts)
    return path


def refused(path, parts):
    """Whether a file is refused with the library's own error, having changed nothing."""
    setup = Setup(1)
    before = setup.everything()
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path, **{name: vars(setup)[name] for name in parts})
    assert str(path) in str(error.value)
    assert setup.everything() == before
    return str(error.value)


ALL = ["model", "optimizer", "schedule", "loader", "scaler"]


def test_truncated_anywhere(good, tmp_path):
    content = good.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for length in [1, 7, 8, 9, start - 1, start, start + 1, (start + len(content)) // 2, len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:length])
        assert "not a whole safetensors file" in refused(tmp_path / "cut", ALL)
    (tmp_path / "cut").write_bytes(content + b"\0")
    assert "not a whole safetensors file" in refused(tmp_path / "cut", ALL)


@pytest.mark.parametrize(
    "content",
    [
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        (10**8 + 1).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"\xff\xfe",
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        (61).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[4294967295,4294967295,99],"data_offsets":[0,4]}}',
    ],
    ids=["huge", "large", "list", "no text", "deep", "overflow"],
)
def test_foreign_and_hostile_files(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert "not a whole safetensors file" in refused(tmp_path / "file", ALL)


def saved_by_numpy(path):
    np.savez(path, a=np.ones(1))
    Path(f"{path}.npz").rename(path)


def saved_as_array(path):
    with open(path, "wb") as file:
        np.save(file, np.ones(3))


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")


OTHER_KINDS = {
    "npz": (saved_by_numpy, ".npz"),
    "npy": (saved_as_array, ".npy"),
    "pt": (lambda path: torch.save({"a": torch.ones(1)}, path), "torch.save"),
    "old pt": (lambda path: torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=False), "pickle"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "pickle"),
    "zip": (zipped, "zip archive"),
    "cut zip": (lambda path: path.write_bytes(b"PK\x03\x04 cut"), "damaged zip archive"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x")), "gzip"),
    "hdf5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n and so on"), "HDF5"),
    "gguf": (lambda path: path.write_bytes(b"GGUF\3\0\0\0 and so on"), "GGUF"),
    "log": (lambda path: path.write_text('{"epoch": 1, "loss": 0.5}\n'), "log of a run"),
    "list": (lambda path: path.write_text(" [1, 2]"), "JSON"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path, kind):
    make, name = OTHER_KINDS[kind]
    make(tmp_path / "file")
    message = refused(tmp_path / "file", ["model"])
    assert name in message
    assert "to fix:" in message
    assert "not a whole" not in message


def test_any_lost_bit_is_noticed(good, tmp_path):
    content = good.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    places = [*range(0, start, 7), *range(start, len(content), 41), len(content) - 1]
    marks = [content.index(mark) for mark in (b"tinygrad_bn", b"sha256", b"version", b"__metadata__")]
    places += [mark + i for mark in marks for i in range(12)]
    setup = Setup(1)
    before = setup.everything()
    for number, place in enumerate(places):
        changed = bytearray(content)
        changed[place] ^= 1 << number % 8
        (tmp_path / "changed").write_bytes(changed)
        for parts in (setup.parts, {"model": setup.model}):  # a model alone would load from a foreign file, too
            with pytest.raises(CheckpointError):
                load_checkpoint(tmp_path / "changed", **parts)
    assert setup.everything() == before


def test_files_without_a_checksum_are_those_of_version_1(good, tmp_path):
    load_checkpoint(changes(good, tmp_path, lambda text: None), **Setup(1).parts)
    assert "no checksum" in refused(changes(good, tmp_path, put("version", to=2)), ALL)
    text = {**text_of(good), "sha256": "0" * 64}
    path = written(tmp_path / "forged", safetensors.numpy.load(good.read_bytes()), **text)
    assert "checksum does not fit" in refused(path, ALL)


def test_a_checksum_among_what_is_saved_is_not_taken_for_the_files_own(tmp_path):
    part = Counter('{"sha256": "' + "0" * 64)
    for extra in (part.count, {'{"sha256": "': '\\"sha256\\": \\"' + "0" * 64}):
        save_checkpoint(tmp_path / "run", part=part, extra=extra)
        assert load_checkpoint(tmp_path / "run", part=part) == extra


def mutated(content, rng):
    """Bytes with something wrong: bits, stretches of zeros or noise, pieces cut out, moved or put in twice."""
    out = bytearray(content)
    start = 8 + int.from_bytes(content[:8], "little")
    for _ in range(rng.integers(1, 4)):
        end = start if rng.random() < 0.7 else len(out)
        a = int(rng.integers(0, end))
        b = min(len(out), a + int(rng.integers(1, 40)))
        kind = rng.integers(6)
        if kind == 0:
            out[a] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[a:b] = bytes(b - a)
        elif kind == 2:
            out[a:b] = rng.bytes(b - a)
        elif kind == 3:
            del out[a:b]
        elif kind == 4:
            out[a:a] = out[a:b]
        else:
            swapped = rng.choice([b'"', b"}", b"-1", b"1e999", b"null", b"\\u001b[2J", b"\\ud800", b"9" * 30])
            out[a:b] = swapped
    return bytes(out)


HOSTILE = [
    -1, 0, 2**63, 10**400, 1e308, math.inf, -math.inf, math.nan, None, True, "", "\x1b[2J\x07", "\ud800", [], {}, [[]],
    {"$tensor": "0.weight"}, {"$tensor": "1.num_batches_tracked"}, {"$tensor": "nowhere"}, {"\x1b[2J": 1},
]  # fmt: skip


def poisoned(rng):
    """A change of the text: one value anywhere in it becomes something hostile, or an entry goes."""

    def change(text):
        holder = text
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = keys[rng.integers(len(keys))]
            if isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.9:
                holder = holder[key]
                continue
            if rng.random() < 0.1:
                del holder[key]
            else:
                holder[key] = HOSTILE[rng.integers(len(HOSTILE))]
            return

    return change


def attacked(good, path, count, seed):
    """Load damaged files; returns how many were refused and how many loaded.

    Nothing but the library's own error may come, nothing may have changed then, and no message may steer a terminal.
    Without a checksum a damaged number may load; with it nothing does.
    """
    rng = np.random.default_rng(seed)
    content = good.read_bytes()
    weights = safetensors.numpy.save(Setup(0).model.state_dict())
    refusals = 0
    for number in range(count):
        if number % 3 == 1:  # without a checksum, so that what stands behind it is tried
            damaged = changes(good, path.parent, poisoned(rng)).read_bytes()
        else:
            damaged = mutated(content if number % 3 == 0 else weights, rng)
        path.write_bytes(damaged)
        setup = Setup(1)
        parts = setup.parts if number % 2 else {"model": setup.model}
        before = setup.everything()
        said = None
        try:
            load_checkpoint(path, strict=bool(number % 5), **parts)
        except CheckpointError as error:
            said = str(error)
        if said is None:
            assert number % 3 or damaged == content, number
            continue
        refusals += 1
        assert all(c.isprintable() or c == "\n" for c in said)
        assert setup.everything() == before, number
    return refusals, count - refusals


def test_damaged_files_are_refused_in_our_words_and_change_nothing(good, tmp_path):
    refusals, loads = attacked(good, tmp_path / "file", 120, seed=0)
    assert refusals > 60
    assert loads > 0


def test_what_a_file_says_never_steers_a_terminal(tmp_path):
    nasty = "\x1b]0;gone\x07\x1b[2J\u202e\x9b"
    save_checkpoint(tmp_path / "run", **{nasty: Counter(1)})
    for path, parts in (("run", {"model": nn.Linear(2, 2)}), ("arrays", {"model": nn.Linear(2, 2)})):
        if path == "arrays":
            written(tmp_path / path, {nasty: np.ones(1), f"{nasty}2": np.ones((1, 2))})
        with pytest.raises(CheckpointError) as error:
            load_checkpoint(tmp_path / path, **parts)
        assert all(c.isprintable() or c == "\n" for c in str(error.value))
        assert "\\x1b]0;gone" in str(error.value)
    written(tmp_path / "arrays", {nasty: np.ones(1), "bias": np.ones(2, np.float32)})
    report = load_checkpoint(tmp_path / "arrays", model=nn.Linear(2, 2), strict=False)
    assert "\x1b" not in str(report)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_changed_byte_in_the_header_never_does_anything_else(good, tmp_path_factory, position, change):
    content = bytearray(good.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[position % start] ^= change
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(content)
    setup = Setup(1)
    before = setup.everything()
    try:
        load_checkpoint(path, **setup.parts)
    except CheckpointError:
        assert setup.everything() == before
    else:  # a digit of a number, say; still a state that fits
        assert setup.loader.position <= len(setup.loader)


def changes(good, tmp_path, change, drop=()):
    tensors = safetensors.numpy.load(good.read_bytes())
    text = text_of(good)
    text["version"] = 1  # without a checksum, so that what comes after it is reached
    del text["sha256"]
    text = change(text) or text
    for name in drop:
        del tensors[name]
    return written(tmp_path / "changed", tensors, **text)


def put(*path, to):
    def change(text):
        for step in path[:-1]:
            text = text[step]
        text[path[-1]] = to

    return change


BROKEN = {
    "version": (put("version", to=3), "another version"),
    "missing version": (lambda text: text.pop("version") and None, "another version"),
    "unknown entry": (put("more", to=1), "metadata is damaged"),
    "parts no dict": (put("parts", to=[]), "metadata is damaged"),
    "part missing": (lambda text: text["parts"].pop("loader") and None, "no state for: loader"),
    "reference to nothing": (put("parts", "scaler", "mean", to={"$tensor": "nowhere"}), "array is missing"),
    "reference to a number": (put("extra", to={"$tensor": 1}), "array is missing"),
    "model no dict": (put("parts", "model", to=[]), "state for model"),
    "model name lacking": (lambda text: text["parts"]["model"].pop("0.bias") and None, "missing 0.bias"),
    "model text": (put("parts", "model", "0.bias", to="zero"), "state for model"),
    "model shape": (put("parts", "model", "0.bias", to={"$tensor": "0.weight"}), "0.bias has shape"),
    "optimizer": (put("parts", "optimizer", "optimizer", to="SGD"), "state for optimizer"),
    "optimizer array": (put("parts", "optimizer", "state", "0.bias", "exp_avg", to={"$tensor": "0.weight"}), "exp_avg"),
    "optimizer groups": (
        put("parts", "optimizer", "param_groups", 0, "params", to={"$tensor": "0.weight"}),
        "optimizer",
    ),
    "negative rate": (put("parts", "optimizer", "param_groups", 0, "lr", to=-1.0), "lr is out of range"),
    "huge rate": (put("parts", "optimizer", "param_groups", 0, "lr", to=10**4000), "lr is out of range"),
    "huge base rate": (put("parts", "schedule", "base_lrs", to=[10**400]), "base_lrs do not fit"),
    "infinite base rate": (put("parts", "schedule", "base_lrs", to=[math.inf]), "base_lrs do not fit"),
    "schedule": (put("parts", "schedule", "last_epoch", to=31), "last_epoch"),
    "loader": (put("parts", "loader", "position", to=-1), "state for loader"),
    "scaler": (put("parts", "scaler", "scale", to=None), "state for scaler"),
    "rng": (put("rng", to={"bit_generator": "MT19937"}), "state for rng"),
    "rng text": (put("rng", "state", "state", to="x"), "state for rng"),
    "rng list": (put("rng", to=[1, 2]), "state for rng"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_metadata_that_does_not_fit(good, tmp_path, case):
    change, message = BROKEN[case]
    assert message in refused(changes(good, tmp_path, change), ALL)


def test_an_array_that_is_missing(good, tmp_path):
    for name in ("0.weight", "optimizer/state/0.weight/exp_avg"):
        assert name in refused(changes(good, tmp_path, lambda text: None, drop=[name]), ALL)


@pytest.mark.parametrize("raw", ["", "{", "[1", '"text"', "[]", "null", "[" * 10**5, "1" * 10**5])
def test_metadata_that_is_no_text_of_ours(tmp_path, raw):
    message = refused(written(tmp_path / "file", raw=raw), ["model"])
    assert "metadata is damaged" in message or "another version" in message


def test_metadata_too_deep_for_us_but_not_for_json(tmp_path):
    for depth in range(100, 2000, 50):
        raw = '{"version": 1, "parts": {}, "rng": null, "extra": ' + "[" * depth + "]" * depth + "}"
        path = written(tmp_path / "file", raw=raw)
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            assert "metadata is damaged" in str(error)  # noqa: PT017
            break
    else:
        pytest.fail("no depth was too deep")


def test_weights_of_another_model(tmp_path):
    safetensors.torch.save_file({"0.weight": torch.zeros(4, 4), "head": torch.zeros(1)}, tmp_path / "file")
    message = refused(tmp_path / "file", ["model"])
    assert "0.weight has shape (4, 4), expected (4, 3)" in message
    assert "unexpected head" in message
    assert "missing 4.bias" in message
    assert "no state for: optimizer" in refused(tmp_path / "file", ["model", "optimizer"])


def test_a_dtype_that_numpy_does_not_have(tmp_path):
    safetensors.torch.save_file({"weight": torch.zeros(2).to(torch.float8_e4m3fn)}, tmp_path / "file")
    assert "weight has a dtype" in refused(tmp_path / "file", ["model"])


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "nothing", model=nn.Linear(2, 2))
    with pytest.raises(IsADirectoryError):
        load_checkpoint(tmp_path, model=nn.Linear(2, 2))


class Counter:
    """A part of the user's own, which knows nothing of checks beforehand."""

    def __init__(self, count):
        self.count = count

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def test_parts_of_ones_own_come_back_and_are_put_back_when_a_later_one_does_not_fit(tmp_path):
    path = tmp_path / "run"
    save_checkpoint(path, counter=Counter(5), model=nn.Linear(2, 2))
    counter = Counter(1)
    load_checkpoint(path, counter=counter)
    assert counter.count == 5
    counter.count = 1
    with pytest.raises(CheckpointError, match="state for model does not fit"):
        load_checkpoint(path, counter=counter, model=nn.Linear(2, 3))
    assert counter.count == 1


class HalfLoading(Counter):
    """Changes something before it finds out that the rest does not fit."""

    def load_state_dict(self, state):
        self.count = state["count"]
        if self.count < 0:
            raise ValueError("below zero")


def test_a_part_that_loads_half_is_put_back_too(tmp_path):
    save_checkpoint(tmp_path / "run", first=Counter(5), half=HalfLoading(-1), model=nn.Linear(2, 2))
    first, half = Counter(1), HalfLoading(2)
    with pytest.raises(CheckpointError, match=r"state for half does not fit\nbelow zero"):
        load_checkpoint(tmp_path / "run", first=first, half=half)
    assert (first.count, half.count) == (1, 2)


class Failing(Counter):
    """A part whose check was not the conversion itself: it fails, or is interrupted, when the others have changed."""

    error = ValueError("late")

    def prepare_load(self, state):
        def commit():
            self.count = "half"
            raise self.error

        return commit


@pytest.mark.parametrize("error", [ValueError("late"), KeyboardInterrupt()])
def test_nothing_is_half_loaded_even_if_a_part_fails_late(good, tmp_path, monkeypatch, error):
    monkeypatch.setattr(Failing, "error", error)
    saved = Setup(0, steps=3)
    saved.scaler.fit(X)
    save_checkpoint(tmp_path / "run", **saved.parts, zlast=Failing(5))
    setup, failing = Setup(1, steps=2), Failing(1)
    failing.load_state_dict = lambda state: setattr(failing, "count", state["count"])
    before = setup.everything()
    with pytest.raises(CheckpointError if isinstance(error, ValueError) else KeyboardInterrupt):
        load_checkpoint(tmp_path / "run", **setup.parts, zlast=failing)
    assert setup.everything() == before
    assert failing.count == 1


def test_ctrl_c_at_any_line_of_loading_leaves_the_old_state_or_the_new(good):
    new = Setup(1)
    before = new.everything()
    lines = interrupted_at(0, lambda: load_checkpoint(good, **new.parts))
    after = new.everything()
    assert before != after
    late = range(lines - 200, lines, 9)  # where the changes are
    for line in [*some_of(lines, 20), *late]:
        setup = Setup(1)
        before = setup.everything()
        assert interrupted_at(int(line), lambda setup=setup: load_checkpoint(good, **setup.parts)) == line
        assert setup.everything() in (before, after)


# -- a part of a file -----------------------------------------------------------------------------------------------------


def test_what_fits_is_loaded_and_what_did_not_is_said(tmp_path):
    path = written(
        tmp_path / "file",
        {"0.weight": np.ones((3, 2), np.float32), "0.bias": np.zeros(3, np.float32), "aux": np.ones(1),
         "1.weight": np.ones((10, 3), np.float32)},
    )  # fmt: skip
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    before = model.state_dict()
    report = load_checkpoint(path, model=model, strict=False)
    assert report.loaded == ["0.weight", "0.bias"]
    assert report.missing == ["1.bias"]
    assert report.unexpected == ["aux"]
    assert report.misfit == ["1.weight (10, 3), expected (2, 3)"]
    assert report.extra is None
    assert str(report).splitlines() == [
        "loaded 2 of 4 arrays", "  missing: 1.bias", "  unexpected: aux", "  misfit: 1.weight (10, 3), expected (2, 3)",
    ]  # fmt: skip
    after = model.state_dict()
    assert_array_equal(after["0.weight"], np.ones((3, 2)))
    for name in ("1.weight", "1.bias"):
        assert_array_equal(after[name], before[name])


def test_pytorch_takes_and_leaves_the_same_arrays(tmp_path):
    theirs = torch_model()
    their_state = {name: t for name, t in theirs.state_dict().items() if not name.startswith("4")}
    their_state["5.weight"] = torch.ones(2)
    safetensors.torch.save_file(their_state, tmp_path / "file")
    ours, other = Setup(1).model, torch_model()
    found = other.load_state_dict(their_state, strict=False)
    report = load_checkpoint(tmp_path / "file", model=ours, strict=False)
    assert (sorted(report.missing), report.unexpected) == (sorted(found.missing_keys), found.unexpected_keys)
    for name in report.loaded:
        assert_array_equal(ours.state_dict()[name], their_state[name].numpy())


def test_a_shared_array_is_loaded_under_any_of_its_names(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    for name in ("0.weight", "1.weight"):
        model[0].weight.data = np.zeros((2, 2), np.float32)
        path = written(tmp_path / "file", {name: np.ones((2, 2), np.float32)})
        load_checkpoint(path, model=model, strict=False)
        assert_array_equal(model[1].weight.numpy(), np.ones((2, 2)))


def test_a_file_of_which_nothing_fits_is_a_mistake(tmp_path):
    path = written(tmp_path / "file", {"encoder.weight": np.ones((2, 2))})
    model = nn.Linear(2, 2)
    before = frozen(model.state_dict())
    with pytest.raises(CheckpointError, match=r"no array fits the model\n.*encoder.weight\n.*weight, bias"):
        load_checkpoint(path, model=model, strict=False)
    assert frozen(model.state_dict()) == before


def test_other_parts_fit_as_a_whole_or_not_at_all(tmp_path):
    saved, setup = Setup(0, steps=3), Setup(1)
    save_checkpoint(tmp_path / "run", **saved.parts, extra=7)
    report = load_checkpoint(tmp_path / "run", strict=False, **setup.parts)
    assert report.extra == 7
    assert report.missing == report.unexpected == report.misfit == []
    assert setup.everything() == saved.everything()
    setup.optimizer = optim.SGD(setup.model.parameters(), lr=0.1)
    setup.schedule = None
    before = frozen(setup.model.state_dict())
    with pytest.raises(CheckpointError, match="state for optimizer does not fit"):
        load_checkpoint(tmp_path / "run", strict=False, model=setup.model, optimizer=setup.optimizer)
    assert frozen(setup.model.state_dict()) == before


# -- what cannot be saved -------------------------------------------------------------------------------------------------


class Stateful:
    def __init__(self, state):
        self.state_dict = lambda: state


@pytest.mark.parametrize(
    "state",
    [{"f": len}, {"x": {1, 2}}, np.ones(2, complex), np.array(["a"]), np.array([None]), {1: 0, "1": 0}, {"$tensor": "x"},
     np.ones(1, np.longdouble), b"bytes", {"t": tg.Tensor(1.0)}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_states_that_are_not_plain_data(tmp_path, state):
    with pytest.raises(DTypeError, match="cannot be saved"):
        save_checkpoint(tmp_path / "run", part=Stateful(state))
    assert os.listdir(tmp_path) == []


def test_numbers_that_json_spells_its_own_way_come_back(tmp_path):
    state = {"big": 2**130, "small": -math.inf, "tiny": 5e-324, "third": 1 / 3, "text": '"\\\n'}
    part = Counter(state)
    save_checkpoint(tmp_path / "run", part=part)
    part.count = None
    load_checkpoint(tmp_path / "run", part=part)
    assert part.count == state


def test_big_endian_arrays_come_back(tmp_path):
    part = Counter(np.arange(3, dtype=">f8"))
    save_checkpoint(tmp_path / "run", part=part)
    load_checkpoint(tmp_path / "run", part=part)
    assert_array_equal(part.count, [0.0, 1.0, 2.0])
    assert part.count.dtype == np.float64


def test_two_arrays_of_one_name(tmp_path):
    with pytest.raises(ArgumentError, match=r"two arrays of one name.*\n.*part/count"):
        save_checkpoint(tmp_path / "run", model=Stateful({"part/count": np.ones(1)}), part=Counter(np.ones(1)))


@pytest.mark.parametrize("call", [save_checkpoint, load_checkpoint])
@pytest.mark.parametrize(
    ("unnamed", "parts", "message"),
    [([nn.Linear(2, 2)], {}, "name each part"), ([], {"model": nn.Linear(2, 2).state_dict()}, "model= has no state"),
     ([], {"model": nn.Linear}, "the class Linear"), ([], {"model": 5}, "got:      int"), ([], {"a": "text"}, "a= has")],
)  # fmt: skip
def test_parts_without_a_state_are_refused_in_words(tmp_path, call, unnamed, parts, message):
    with pytest.raises(ArgumentError, match=message):
        call(tmp_path / "run", *unnamed, **parts)
    assert os.listdir(tmp_path) == []


def test_nothing_to_save_and_nowhere(tmp_path):
    with pytest.raises(ArgumentError, match="nothing to save"):
        save_checkpoint(tmp_path / "run", model=None)
    with pytest.raises(ArgumentError, match="the folder does not exist"):
        save_checkpoint(tmp_path / "no" / "run", model=nn.Linear(2, 2))


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (save_checkpoint, load_checkpoint):
        with pytest.raises(ImportError, match=r"tinygrad-bn\[train\]") as error:
            call(tmp_path / "run", model=nn.Linear(2, 2))
        assert isinstance(error.value, TinygradError)


def test_the_package_is_imported_only_when_needed():
    code = "import sys, tinygrad_bn.train; sys.exit(bool({'safetensors', 'tqdm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


class _Count(int):
    pass


@pytest.mark.parametrize(
    ("extra", "words"),
    [({1: 2}, ["a key of extra", "1, of type int"]), ({"a": {None: 1}}, ["a key of extra['a']", "None"]),
     ({True: 1}, ["a key of extra", "True"]), ((1, 2), ["extra would come back as list", "tuple"]),
     ({"best": [1, (2, 3)]}, ["extra['best'][1] would come back as list"]), ([_Count(3)], ["extra[0]", "int", "_Count"]),
     ({"d": OrderedDict(a=1)}, ["extra['d'] would come back as dict", "OrderedDict"])],
    ids=repr,
)  # fmt: skip
def test_extra_that_would_come_back_as_something_else_is_refused(tmp_path, extra, words):
    with pytest.raises(DTypeError) as told:
        save_checkpoint(tmp_path / "run", part=Stateful({}), extra=extra)
    for word in words:
        assert word in str(told.value)
    assert os.listdir(tmp_path) == []


def test_extra_comes_back_equal_and_of_the_same_types(tmp_path):
    extra = {"a": [1, 2.5, None, True, "é\n"], "": {"b": [[], {}]}, "nan": float("inf"), "big": 10**30}
    save_checkpoint(tmp_path / "run", part=Stateful({}), extra=extra)
    found = load_checkpoint(tmp_path / "run")
    assert found == extra
    assert repr(found) == repr(extra)
