"""Checkpoints: all that a training run needs to go on, in one file in the safetensors format, never half written.

The model's arrays have their plain names (``0.weight``), so that any program that reads safetensors finds them, and a
file written by such a program, for a PyTorch model with the same names, loads as it is.  Everything else is a JSON text
in the file's metadata, with its arrays beside the model's under names with a slash (``optimizer/state/0/exp_avg``).
Reading one runs no code from the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, TinygradError, explain, missing_package
from ..files import FilePath, write_whole
from ..random import generator

Array = np.ndarray[Any, Any]

KEY = "tinygrad_bn"  # of the JSON text in the metadata
VERSION = 1
REFERENCE = "$tensor"  # {"$tensor": name} stands in the JSON text for an array

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


class CheckpointError(TinygradError, ValueError):
    """A file that is no checkpoint, is damaged, or does not fit what it is loaded into."""


def save_checkpoint(path: FilePath, *, rng: bool = True, extra: Any = None, **parts: Any) -> None:
    """Write the state of all parts into one file.

    >>> save_checkpoint("run.safetensors", model=model, optimizer=optimizer, loader=loader)  # doctest: +SKIP

    A process killed at any moment leaves the old file or the new one (see ``files.write_whole``).

    Args:
        path: the file; its folder exists.
        rng: include the state of the generator that initial values and dropout draw from.
        extra: anything else worth keeping: numbers, text, arrays, in dicts and lists.
        parts: ``model=``, ``optimizer=``, ``schedule=``, ``loader=`` or any other name, each with a ``state_dict`` of
            plain data and arrays; ``None`` is passed over.

    Raises:
        ArgumentError: nothing to save, no such folder, or two arrays of one name.
        DTypeError: a state that is not plain data, or arrays of a dtype the format does not know.
        ImportError: the package safetensors is missing.
    """
    save = need_safetensors().numpy.save
    parts = {name: part for name, part in parts.items() if part is not None}
    if not parts:
        raise ArgumentError(explain("save_checkpoint: nothing to save", fix="save_checkpoint(path, model=model, ...)"))
    tensors: dict[str, Array] = {}
    states: dict[str, Any] = {}
    for name, part in parts.items():
        state = part.state_dict()
        if name == "model":
            states[name] = {key: _stored(tensors, key, array) for key, array in state.items()}
        else:
            states[name] = _flattened(state, name, tensors)
    text = {
        "version": VERSION,
        "parts": states,
        "rng": _flattened(generator().bit_generator.state, "rng", tensors) if rng else None,
        "extra": _flattened(extra, "extra", tensors),
    }
    write_whole(path, save(tensors, metadata={KEY: json.dumps(text)}))


def load_checkpoint(path: FilePath, *, rng: bool = True, **parts: Any) -> Any:
    """Load what ``save_checkpoint`` wrote into parts of the same kinds; nothing is changed unless all of it fits.

    >>> load_checkpoint("run.safetensors", model=model, optimizer=optimizer, loader=loader)  # doctest: +SKIP
    >>> load_checkpoint("weights-of-a-pytorch-model.safetensors", model=model)  # doctest: +SKIP

    Args:
        path: the file.
        rng: restore the generator that initial values and dropout draw from, if the file has its state.
        parts: as in ``save_checkpoint``; what the file has beyond them is ignored.

    Returns:
        What was given as ``extra``.

    Raises:
        CheckpointError: not a safetensors file, a truncated or damaged one, one that lacks a part, or one whose state
            does not fit.
        OSError: a file that cannot be opened, such as ``FileNotFoundError``.
        ImportError: the package safetensors is missing.
    """
    text = _read(path)
    parts = {name: part for name, part in parts.items() if part is not None}
    lacking = ", ".join(name for name in parts if name not in text["parts"])
    if lacking:
        got = ", ".join(text["parts"]) or "nothing"
        raise CheckpointError(explain(f"{path} has no state for: {lacking}", got=f"state for {got}"))
    states = text["parts"]
    commits: list[Callable[[], None]] = []
    loaded: list[tuple[Any, Any]] = []
    name = "rng"
    try:
        if rng and text["rng"] is not None:
            commits.append(_prepare_rng(text["rng"]))
        for name, part in sorted(parts.items(), key=lambda item: not hasattr(item[1], "prepare_load")):
            if hasattr(part, "prepare_load"):
                commits.append(part.prepare_load(states[name]))
            else:  # loads whole or not at all; put back if a later one does not fit
                before = part.state_dict()
                part.load_state_dict(states[name])
                loaded.append((part, before))
    except Exception as error:
        for part, before in loaded:
            part.load_state_dict(before)
        raise CheckpointError(f"{path}: its state for {name} does not fit\n{error}") from error
    for commit in commits:
        commit()
    return text["extra"]


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
        fix = "use a copy; save_checkpoint itself leaves a whole file at any moment"
        raise CheckpointError(explain(f"{path} is not a whole safetensors file: {error}", fix=fix)) from error
    tensors = {name: _array(path, name, entry) for name, entry in entries}
    if KEY not in metadata:
        return {"parts": {"model": tensors}, "rng": None, "extra": None}
    try:
        text = _unflattened(json.loads(metadata[KEY]), path, tensors)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(explain(f"{path}: its metadata is damaged: {error}")) from error
    if not isinstance(text, dict) or text.get("version") != VERSION:
        got = text.get("version") if isinstance(text, dict) else type(text).__name__
        raise CheckpointError(explain(f"{path} is of another version", got=got, expected=VERSION))
    if set(text) != {"version", "parts", "rng", "extra"} or not isinstance(text["parts"], dict):
        raise CheckpointError(explain(f"{path}: its metadata is damaged", got=", ".join(text)))
    return text


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
