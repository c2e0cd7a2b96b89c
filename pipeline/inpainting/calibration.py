"""Calibration: what a network says of hidden pixels, corrected by how often it was right on days it never saw.

A `Calibration` maps the two parts of a pixel's distribution, the probability of echo and the
ordered intensities given echo, to the same two; what is published of it follows from them in
`inpainting.predictive_distribution`, so that calibrated bounds cannot cross, lie below the floor or
miss the median. `inpainting.calibration_fit` fits it. Of each group of pixels,

1. the probability of echo goes through a rising curve (isotonic regression), and
2. each intensity is moved by the offset of its level (conformalised quantile regression with an
   offset a bound: Romano et al. 2019, arXiv 1905.03222).

On days like those it was fitted to, intervals then hold at least as often as they say over all
pixels. Over echo alone they may hold less often: where echo is held for unlikely, most of the
distribution lies at the floor, and so does all of a narrow interval. So what is told *given echo*
has offsets of its own, fitted to hold over echo: intensities that serve the whole distribution best
leave unlikely echo, which hardly counts in it, nearly as the network said it.

A group is a regime (what is seen above the blind zone: `verification.curtain_scores.Regime`) in a
band of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from blindzone.core.errors import CurtainError
from blindzone.core.two_part_distribution import even_levels
from blindzone.pipeline.verification.curtain_scores import Regime, find_regimes

REGIMES = (Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR)

CURVE_PROBABILITIES = np.linspace(0.0, 1.0, 101)
"""Probabilities at which a curve of occurrence is kept; between them it is straight."""

Calibrated = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Probability of echo `(...)`, and ordered intensities [dBZ] `(..., value)`: of all, and as told
given echo."""

OFFSET_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""Levels of intensity given echo whose offsets are kept; between them offsets run straight, beyond
them they stay."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """How one group of pixels is calibrated, and on how much that stands.

    Attributes:
        regime: Name of its `Regime`; empty for all.
        band: Number of its band of rows, from the ground; -1 for all.
        days: Days with pixels of it.
        blocks: Blocks of time with pixels of it.
        echo_days: Days with echo in it.
        echo_blocks: Blocks of time with echo in it.
        curve: Calibrated probability of echo at `CURVE_PROBABILITIES`, never falling.
        offsets: What is added to the intensities [dB] at `OFFSET_LEVELS`.
        offsets_given_echo: The same for what is told given echo.
    """

    regime: str = ""
    band: int = -1
    days: int = 0
    blocks: int = 0
    echo_days: int = 0
    echo_blocks: int = 0
    curve: tuple[float, ...] = tuple(CURVE_PROBABILITIES.tolist())
    offsets: tuple[float, ...] = (0.0,) * len(OFFSET_LEVELS)
    offsets_given_echo: tuple[float, ...] = (0.0,) * len(OFFSET_LEVELS)

    def __post_init__(self) -> None:
        curve = np.asarray(self.curve, dtype=float)
        # Written so that NaN, which is neither, is refused too.
        rises = bool((curve >= 0).all() and (curve <= 1).all() and (np.diff(curve) >= 0).all())
        if curve.shape != CURVE_PROBABILITIES.shape or not rises:
            raise CurtainError(
                f"calibration, group {self.regime} {self.band}: a curve of"
                f" {CURVE_PROBABILITIES.size} probabilities from 0 to 1 that never falls is right;"
                f" found {curve.size}"
            )
        for found in (self.offsets, self.offsets_given_echo):
            offsets = np.asarray(found, dtype=float)
            if offsets.shape != (len(OFFSET_LEVELS),) or not np.isfinite(offsets).all():
                raise CurtainError(
                    f"calibration, group {self.regime} {self.band}: {len(OFFSET_LEVELS)} finite"
                    f" offsets are right; found {found}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Group:
        """Returns what `to_dict` gave; where nothing is known of what is told given echo, it has the same offsets."""
        lists = {name: tuple(content[name]) for name in ("curve", "offsets")}
        given_echo = tuple(content.get("offsets_given_echo", content["offsets"]))
        return cls(**{**content, **lists, "offsets_given_echo": given_echo})


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a network says, corrected.

    Attributes:
        hidden_rows: Number of rows of the blind zone it was made for.
        floor_dbz: Sensitivity floor [dBZ] it was made for.
        bands: First row of each band, from the ground.
        groups: One for each regime and band.
    """

    hidden_rows: int
    floor_dbz: float
    bands: tuple[int, ...]
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        named = [(group.regime, group.band) for group in self.groups]
        if named != [(regime.name, band) for regime in REGIMES for band in range(len(self.bands))]:
            raise CurtainError(
                f"calibration: one group a regime and band of {len(self.bands)} is right; found"
                f" {named}"
            )
        if not self.bands or self.bands[0] != 0 or (np.diff(self.bands) <= 0).any():
            raise CurtainError(
                f"calibration: bands must begin with row 0 and rise; found {self.bands}"
            )

    def apply(
        self,
        probability: np.ndarray,
        intensity_dbz: np.ndarray,
        *,
        regime: np.ndarray,
        row: np.ndarray,
    ) -> Calibrated:
        """Returns probability of echo and ordered intensities [dBZ], calibrated, of the distribution and given echo.

        Args:
            probability: Probability of echo, of any shape `(...)`.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(..., realization)`.
            regime: `Regime` of each pixel, broadcast to `(...)`; one that is unknown stays as it
                is.
            row: Number of its row from the ground, likewise.
        """
        calibrated_probability = probability.astype(np.float32)
        calibrated_intensity = np.maximum(intensity_dbz, np.float32(self.floor_dbz))
        given_echo = calibrated_intensity.copy()
        levels = even_levels(intensity_dbz.shape[-1])
        band = np.searchsorted(self.bands, row, side="right") - 1
        for group in self.groups:
            here = np.broadcast_to(
                (regime == Regime[group.regime]) & (band == group.band), probability.shape
            )
            calibrated_probability[here] = np.interp(
                probability[here], CURVE_PROBABILITIES, group.curve
            )
            calibrated_intensity[here] += np.interp(levels, OFFSET_LEVELS, group.offsets).astype(
                np.float32
            )
            given_echo[here] += np.interp(levels, OFFSET_LEVELS, group.offsets_given_echo).astype(
                np.float32
            )
        calibrated_intensity.sort(axis=-1)
        given_echo.sort(axis=-1)
        return calibrated_probability, calibrated_intensity, given_echo

    def apply_below(
        self, visible: np.ndarray, probability: np.ndarray, intensity_dbz: np.ndarray
    ) -> Calibrated:
        """Returns what `apply` does of all hidden rows of profiles, whose regimes their visible rows tell.

        Args:
            visible: Reflectivity above the blind zone [dBZ] `(time, visible row)`, the lowest row
                first.
            probability: Probability of echo `(time, hidden row)`.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(time, hidden row,
                realization)`.
        """
        regime = find_regimes(visible, self.floor_dbz, profiles=len(visible))[:, None]
        return self.apply(
            probability, intensity_dbz, regime=regime, row=np.arange(self.hidden_rows)
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return asdict(self) | {
            "bands": list(self.bands),
            "groups": [group.to_dict() for group in self.groups],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Calibration:
        """Returns what `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        try:
            values = dict(content)
            groups = tuple(Group.from_dict(group) for group in values.pop("groups"))
            return cls(groups=groups, bands=tuple(values.pop("bands")), **values)
        except (KeyError, TypeError, ValueError) as error:
            raise CurtainError(
                f"the checkpoint's calibration is not understood: {error}"
            ) from error
