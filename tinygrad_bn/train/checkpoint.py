"""Checkpoints: all that a training run needs to go on, in one file in the safetensors format, never half written.

The model's arrays have their plain names (``0.weight``), so that any program that reads safetensors finds them, and a
file written by such a program, for a PyTorch model with the same names, loads as it is.  Everything else is a JSON text
in the file's metadata, with its arrays next to the model's under names with a slash (``optimizer/state/0/exp_avg``).
Reading one runs no code from the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, DTypeError, TinygradError, explain, missing_package, printable
from ..files import FilePath, write_whole
from ..kinds import Array
from ..nn import Module
from ..random import generator

KEY = "tinygrad_bn"  # of the JSON text in the metadata
SEAL = '{"sha256": "'  # how the text begins; the SHA-256 of the whole file follows, made with zeros in its own place
NO_DIGEST = "0" * 64
VERSION = 2
REFERENCE = "$tensor"  # {"$tensor": name} stands in the JSON text for an array

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


class CheckpointError(TinygradError, ValueError):
    """A file that is not a checkpoint, is damaged, or does not fit the model it is loaded into."""


class LoadedPart(NamedTuple):
    """What ``load_checkpoint(..., strict=False)`` did, by name of an array of the model.

    Attributes:
        extra: what was given as ``extra`` when saving.
        loaded: taken over.
        missing: in the model and not in the file; as it was.
        unexpected: in the file and not in the model; skipped.
        misfit: in both, of different shape; as it was.
    """

    extra: Any
    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    misfit: list[str]

    def __str__(self) -> str:
        lines = [f"loaded {len(self.loaded)} of {len(self.loaded) + len(self.missing) + len(self.misfit)} arrays"]
        said = {name: getattr(self, name) for name in ("missing", "unexpected", "misfit")}
        lines += [f"  {name}: {', '.join(found)}" for name, found in said.items() if found]
        return printable("\n".join(lines))


def save_checkpoint(path: FilePath, *unnamed: Any, rng: bool = True, extra: Any = None, **parts: Any) -> None:
    """Write the state of all parts into one file.

    >>> save_checkpoint("run.safetensors", model=model, optimizer=optimizer, loader=loader)  # doctest: +SKIP

    A process killed at any moment leaves the old file or the new one (see ``files.write_whole``).

    Args:
        path: the file; its folder exists.
        unnamed: nothing; every part is given by name.
        rng: include the state of the generator that initial values and dropout draw from.
        extra: anything else worth keeping: numbers, text and arrays, in dicts with text for keys and in lists.
        parts: ``model=``, ``optimizer=``, ``schedule=``, ``loader=`` or any other name, each with a ``state_dict`` of
            plain data and arrays; ``None`` is skipped.

    Raises:
        ArgumentError: nothing to save, something that has no state, or two arrays of one name.
        DTypeError: a state that is not plain data, ``extra`` that would come back as something else (a tuple as a list, a
            number as a key as text), or arrays of a dtype the format does not know.
        FileError: the file cannot be written.
        ImportError: the package safetensors is missing.
    """
    parts = _parts("save_checkpoint", unnamed, parts, ("state_dict",))
    save = need_safetensors().numpy.save
    if not parts:
        raise ArgumentError(explain("save_checkpoint: nothing to save", fix="save_checkpoint(path, model=model, ...)"))
    tensors: dict[str, Array] = {}
    states: dict[str, Any] = {}
    for name, part in parts.items():
        state = part.state_dict()
        if name == "model" and isinstance(state, Mapping):
            states[name] = {key: _stored(tensors, key, array) for key, array in state.items()}
        else:
            states[name] = _flattened(state, name, tensors)
    text = {
        "sha256": NO_DIGEST,
        "version": VERSION,
        "parts": states,
        "rng": _flattened(generator().bit_generator.state, "rng", tensors) if rng else None,
        "extra": _flattened(_kept(extra, "extra"), "extra", tensors),
    }
    write_whole(path, _sealed(save(tensors, metadata={KEY: json.dumps(text)})))


def load_checkpoint(path: FilePath, *unnamed: Any, rng: bool = True, strict: bool = True, **parts: Any) -> Any:
    """Load what ``save_checkpoint`` wrote into parts of the same kinds; nothing is changed unless all of it fits.

    >>> load_checkpoint("run.safetensors", model=model, optimizer=optimizer, loader=loader)  # doctest: +SKIP
    >>> load_checkpoint("weights-of-a-pytorch-model.safetensors", model=model)  # doctest: +SKIP
    >>> print(load_checkpoint("weights-with-another-head.safetensors", model=model, strict=False))  # doctest: +SKIP

    Args:
        path: the file.
        unnamed: nothing; every part is given by name.
        rng: restore the generator that initial values and dropout draw from, if the file has its state.
        strict: refuse a file whose arrays are not those of the model; without it those that fit by name and shape are
            taken over.  Other parts than modules fit as a whole or are refused.
        parts: as in ``save_checkpoint``; what the file has beyond them is ignored.

    Returns:
        What was given as ``extra``; if not ``strict``, a ``LoadedPart`` that says which arrays were taken over.

    Raises:
        ArgumentError: a part without a state to load into.
        CheckpointError: not a safetensors file, a truncated or damaged one, one that lacks a part, or one whose state
            does not fit.
        OSError: a file that cannot be opened, such as ``FileNotFoundError``.
        ImportError: the package safetensors is missing.
    """
    parts = _parts("load_checkpoint", unnamed, parts, ("state_dict", "load_state_dict"))
    text = _read(path)
    lacking = ", ".join(name for name in parts if name not in text["parts"])
    if lacking:
        got = ", ".join(text["parts"]) or "nothing"
        raise CheckpointError(explain(f"{path} has no state for: {lacking}", got=f"state for {got}"))
    states = text["parts"]
    report = LoadedPart(text["extra"], [], [], [], [])
    before: list[tuple[Any, Any]] = []  # parts that may have changed, and how they were
    bits = generator().bit_generator
    bits_before = bits.state
    commits: list[tuple[str, Callable[[], None]]] = []
    name = "rng"
    try:
        seed = _prepare_rng(text["rng"]) if rng and text["rng"] is not None else None
        for name, part in sorted(parts.items(), key=lambda item: not hasattr(item[1], "prepare_load")):
            if hasattr(part, "prepare_load"):
                commits.append((name, part.prepare_load(states[name])))
                continue
            before.append((part, part.state_dict()))
            if strict or not isinstance(part, Module):
                part.load_state_dict(states[name])
            else:
                _load_what_fits(path, part, states[name], report)
        for name, commit in commits:
            before.append((parts[name], parts[name].state_dict()))
            commit()
        if seed is not None:
            seed()
    except BaseException as error:  # Ctrl-C, too, leaves nothing half loaded
        for part, state in before:
            with suppress(Exception):  # one that cannot be put back keeps no other from it
                part.load_state_dict(state)
        bits.state = bits_before
        if not isinstance(error, Exception):
            raise
        what = printable(f"{path}: its state for {name} does not fit\n{error}")
        raise CheckpointError(what) from error
    return text["extra"] if strict else report


def _parts(function: str, unnamed: tuple[Any, ...], parts: dict[str, Any], methods: tuple[str, ...]) -> dict[str, Any]:
    """The parts that there are, each of which has a state."""
    if unnamed:
        got = ", ".join(type(part).__name__ for part in unnamed)
        raise ArgumentError(explain(f"{function}: name each part", got=got, fix=f"{function}(path, model=model)"))
    for name, part in parts.items():
        if part is not None and (isinstance(part, type) or not all(callable(getattr(part, m, None)) for m in methods)):
            got = f"the class {part.__name__}" if isinstance(part, type) else type(part).__name__
            fix = f"pass the object itself, such as {name}={name}; anything else is saved as extra={{...}}"
            expected = f"an object with {' and '.join(methods)}"
            raise ArgumentError(explain(f"{function}: {name}= has no state", got=got, expected=expected, fix=fix))
    return {name: part for name, part in parts.items() if part is not None}


def _load_what_fits(path: FilePath, module: Module, state: Any, report: LoadedPart) -> None:
    if not isinstance(state, Mapping):
        raise CheckpointError(explain(f"{path}: a model's state is arrays by name", got=type(state).__name__))
    own = module.state_dict()
    misfit = [name for name in own if name in state and np.shape(state[name]) != np.shape(own[name])]
    found = module.load_state_dict({name: a for name, a in state.items() if name not in misfit}, strict=False)
    loaded = [name for name in own if name in state and name not in misfit]
    if not loaded:
        got, expected = ", ".join(state) or "none", ", ".join(own) or "none"
        raise CheckpointError(explain(f"{path}: no array fits the model", got=got, expected=expected))
    report.loaded.extend(loaded)
    report.missing.extend(name for name in found.missing_keys if name not in misfit)
    report.unexpected.extend(found.unexpected_keys)
    report.misfit.extend(f"{name} {np.shape(state[name])}, expected {np.shape(own[name])}" for name in misfit)


# -- the file -------------------------------------------------------------------------------------------------------------


def need_safetensors() -> Any:
    """The package safetensors.

    Raises:
        ImportError: it is missing.
    """
    try:
        import safetensors.numpy
    except ImportError as error:
        raise missing_package("reading or writing a checkpoint", "safetensors", "'tinygrad-bn[train]'") from error
    return safetensors


def _place_of(digest: str, content: bytes) -> int:
    """Where a digest stands in the file, -1 if it does not; inside JSON in JSON, so its quotes are escaped."""
    seal = SEAL.replace('"', '\\"').encode()
    place = content.find(seal + digest.encode())
    return place if place < 0 else place + len(seal)


def _digest(content: bytes, place: int) -> bytes:
    """Of all bytes but the digest's own."""
    parts = memoryview(content)
    found = hashlib.sha256(parts[:place])
    found.update(NO_DIGEST.encode())
    found.update(parts[place + len(NO_DIGEST) :])
    return found.hexdigest().encode()


def _sealed(content: bytes) -> bytes:
    """The file with the digest of all its bytes in the place that is kept for it."""
    place = _place_of(NO_DIGEST, content)
    parts = memoryview(content)
    return b"".join([parts[:place], _digest(content, place), parts[place + len(NO_DIGEST) :]])


def _seal_of(metadata: Mapping[str, Any]) -> str | None:
    """The digest in the metadata, under whatever name: a lost bit may have changed the name."""
    for value in metadata.values():
        if isinstance(value, str) and value.startswith(SEAL):
            return value[len(SEAL) :][: len(NO_DIGEST)]
    return None


def _read(path: FilePath) -> dict[str, Any]:
    """The JSON text with its arrays in place; for a file without one, all arrays are the model's."""
    safetensors = need_safetensors()
    with open(path, "rb") as file:
        content = file.read()
    try:
        entries = safetensors.deserialize(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        kind, fix = _other_kind(content)
        if kind:
            raise CheckpointError(explain(f"{path} is {kind}, not a safetensors file", fix=fix)) from error
        fix = "use a copy; save_checkpoint itself leaves a whole file at any moment"
        raise CheckpointError(explain(f"{path} is not a whole safetensors file: {error}", fix=fix)) from error
    seal = _seal_of(metadata)
    if seal is not None:
        place = _place_of(seal, content)
        if place < 0 or _digest(content, place) != seal.encode():
            what = f"{path}: its checksum does not fit: a bit was lost, or somebody changed it after it was written"
            raise CheckpointError(explain(what, fix="use a copy"))
    tensors = {name: _array(path, name, entry) for name, entry in entries}
    if KEY not in metadata:
        return {"parts": {"model": tensors}, "rng": None, "extra": None}
    try:
        text: dict[str, Any] = _unflattened(json.loads(metadata[KEY]), path, tensors)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(explain(f"{path}: its metadata is damaged: {error}")) from error
    version = text.get("version") if isinstance(text, dict) else type(text).__name__
    if type(version) is not int or version not in (1, VERSION):
        raise CheckpointError(explain(f"{path} is of another version", got=version, expected=VERSION))
    sealed = isinstance(seal, str) and str(text.pop("sha256", None)) == seal
    if set(text) != {"version", "parts", "rng", "extra"} or not isinstance(text["parts"], dict):
        raise CheckpointError(explain(f"{path}: its metadata is damaged", got=", ".join(text)))
    if not sealed and version != 1:  # files of version 1 had no checksum
        raise CheckpointError(explain(f"{path}: its metadata is damaged", got="no checksum"))
    return text


def _other_kind(content: bytes) -> tuple[str, str]:
    """What a file is that is no safetensors file, and what to do with it; ("", "") for a damaged one."""
    numpy_fix = "model.load_state_dict(dict(numpy.load(path))), if the names are the model's"
    torch_fix = "in PyTorch: safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')"
    if not content:
        return "empty", "use a copy"
    if content.startswith(b"PK"):
        try:
            names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            return "a damaged zip archive, such as an .npz or .pt file is", "use a copy"
        if names and all(name.endswith(".npy") for name in names):
            return "a NumPy archive (.npz)", numpy_fix
        if any(name.endswith("data.pkl") for name in names):
            return "a file of torch.save (.pt, .pth)", torch_fix
        return "a zip archive", "unpack it; a checkpoint is a single file"
    if content.startswith(b"\x80") and content[1:2] <= b"\x05":
        return "a pickle, such as torch.save wrote before PyTorch 1.6 (.pt, .pth)", torch_fix
    if content.startswith(b"\x93NUMPY"):
        return "a NumPy array (.npy)", "model.load_state_dict({'name': numpy.load(path)}), with the array's name"
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "an HDF5 file (.h5)", "read it with h5py, and give the arrays to model.load_state_dict"
    if content.startswith(b"\x1f\x8b"):
        return "compressed with gzip", "gunzip it first"
    if content.startswith(b"GGUF"):
        return "a GGUF file", "convert it to safetensors"
    if content.lstrip()[:1] in (b"{", b"[") and b"\0" not in content[:8]:
        return "JSON text, such as the log of a run", "name the run's checkpoint instead"
    return "", ""


def _array(path: FilePath, name: str, entry: Mapping[str, Any]) -> Array:
    kind, raw = entry["dtype"], entry["data"]
    if kind == "BF16":  # the upper half of a float32
        array = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif kind in DTYPES:
        array = np.frombuffer(raw, np.dtype(DTYPES[kind]).newbyteorder("<"))
    else:
        raise CheckpointError(explain(f"{path}: {name} has a dtype that NumPy does not have", got=kind))
    return array.reshape(entry["shape"])


# -- states as a JSON text and arrays -------------------------------------------------------------------------------------


def _stored(tensors: dict[str, Array], name: str, value: Any) -> dict[str, str]:
    """The reference that stands for an array in the JSON text."""
    array = np.asarray(value)
    if array.dtype.name not in DTYPES.values():
        raise DTypeError(explain(f"save_checkpoint: {name} cannot be saved", got=f"dtype {array.dtype}"))
    if name in tensors:
        raise ArgumentError(explain("save_checkpoint: two arrays of one name", got=name, fix="rename a part"))
    tensors[name] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
    return {REFERENCE: name}


def _kept(value: Any, path: str) -> Any:
    """``value``, if it comes back as it is: a file that gave {'1': 2} for {1: 2} would lose it without a word.

    States of parts may be of other types, because their ``load_state_dict`` knows what they were.

    Raises:
        DTypeError: JSON has no such value.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if type(key) is not str:
                got, fix = f"{key!r}, of type {type(key).__name__}", f"text as the key, such as {str(key)!r}"
                what = f"save_checkpoint: a key of {path} would come back as text"
                raise DTypeError(explain(what, got=got, fix=fix))
            _kept(inner, f"{path}[{key!r}]")
        expected: type = dict
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            _kept(inner, f"{path}[{i}]")
        expected = list
    else:
        expected = next((plain for plain in (bool, int, float, str) if isinstance(value, plain)), type(value))
    if type(value) is not expected and not isinstance(value, np.generic):
        what = f"save_checkpoint: {path} would come back as {expected.__name__}"
        fix = f"{expected.__name__}(...) where it is saved, and make it again where it is loaded"
        raise DTypeError(explain(what, got=type(value).__name__, fix=fix))
    return value


def _flattened(value: Any, path: str, tensors: dict[str, Array]) -> Any:
    """``value`` as JSON takes it, its arrays moved to ``tensors`` under their paths."""
    if isinstance(value, np.ndarray):
        return _stored(tensors, path, value)
    if isinstance(value, Mapping):
        flat = {str(key): _flattened(inner, f"{path}/{key}", tensors) for key, inner in value.items()}
        if len(flat) != len(value) or REFERENCE in flat:
            raise DTypeError(explain(f"save_checkpoint: keys of {path} cannot be saved", got=list(value)))
        return flat
    if isinstance(value, (list, tuple)):
        return [_flattened(inner, f"{path}/{i}", tensors) for i, inner in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    fix = "a state_dict holds numbers, text and arrays, in dicts and lists"
    raise DTypeError(explain(f"save_checkpoint: {path} cannot be saved", got=type(value).__name__, fix=fix))


def _unflattened(value: Any, path: FilePath, tensors: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if set(value) != {REFERENCE}:
            return {key: _unflattened(inner, path, tensors) for key, inner in value.items()}
        name = value[REFERENCE]
        if not isinstance(name, str) or name not in tensors:
            got = ", ".join(tensors) or "none"
            raise CheckpointError(explain(f"{path}: an array is missing", got=got, expected=name))
        return tensors[name]
    if isinstance(value, list):
        return [_unflattened(inner, path, tensors) for inner in value]
    return value


def _prepare_rng(state: Any) -> Callable[[], None]:
    bits = generator().bit_generator
    type(bits)(0).state = state  # on one of the same kind first: what does not fit is refused here

    def commit() -> None:
        bits.state = state

    return commit
