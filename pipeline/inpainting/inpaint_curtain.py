"""Filling: a curtain and a network to the predictive distribution of the curtain's blind zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import CurtainError
from blindzone.core.progress import OnProgress, ignore_progress
from blindzone.core.window_prediction import WindowPrediction
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.predictive_distribution import (
    QUANTILE_LEVELS,
    couple_members,
    summarize_distribution,
)
from blindzone.pipeline.network_input.inference_windows import (
    Window,
    blend_windows,
    cut_windows,
    find_stretches,
    pick_windows,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing, check_finite

LONGEST_GAP_S = 120.0
"""A longer gap parts a curtain [s]: what lies before it says little about what lies behind it."""

NetworkInput = Iterator[tuple[int, np.ndarray]]
"""Windows as the network takes them: a number and the channels `(height, time, channel)`."""

Answers = Iterator[tuple[Window, np.ndarray]]
"""Windows and what is said of their columns' hidden rows, `(time, row, value)`."""


class Network(Protocol):
    """A network that predicts distributions; `models.monte_carlo` has it."""

    def predict(
        self, windows: NetworkInput, *, passes: int | AdaptiveSampling, seed: int
    ) -> Iterator[WindowPrediction]:
        """Yields the prediction of each window `(height, time, channel)` in turn."""

    def sample(self, windows: NetworkInput, *, passes: int, seed: int) -> Iterator[np.ndarray]:
        """Yields the members of each window `(hidden row, time, member)` in turn."""


def fill_curtain(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    passes: int | AdaptiveSampling,
    seed: int,
    on_progress: OnProgress = ignore_progress,
    levels: tuple[float, ...] = QUANTILE_LEVELS,
    calibration: Calibration | None = None,
    samples: int | None = None,
) -> xr.Dataset:
    """Returns the predictive distribution of a curtain's hidden rows, as `summarize_distribution` describes it.

    The network may answer for more rows than this curtain hides; just those are kept. Optional
    channels are taken from the curtain's own fields, as `open_collocated` brings them, and are
    absent where it has none. With a calibration the distribution is the calibrated one. Beside it
    are `realizations_used` `(window,)` and, where samples are asked for, that many fields that
    follow it, `reflectivity_realization` `(realization, time, height)` [dBZ].
    """
    probability, intensity_dbz, used = predict_curtain(
        curtain, network, preprocessing, passes, seed, on_progress
    )
    given_echo = None
    if calibration is not None:
        visible = curtain["reflectivity"].values[:, preprocessing.hidden_rows :]
        probability, intensity_dbz, given_echo = calibration.apply_below(
            visible, probability, intensity_dbz
        )
    floor_dbz = preprocessing.floor_dbz
    summary = summarize_distribution(
        probability, intensity_dbz, given_echo, floor_dbz=floor_dbz, levels=levels
    )
    summary["realizations_used"] = ("window", used)
    if samples is not None:
        fields = draw_members(curtain, network, preprocessing, samples, seed, on_progress)
        coupled = couple_members(fields, probability, intensity_dbz, floor_dbz=floor_dbz)
        summary["reflectivity_realization"] = (("realization", "time", "height"), coupled)
    return summary.assign_coords(
        time=curtain["time"], height=curtain["height"][: preprocessing.hidden_rows]
    )


def predict_curtain(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    passes: int | AdaptiveSampling,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what the network says of a curtain's hidden rows: probability of echo, and intensities given echo.

    What is blended between windows is the echo probability and the ordered intensities: averaging
    quantile functions keeps the spread where windows overlap, averaging realizations would shrink
    it.

    Returns:
        Probability `(time, row)`, intensities in increasing order [dBZ] `(time, row, value)`, and
        the number of realizations of each window `(window,)`.
    """
    used = []

    def answer(maps: NetworkInput) -> Iterator[np.ndarray]:
        for prediction in network.predict(maps, passes=passes, seed=seed):
            used.append(prediction.used)
            yield np.concatenate([prediction.probability[..., None], prediction.intensity], axis=-1)

    blended = _ask(
        curtain, preprocessing, answer, blend_windows, on_progress
    )  # (time, hidden row, 1 + value)
    return blended[..., 0], preprocessing.scaling.unscale(blended[..., 1:]), np.array(used)


def draw_members(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    samples: int,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> np.ndarray:
    """Returns fields of a curtain's hidden rows that the network holds for possible, uncalibrated.

    Returns:
        max(reflectivity, floor) in network units, `(time, row, sample)`.
    """

    def answer(maps: NetworkInput) -> Iterator[np.ndarray]:
        return network.sample(maps, passes=samples, seed=seed)

    return _ask(curtain, preprocessing, answer, pick_windows, on_progress)


def _ask(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    answer: Callable[[NetworkInput], Iterator[np.ndarray]],
    join: Callable[[Answers, int], np.ndarray],
    on_progress: OnProgress,
) -> np.ndarray:
    """Returns what a network says of a curtain's hidden rows, `(time, row, value)`.

    Args:
        curtain: The curtain.
        preprocessing: How it is shown.
        answer: Of windows in turn, what the network says, `(row, time, value)`.
        join: Of the windows of a stretch of so many profiles, what holds for each profile.
        on_progress: Told how far it is.
    """
    shown = preprocessing.encode_input(curtain)
    parts = []
    for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
        length = stretch.stop - stretch.start
        # A window's number, on which its dropout masks depend, is its own in the whole curtain.
        numbered = list(
            enumerate(cut_windows(length, preprocessing.window_profiles), start=stretch.start)
        )
        # (time, height, channel) -> (height, time, channel), the network's order
        maps = (
            (number, shown[stretch][window.indices].swapaxes(0, 1)) for number, window in numbered
        )
        prediction = (values[: preprocessing.hidden_rows].swapaxes(0, 1) for values in answer(maps))
        answers = zip((window for _, window in numbered), prediction, strict=True)
        parts.append(join(_reported(answers, stretch, len(shown), on_progress), length))
    joined = np.concatenate(parts)
    # No truth near the ground ever taught the network anything: what it says of the lowest trusted
    # row holds below it.
    lowest = preprocessing.untrusted_rows
    joined[:, :lowest] = joined[:, lowest : lowest + 1]
    return joined


def find_calibration(
    record: Mapping[str, Any] | None, preprocessing: Preprocessing
) -> Calibration | None:
    """Returns a checkpoint's calibration, or None: it has none, or one for another depth of the blind zone.

    Raises:
        CurtainError: If it is not understood.
    """
    if record is None:
        return None
    calibration = Calibration.from_dict(record.get("fit", {}))
    return calibration if calibration.hidden_rows == preprocessing.hidden_rows else None


def assess_curtain(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    record: Mapping[str, Any] | None,
    *,
    frequency_ghz: float | None,
    floor_dbz: float | None,
) -> xr.Dataset | None:
    """Returns how far each profile lies outside the training data of a calibrated network.

    Args:
        curtain: Gridded radar curtain `(time, height)`.
        preprocessing: How it becomes network input.
        record: The calibration's record in the checkpoint.
        frequency_ghz: Radar frequency [GHz], if known.
        floor_dbz: Sensitivity floor of the curtain's source [dBZ], if known.

    Returns:
        As `Applicability.assess`; None if the checkpoint has no record of it.

    Raises:
        CurtainError: If the record is not understood.
    """
    if record is None or find_calibration(record, preprocessing) is None:
        return None
    return Applicability.from_dict(record.get("domain", {})).assess(
        curtain, preprocessing, frequency_ghz=frequency_ghz, floor_dbz=floor_dbz
    )


def _reported(answers: Answers, stretch: slice, profiles: int, on_progress: OnProgress) -> Answers:
    """Yields the answers and tells, after each, up to which profile of the curtain windows are done."""
    for window, answer in answers:
        yield window, answer
        on_progress(
            min(stretch.stop, stretch.start + window.start + window.indices.size) / profiles
        )


def check_fits(curtain: xr.Dataset, preprocessing: Preprocessing, *, where: str) -> None:
    """Checks that a curtain is what a checkpoint was made for.

    Raises:
        CurtainError: If it holds no radar echo or infinite values, or its grid is another one.
    """
    check_radar(curtain, where=where)
    check_finite(curtain[["reflectivity"]], where=where)
    heights, expected = curtain["height"].values, preprocessing.grid.centres_m
    if not preprocessing.grid.matches(heights):
        raise CurtainError(
            f"{where}: the curtain has {heights.size} rows from {heights[0]:.1f} to"
            f" {heights[-1]:.1f} m, the checkpoint was made for {expected.size} rows from"
            f" {expected[0]:.1f} to {expected[-1]:.1f} m"
        )
