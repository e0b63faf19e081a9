"""Values as they go from one version to another: what msgpack has, and numpy arrays of numbers.

An array is an extension: its dtype and shape in front, then its bytes as they are.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from grove_core.author.schema import Array

ARRAY = 1
"""The number of the extension."""
KINDS = "biuf"
"""Booleans, integers, floats: what an array may be of."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the bytes of an array."""

    dtype: str
    shape: tuple[int, ...]


def pack(value: Any) -> bytes:
    """Return a value as bytes.

    Raises:
        TypeError, ValueError, OverflowError: something in it cannot go from one version to another.
    """
    return _encoder.encode(value)


def views(packed: bytes) -> Any:
    """Return the value; its arrays are read only, and lie where the bytes do.

    Raises:
        ValueError: these are not the bytes of any.
    """
    return _decoded(_viewer, packed)


def unpack(packed: bytes) -> Any:
    """Return the value; its arrays can be written.

    Raises:
        ValueError: these are not the bytes of any.
    """
    return _decoded(_copier, packed)


def _decoded(decoder: msgspec.msgpack.Decoder[Any], packed: bytes) -> Any:
    try:
        return decoder.decode(packed)
    except (msgspec.DecodeError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _encoded(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot go from one version to another")
    if value.dtype.kind not in KINDS:
        raise TypeError(f"an array of {value.dtype} cannot go from one version to another; one of numbers can")
    head = msgspec.msgpack.encode(Head(value.dtype.str, value.shape))
    data = bytearray(1 + len(head) + value.nbytes)
    data[0] = len(head)
    data[1 : 1 + len(head)] = head
    np.frombuffer(data, value.dtype, value.size, 1 + len(head)).reshape(value.shape)[...] = value
    return msgspec.msgpack.Ext(ARRAY, data)


def _viewed(code: int, data: memoryview) -> Array:
    if code != ARRAY or not len(data):
        raise ValueError(f"no value has the extension {code}")
    begin = 1 + data[0]
    head = msgspec.msgpack.decode(data[1:begin], type=Head)
    dtype = np.dtype(head.dtype)
    if dtype.kind not in KINDS or any(side < 0 for side in head.shape):
        raise ValueError(f"no array has the dtype {head.dtype} and the shape {head.shape}")
    values: Array = np.frombuffer(data, dtype, math.prod(head.shape), begin).reshape(head.shape)
    values.flags.writeable = False
    return values


def _copied(code: int, data: memoryview) -> Array:
    return _viewed(code, data).copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_encoded)
_viewer = msgspec.msgpack.Decoder(ext_hook=_viewed)
_copier = msgspec.msgpack.Decoder(ext_hook=_copied)
