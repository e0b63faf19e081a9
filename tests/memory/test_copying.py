"""Copies are exact wherever the columns lie."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grove_core.memory.copying import ALIASED, copy

ROWS = 3000
OFFSETS = [0, 1, 4, 8, ALIASED - 1, ALIASED, 64, mmap.PAGESIZE - 8]


@given(st.sampled_from(OFFSETS), st.sampled_from(OFFSETS), st.sampled_from(["?", "i1", "u2", "f4", "f8", "i8"]))
def test_every_bit_arrives_and_none_beside_it(ahead: int, behind: int, dtype: str) -> None:
    size = ROWS * np.dtype(dtype).itemsize
    ours, theirs = (np.frombuffer(mmap.mmap(-1, 16 * mmap.PAGESIZE), np.uint8) for _ in range(2))
    ours[:] = np.random.default_rng(1).integers(0, 256, len(ours), np.uint8)
    source, target = ours[behind : behind + size].view(dtype), theirs[ahead : ahead + size].view(dtype)
    copy(target, source)
    assert target.tobytes() == source.tobytes()
    assert not theirs[:ahead].any()
    assert not theirs[ahead + size :].any()


def test_columns_of_different_lengths_are_refused() -> None:
    for shift in (0, 1):
        memory = np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.uint8)
        with pytest.raises(ValueError, match="broadcast"):
            copy(memory[shift : shift + 5], np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.uint8)[:4])
