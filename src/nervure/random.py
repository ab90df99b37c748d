# SPDX-License-Identifier: BSD-3-Clause
"""Counter-based random numbers: Philox 4x32-10, bit for bit those of the engine.

A number is a function of where it is used and of nothing else: the key is the seed,
the counter is (element / 4, node, step low, step high), and one block of the cipher
gives the words of elements 4 i .. 4 i + 3. So any part of a mask can be made again,
by any thread, at any time, and a run resumes from its step number alone.

Only 32-bit unsigned arithmetic is used, so that JAX needs no 64-bit mode.

Source: Salmon, Moraes, Dror, Shaw, *Parallel Random Numbers: As Easy as 1, 2, 3*
(SC 2011), section 3.3 and table 2.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

Array = Any
"""An array of the module `xp` at hand: NumPy or JAX."""

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1
_MASK = 0xFFFFFFFF


def _high(multiplier: int, x: Array) -> Array:
    """Upper 32 bits of the 64-bit product, from products of 16-bit halves."""
    low, high = multiplier & 0xFFFF, multiplier >> 16
    x_low, x_high = x & 0xFFFF, x >> 16
    middle = x_low * high + ((x_low * low) >> 16)
    carry = x_high * low + (middle & 0xFFFF)
    return x_high * high + (middle >> 16) + (carry >> 16)


def philox(counter: tuple[Array, ...], key: tuple[int, int]) -> tuple[Array, ...]:
    """Encrypt blocks: four uint32 arrays and two words of key to four arrays.

    >>> zero = np.zeros(1, np.uint32)
    >>> [hex(word[0]) for word in philox((zero,) * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    m0, m1 = MULTIPLIERS
    for _ in range(ROUNDS):
        high0, low0 = _high(m0, c0), c0 * np.uint32(m0)
        high1, low1 = _high(m1, c2), c2 * np.uint32(m1)
        c0, c1 = high1 ^ c1 ^ np.uint32(k0), low1
        c2, c3 = high0 ^ c3 ^ np.uint32(k1), low0
        k0, k1 = (k0 + KEY_STEPS[0]) & _MASK, (k1 + KEY_STEPS[1]) & _MASK
    return c0, c1, c2, c3


def _split(number: Any) -> tuple[Any, Any]:
    """Low and high word of a step; a traced step of JAX has a low word only."""
    if isinstance(number, int):
        return number & _MASK, (number >> 32) & _MASK
    if isinstance(number, np.integer):
        return _split(int(cast(Any, number)))
    return number.astype(np.uint32), 0


def _key(seed: int) -> tuple[int, int]:
    return seed & _MASK, (seed >> 32) & _MASK


def words(xp: Any, seed: int, step: Any, node: int, size: int) -> Array:
    """``size`` random 32-bit words, uint32.

    Args:
        xp: the array module, NumPy or JAX.
        seed: the key, an integer of which 64 bits count.
        step: number of the training step; 64 bits, or a traced JAX integer.
        node: number of the node in its graph, 32 bits.
        size: how many, at most 2^34.
    """
    low, high = _split(step)
    blocks = (size + 3) // 4
    counter = (
        xp.arange(blocks, dtype=np.uint32),
        xp.full(blocks, node, dtype=np.uint32),
        xp.full(blocks, low, dtype=np.uint32),
        xp.full(blocks, high, dtype=np.uint32),
    )
    block = philox(counter, _key(seed))
    return xp.stack(block, axis=1).reshape(-1)[:size]


def uniform(xp: Any, seed: int, step: Any, node: int, size: int) -> Array:
    """``size`` random numbers in [0, 1), float32: the 24 high bits over 2^24.

    Every value is a multiple of 2^-24, exact in float32 and float64 alike. Arguments
    as for `words`.

    >>> uniform(np, seed=0, step=0, node=0, size=2)
    array([0.39904642, 0.88052016], dtype=float32)
    """
    return _share(words(xp, seed, step, node, size))


def _share(word: Array) -> Array:
    return (word >> 8).astype(np.float32) * np.float32(2.0**-24)


def uniform_of_steps(seed: int, first: int, count: int, node: int) -> Array:
    """`uniform` of element 0 at each of some consecutive steps, float32 ``(count,)``.

    >>> two = uniform_of_steps(seed=7, first=3, count=2, node=0)
    >>> [float(uniform(np, 7, step, 0, 1)[0]) for step in (3, 4)] == two.tolist()
    True
    """
    steps = np.arange(first, first + count, dtype=np.uint64)
    zeros = np.zeros(count, np.uint32)
    low, high = (steps & _MASK).astype(np.uint32), (steps >> 32).astype(np.uint32)
    block = philox((zeros, zeros + np.uint32(node), low, high), _key(seed))
    return _share(block[0])


_NEAR = (
    (3.3871327179, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1),
    (1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1),
)
_FAR = (
    (1.4234372777, 2.7568153900, 1.3067284816, 1.7023821103e-1),
    (1.0, 7.3700164250e-1, 1.2021132975e-1),
)


def normal(xp: Any, seed: int, step: Any, node: int, size: int) -> Array:
    """``size`` standard normal random numbers, of at most 5.3.

    Where the 23 high bits of a word lie between 0 and 1, the distribution function is
    so large. Arguments as for `words`.

    Source: Wichura, *Algorithm AS 241: the percentage points of the normal
    distribution*, Applied Statistics 37 (1988), PPND7; to about 1 part in 10^7.

    >>> normal(np, seed=0, step=0, node=0, size=2).round(4)
    array([-0.2558,  1.1776])
    """
    kind = np.float64 if xp is np else np.float32
    odd = 2 * (words(xp, seed, step, node, size) >> 9) + 1
    p = odd.astype(kind) * kind(2.0**-24)
    q = p - kind(0.5)
    r = xp.sqrt(-xp.log(xp.minimum(p, 1 - p)))
    near, far = (
        _ratio(x, tables) for x, tables in ((0.180625 - q * q, _NEAR), (r - 1.6, _FAR))
    )
    return xp.where(abs(q) <= 0.425, q * near, xp.sign(q) * far)


def _ratio(x: Array, tables: Sequence[Sequence[float]]) -> Array:
    """Of two polynomials, whose coefficients begin with the constant."""
    above, below = (
        functools.reduce(lambda sum, c: sum * x + c, reversed(table))
        for table in tables
    )
    return above / below
