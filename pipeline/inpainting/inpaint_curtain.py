"""Filling: a curtain and a network to the predictive distribution of the curtain's blind zone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.forward_passes import SINGLE_VALUES, Passes
from blindzone.core.progress import OnProgress, ignore_progress
from blindzone.core.two_part_distribution import even_levels, laplace_quantile
from blindzone.core.window_prediction import WindowPrediction
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.calibration import Calibrated, CalibrationByDepth
from blindzone.pipeline.inpainting.calibration_verdict import HOLES, PASSED
from blindzone.pipeline.inpainting.fill_mask import FillMask, find_fill_mask
from blindzone.pipeline.inpainting.hole_calibration import HoleCalibration
from blindzone.pipeline.inpainting.predictive_distribution import (
    QUANTILE_LEVELS,
    summarize_distribution,
)
from blindzone.pipeline.network_input.inference_windows import (
    LONGEST_GAP_PROFILES,
    Window,
    blend_in_order,
    cut_windows,
    find_stretches,
    part_at_gaps,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing, check_finite

LONGEST_GAP_S = 120.0
"""A longer gap parts a curtain [s]: profiles before it say little about those after it."""

_INPUT_PROFILES = 4096
"""Profiles whose network input is made at a time, many windows."""

AnyCalibration = CalibrationByDepth | HoleCalibration
"""Of blind zones by their depth, or of holes by kind and distance."""

NetworkInput = Iterator[tuple[int, np.ndarray]]
"""Windows as the network takes them: a number and the channels `(height, time, channel)`."""

Predictions = Iterator[tuple[Window, np.ndarray]]
"""Windows and the predictions of their hidden rows, `(time, row, value)`."""


class Network(Protocol):
    """A network that predicts distributions; `models.monte_carlo` has it."""

    def predict(
        self, windows: NetworkInput, *, passes: Passes, seed: int
    ) -> Iterator[WindowPrediction]:
        """Yields the prediction of each window `(height, time, channel)` in turn."""


@dataclass(frozen=True, kw_only=True)
class PredictedPart:
    """The network's prediction of profiles that follow each other, uncalibrated.

    Attributes:
        profiles: Which of the curtain's.
        probability: Probability of echo `(time, row)`.
        intensity_dbz: Intensities given echo in increasing order [dBZ] `(time, row, value)`.
    """

    profiles: slice
    probability: np.ndarray
    intensity_dbz: np.ndarray


def fill_curtain(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    passes: Passes,
    seed: int,
    on_progress: OnProgress = ignore_progress,
    levels: tuple[float, ...] = QUANTILE_LEVELS,
    calibration: AnyCalibration | None = None,
    mask: FillMask | None = None,
) -> xr.Dataset:
    """Returns the predictive distribution of a curtain's hidden pixels.

    It has the lowest rows that hold all pixels which are filled; what it has for other pixels of
    these rows means nothing. Optional channels are taken from the curtain's own fields, as
    `open_collocated` brings them, and are absent where it has none.

    Args:
        curtain: Gridded radar curtain `(time, height)`, with its collocated fields.
        network: The network.
        preprocessing: How the curtain becomes network input.
        passes: Number of forward passes, how well interval bounds must be known, or a single pass.
        seed: Seed of the passes.
        on_progress: Called with the share of profiles that are done.
        levels: Quantile levels.
        calibration: Correction of the network's predictions, made for this way of passing, if
            there is one.
        mask: Which pixels are filled, if that is known; else it is found.

    Returns:
        As `summarize_distribution`, with `realizations_used` `(window,)`.
    """
    mask = mask or find_fill_mask(curtain, preprocessing)
    reflectivity, floor_dbz = curtain["reflectivity"].values, preprocessing.floor_dbz
    used: list[int] = []
    summary = _Summary(profiles=curtain.sizes["time"])
    # Part by part: the distributions of a whole day are many times as large as what is kept.
    for part in predict_parts(
        curtain,
        network,
        preprocessing,
        passes,
        seed,
        on_progress,
        rows=mask.rows,
        hidden=mask.hidden if mask.repaired is not None else None,
        used=used,
    ):
        probability, intensity_dbz, given_echo = part.probability, part.intensity_dbz, None
        if calibration is not None:
            probability, intensity_dbz, given_echo = _calibrate(
                calibration, part, mask, reflectivity
            )
        summary.add(
            part.profiles,
            summarize_distribution(
                probability, intensity_dbz, given_echo, floor_dbz=floor_dbz, levels=levels
            ),
        )
    whole = summary.whole()
    whole["realizations_used"] = ("window", np.array(used))
    return whole.assign_coords(time=curtain["time"], height=curtain["height"][: mask.rows])


def _calibrate(
    calibration: AnyCalibration,
    part: PredictedPart,
    mask: FillMask,
    reflectivity: np.ndarray,
) -> Calibrated:
    """Returns the calibrated distribution of a part of a curtain, by what hides its pixels."""
    here = part.profiles
    if isinstance(calibration, HoleCalibration):
        lowest = np.s_[here, : part.probability.shape[1]]
        return calibration.apply(
            mask.kinds[lowest], mask.distance[lowest], part.probability, part.intensity_dbz
        )
    return calibration.apply(
        reflectivity[here], mask.network_depth[here], part.probability, part.intensity_dbz
    )


class _Summary:
    """Summaries of profiles that follow each other, each put in its place.

    Args:
        profiles: Number of all profiles.
    """

    def __init__(self, profiles: int) -> None:
        self._profiles = profiles
        self._values: dict[Hashable, tuple[tuple[Hashable, ...], np.ndarray]] = {}
        self._coords: Mapping[Hashable, Any] = {}

    def add(self, profiles: slice, summary: xr.Dataset) -> None:
        """Adds the summary of some profiles."""
        self._coords = summary.coords
        for name, variable in summary.data_vars.items():
            axis = variable.dims.index("time")
            if name not in self._values:
                shape = list(variable.shape)
                shape[axis] = self._profiles
                self._values[name] = variable.dims, np.empty(shape, variable.dtype)
            place = (*[slice(None)] * axis, profiles)
            self._values[name][1][place] = variable.values

    def whole(self) -> xr.Dataset:
        """Returns the summary of all profiles."""
        return xr.Dataset(dict(self._values), self._coords)


def predict_curtain(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    passes: Passes,
    seed: int,
    on_progress: OnProgress = ignore_progress,
    *,
    rows: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the network's prediction of a curtain's lowest rows, uncalibrated.

    Returns:
        What `predict_parts` yields, as whole arrays, and the number of forward passes of each
        window `(window,)`.
    """
    used: list[int] = []
    parts = list(
        predict_parts(
            curtain, network, preprocessing, passes, seed, on_progress, rows=rows, used=used
        )
    )
    return (
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.intensity_dbz for part in parts]),
        np.array(used),
    )


def predict_parts(
    curtain: xr.Dataset,
    network: Network,
    preprocessing: Preprocessing,
    passes: Passes,
    seed: int,
    on_progress: OnProgress = ignore_progress,
    *,
    rows: int | None = None,
    hidden: np.ndarray | None = None,
    used: list[int],
) -> Iterator[PredictedPart]:
    """Yields the network's prediction of a curtain's lowest rows, uncalibrated, in order of time.

    By default they are as many as the blind zone hides.

    Between windows the echo probability and the ordered intensities are blended: averaging quantile
    functions keeps the spread where windows overlap, averaging forward passes would shrink it. Of a
    single pass location and scale are blended, which gives the same: its quantiles are linear in
    them.

    Args:
        curtain: Gridded radar curtain `(time, height)`, with its collocated fields.
        network: The network.
        preprocessing: How the curtain becomes network input.
        passes: Number of forward passes, how well interval bounds must be known, or a single pass.
        seed: Seed of the passes.
        on_progress: Called with the share of profiles that are done.
        rows: Number of lowest rows.
        hidden: What is hidden from the network `(time, row)`; by default the blind zone and what
            has no data.
        used: Takes the number of forward passes of each window.
    """
    is_laplace = False

    def predict(maps: NetworkInput) -> Iterator[np.ndarray]:
        nonlocal is_laplace
        for prediction in network.predict(maps, passes=passes, seed=seed):
            used.append(prediction.used)
            values = [prediction.probability[..., None], prediction.intensity]
            if prediction.scale is not None:
                is_laplace = True
                values.append(prediction.scale[..., None])
            yield np.concatenate(values, axis=-1)

    start = 0
    # (time, hidden row, 1 + value)
    for blended in _run_windows(curtain, preprocessing, predict, on_progress, rows, hidden):
        intensity = _read_laplace(blended[..., 1:]) if is_laplace else blended[..., 1:]
        profiles = slice(start, start + len(blended))
        start = profiles.stop
        yield PredictedPart(
            profiles=profiles,
            probability=blended[..., 0],
            intensity_dbz=preprocessing.scaling.unscale(intensity),
        )


def _read_laplace(location_and_scale: np.ndarray) -> np.ndarray:
    """Returns ordered values `(..., value)` of Laplace distributions `(..., 2)`."""
    residual = laplace_quantile(even_levels(SINGLE_VALUES)).astype(np.float32)
    location, scale = location_and_scale[..., :1], location_and_scale[..., 1:]
    return np.asarray(location + scale * residual)


def _run_windows(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    run: Callable[[NetworkInput], Iterator[np.ndarray]],
    on_progress: OnProgress,
    rows: int | None,
    hidden: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yields a network's output for a curtain's lowest rows, `(time, row, value)`, in parts.

    Args:
        curtain: The curtain.
        preprocessing: How it becomes network input.
        run: Yields the network's output for windows in turn, `(row, time, value)`.
        on_progress: Called with the share of profiles that are done.
        rows: How many lowest rows are kept; by default those of the blind zone.
        hidden: As for `predict_parts`.
    """
    kept = preprocessing.hidden_rows if rows is None else rows
    inputs = _Inputs(curtain, preprocessing, hidden)
    # The network was not trained on rows near the ground: the prediction of the lowest trusted row
    # is taken for those below it.
    lowest = min(preprocessing.untrusted_rows, kept - 1)
    for stretch in find_curtain_stretches(curtain, preprocessing):
        length = stretch.stop - stretch.start
        # A window's number, on which its dropout masks depend, is its own in the whole curtain.
        numbered = list(
            enumerate(cut_windows(length, preprocessing.window_profiles), start=stretch.start)
        )
        # (time, height, channel) -> (height, time, channel), the network's order
        maps = (
            (number, inputs.take(stretch.start + window.indices).swapaxes(0, 1))
            for number, window in numbered
        )
        prediction = (values[:kept].swapaxes(0, 1) for values in run(maps))
        predictions = zip((window for _, window in numbered), prediction, strict=True)
        reported = _report(predictions, stretch, inputs.profiles, on_progress)
        for joined in blend_in_order(reported, length):
            joined[:, :lowest] = joined[:, lowest : lowest + 1]
            yield joined


class _Inputs:
    """Network input of a curtain's profiles, of which parts are in memory as windows need them.

    Args:
        curtain: Gridded radar curtain `(time, height)`.
        preprocessing: How it becomes network input.
        hidden: As for `predict_parts`.

    Attributes:
        profiles: Number of its profiles.
    """

    def __init__(
        self, curtain: xr.Dataset, preprocessing: Preprocessing, hidden: np.ndarray | None
    ) -> None:
        self.profiles = curtain.sizes["time"]
        encoded = preprocessing.encode_curtain(curtain)
        hidden = preprocessing.find_hidden(encoded) if hidden is None else hidden
        self._size = _INPUT_PROFILES if preprocessing.is_separable(hidden) else self.profiles

        @lru_cache(maxsize=2)  # a window lies in two parts at most
        def encode(part: int) -> np.ndarray:
            span = slice(part * self._size, (part + 1) * self._size)
            return preprocessing.encode_profiles(encoded, hidden, span)

        self._encode = encode

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Returns the input of profiles by their numbers, `(profile, height, channel)`."""
        parts, places = np.divmod(indices, self._size)
        first, last = int(parts.min()), int(parts.max())
        if first == last:
            return np.asarray(self._encode(first)[places])
        shape = self._encode(first).shape[1:]
        taken = np.empty((indices.size, *shape), dtype=np.float32)
        for part in range(first, last + 1):
            taken[parts == part] = self._encode(part)[places[parts == part]]
        return taken


def find_curtain_stretches(curtain: xr.Dataset, preprocessing: Preprocessing) -> tuple[slice, ...]:
    """Returns the stretches of a curtain's profiles without a gap that parts it.

    Along a track a gap is as long as `LONGEST_GAP_PROFILES` of the network's profiles.
    """
    spacing_m = preprocessing.profile_spacing_m
    if spacing_m is None:
        return find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S)
    along_m = curtain["along_track_distance"].values
    return part_at_gaps(np.diff(along_m), LONGEST_GAP_PROFILES * spacing_m)


def find_calibration(
    record: Mapping[str, Any] | None, preprocessing: Preprocessing
) -> AnyCalibration | None:
    """Returns a checkpoint's calibration, if it holds for this depth of the blind zone.

    That of holes holds for any. None if it has none, or its record says that its intervals missed
    what they state. A network whose blind zones differ in depth along a track has a calibration for
    each class of depth.

    Raises:
        CurtainError: If it is not understood.
    """
    if record is None or record.get(PASSED) is False:
        return None
    if HOLES in record:
        return HoleCalibration.from_record(record)
    calibration = CalibrationByDepth.from_record(record)
    if preprocessing.profile_spacing_m is None:
        return calibration.select(preprocessing.hidden_rows)
    return calibration


def assess_curtain(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    record: Mapping[str, Any] | None,
    mask: FillMask | None = None,
    *,
    frequency_ghz: float | None,
    floor_dbz: float | None,
) -> xr.Dataset | None:
    """Returns how far each profile is outside the training data of a calibrated network.

    Args:
        curtain: Gridded radar curtain `(time, height)`.
        preprocessing: How it becomes network input.
        record: The calibration's record in the checkpoint.
        mask: Which pixels are filled, if that is known; else it is found.
        frequency_ghz: Radar frequency [GHz], if known.
        floor_dbz: Sensitivity floor of the curtain's source [dBZ], if known.

    Returns:
        As `Applicability.assess`; None if the checkpoint has no record of it.

    Raises:
        CurtainError: If the record is not understood.
    """
    calibration = find_calibration(record, preprocessing)
    if record is None or calibration is None:
        return None
    assessment = Applicability.from_dict(record.get("domain", {})).assess(
        curtain, preprocessing, frequency_ghz=frequency_ghz, floor_dbz=floor_dbz
    )
    mask = mask or find_fill_mask(curtain, preprocessing)
    differs = mask.is_too_deep
    if isinstance(calibration, CalibrationByDepth):
        differs = differs | (mask.filled.any(axis=1) & ~calibration.covers(mask.network_depth))
    flag = assessment["out_of_range_flag"]
    nothing = (mask.kinds != HiddenKind.VISIBLE).all(axis=1)
    flag[nothing] |= np.int16(OutOfRangeFlag.NO_VISIBLE_DATA)
    assessment["out_of_range_score"][nothing] = np.nan
    flag[differs] |= np.int16(OutOfRangeFlag.BLIND_ZONE_DIFFERS)
    return assessment


def _report(
    predictions: Predictions, stretch: slice, profiles: int, on_progress: OnProgress
) -> Predictions:
    """Yields the predictions, and reports after each the share of profiles that are done."""
    for window, prediction in predictions:
        yield window, prediction
        on_progress(
            min(stretch.stop, stretch.start + window.start + window.indices.size) / profiles
        )


def check_fits(curtain: xr.Dataset, preprocessing: Preprocessing, *, where: str) -> None:
    """Checks that a curtain `(time, height)` is what a checkpoint was made for.

    Raises:
        CurtainError: If it has no radar echo or has infinite values, or its grid is another one.
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
