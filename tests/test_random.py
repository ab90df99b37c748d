# SPDX-License-Identifier: BSD-3-Clause
"""Philox against published answers, an independent form, JAX, and as random numbers."""

import numpy as np
import pytest

from nervure import random

# Lines "philox4x32 10" of tests/kat_vectors in Random123: counter, key, block.
KNOWN = [
    "00000000 00000000 00000000 00000000 00000000 00000000 "
    "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff "
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 "
    "d16cfe09 94fdcceb 5001e420 24126ea1",
]


@pytest.mark.parametrize("line", KNOWN)
def test_known_answer(line):
    numbers = [int(word, 16) for word in line.split()]
    counter = tuple(np.array([c], np.uint32) for c in numbers[:4])
    block = random.philox(counter, (numbers[4], numbers[5]))
    assert [int(word[0]) for word in block] == numbers[6:]


def plain_words(seed, step, node, size):
    """The cipher in Python's integers, block by block."""
    words = []
    for block in range((size + 3) // 4):
        c = [block, node, step % 2**32, step >> 32]
        k = [seed % 2**32, seed >> 32]
        for _ in range(10):
            p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [q >> 32 ^ c[1] ^ k[0], q % 2**32, p >> 32 ^ c[3] ^ k[1], p % 2**32]
            k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
        words += c
    return words[:size]


PLACES = [(0, 0, 0, 9), (2**64 - 1, 2**40 + 17, 2**32 - 1, 33), (7, 3, 5, 1)]


@pytest.mark.parametrize(("seed", "step", "node", "size"), PLACES)
def test_layout(seed, step, node, size):
    found = random.words(np, seed, step, node, size)
    assert found.dtype == np.uint32
    assert found.tolist() == plain_words(seed, step, node, size)


def test_uniform_is_24_bits():
    u = random.uniform(np, 1, 2, 3, 1000)
    assert u.dtype == np.float32
    words = random.words(np, 1, 2, 3, 1000)
    np.testing.assert_array_equal(u.astype(np.float64) * 2**24, words >> 8)
    assert 0 <= u.min() < u.max() < 1


def test_moments():
    u = random.uniform(np, 42, 0, 0, 200_000).astype(np.float64)
    error = 1 / np.sqrt(u.size)
    assert abs(u.mean() - 1 / 2) < 4 * np.sqrt(1 / 12) * error
    assert abs((u**2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45) * error
    counts = np.histogram(u, 100, (0, 1))[0]
    chi_square = ((counts - 2000) ** 2 / 2000).sum()
    assert 99 - 4 * np.sqrt(198) < chi_square < 99 + 4 * np.sqrt(198)


def test_every_part_of_the_place_counts():
    base = random.words(np, 5, 6, 7, 64)
    for place in [
        (4, 6, 7),
        (5 + 2**32, 6, 7),
        (5, 7, 7),
        (5, 6 + 2**32, 7),
        (5, 6, 8),
    ]:
        assert not (random.words(np, *place, 64) == base).any()


def test_longer_is_a_continuation():
    longer = random.words(np, 5, 6, 7, 64)
    np.testing.assert_array_equal(random.words(np, 5, 6, 7, 21), longer[:21])


@pytest.mark.parametrize(("seed", "step", "node", "size"), PLACES)
def test_jax_gives_the_same_bits(seed, step, node, size):
    jnp = pytest.importorskip("jax.numpy")
    for function in (random.words, random.uniform):
        found = function(jnp, seed, step, node, size)
        expected = function(np, seed, step, node, size)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_traced_step():
    jax = pytest.importorskip("jax")
    traced = jax.jit(lambda step: random.uniform(jax.numpy, 9, step, 4, 11))
    np.testing.assert_array_equal(traced(123), random.uniform(np, 9, 123, 4, 11))
