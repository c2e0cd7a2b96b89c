"""Echo in noise: what neighbours confirm."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.readers._detection import find_significant

FLOOR = -28.5


def make_noise(seed: int = 0, shape: tuple[int, int] = (1000, 200)) -> np.ndarray:
    """Returns noise whose standard deviation is the floor [mm6 m-3], `(time, gate)`."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(10 ** (0.1 * FLOOR) * noise)


def to_dbz(linear: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(linear > 0, 10 * np.log10(linear), np.nan)


def test_noise_alone_is_hardly_ever_echo() -> None:
    dbz = to_dbz(make_noise())
    assert 0.15 < np.mean(dbz > FLOOR) < 0.17  # one standard deviation
    assert find_significant(dbz, FLOOR).mean() < 2e-4


def test_cloud_in_noise_is_found_and_its_edge_stays() -> None:
    linear = make_noise()
    linear[200:800, 50:100] += 10 ** (0.1 * (FLOOR + 5))
    found = find_significant(to_dbz(linear), FLOOR)
    # The echo is 10^0.5 deviations strong: with noise, 98.5 % of its gates exceed one.
    assert found[202:798, 52:98].mean() > 0.98
    assert found[:190].mean() < 1e-3


def test_layer_one_gate_thin_is_found_if_it_is_strong() -> None:
    dbz = np.full((40, 20), np.nan)
    dbz[:, 7], dbz[:, 14] = FLOOR + 6, FLOOR + 1
    found = find_significant(dbz, FLOOR)
    assert found[:, 7].all()
    assert not found[:, 14].any()


def test_lone_gate_is_noise_however_strong() -> None:
    dbz = np.full((9, 9), np.nan)
    dbz[4, 4] = 20
    assert not find_significant(dbz, FLOOR).any()
