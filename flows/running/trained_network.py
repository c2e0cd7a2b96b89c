"""A checkpoint opened for filling: network, preprocessing and calibration, opened in one place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.configuration import to_plain
from blindzone.core.forward_passes import Passes, is_single
from blindzone.core.progress import OnProgress, ignore_progress
from blindzone.flows.running.network_choice import (
    CurtainKind,
    check_kind,
    find_curtain_kind,
    find_network_kind,
)
from blindzone.flows.running.plans import plain_passes
from blindzone.flows.running.repairing import Repair
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, read_single_calibration
from blindzone.models.light_network import LightNetwork, describe_runtime, find_light
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.position import unwrap_longitude
from blindzone.pipeline.inpainting.calibration_verdict import (
    CalibrationStatus,
    describe_calibration,
)
from blindzone.pipeline.inpainting.fill_mask import FillMask, find_fill_mask
from blindzone.pipeline.inpainting.inpaint_curtain import (
    AnyCalibration,
    assess_curtain,
    check_fits,
    fill_curtain,
    find_calibration,
)
from blindzone.pipeline.inpainting.member_dependence import MemberDependence
from blindzone.pipeline.inpainting.repair_mask import find_repair_mask
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.members import DEPENDENCE_KEY, add_members, read_dependence
from blindzone.pipeline.products.product import LAZY_ABOVE_PROFILES, build_product
from blindzone.pipeline.products.provenance import Provenance
from blindzone.pipeline.products.swath import count_profiles, join_rays, split_rays

_BULKY = ("fit", "by_depth", "holes", "domain", "scores", "inputs")
"""Parts of a calibration's record that a product leaves to the checkpoint, whose hash it states."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A trained network, ready to fill curtains with one blind zone.

    Attributes:
        name: What its checkpoint is called in messages.
        path: The checkpoint's file, if there is one.
        checkpoint: The checkpoint.
        network: Its network with dropout active.
        preprocessing: How curtains with the blind zone become network input.
        record: The calibration's record: the checkpoint's own, for passes with dropout, or that for
            single passes.
        is_single: Whether windows go through it in a single pass without dropout.
        single_sha256: Hash of the file of that for single passes, where it is in use.
        runtime: Name and version of the library that computes single passes in place of
            TensorFlow; empty if none does.
    """

    name: str = "checkpoint"
    path: Path | None = None
    checkpoint: Checkpoint
    network: MonteCarloNetwork
    preprocessing: Preprocessing
    record: Mapping[str, Any] | None = None
    is_single: bool = False
    single_sha256: str | None = None
    runtime: str = ""

    def for_passes(self, passes: Passes) -> TrainedNetwork:
        """Returns the same network with the calibration that was made for a way of passing.

        Single passes are computed without TensorFlow where that is possible.

        Raises:
            CheckpointError: If the calibration for single passes is not that of this network, or
                its file for LiteRT is damaged.
        """
        if not is_single(passes):
            return self
        single = replace(self, is_single=True, record=None)
        if self.path is None:
            return single
        if light := find_light(self.path, self.checkpoint):
            network = _build(self.checkpoint, self.preprocessing, light)
            single = replace(single, network=network, runtime=describe_runtime())
        found = read_single_calibration(self.path, self.checkpoint)
        if found is None:
            return single
        return replace(single, record=found.content, single_sha256=found.sha256)

    def list_further_hashes(self) -> list[str]:
        """Returns the hash of a calibration that is in a file of its own."""
        return [] if self.single_sha256 is None else [self.single_sha256]

    @cached_property
    def calibration(self) -> AnyCalibration | None:
        """The calibration; None without one for this depth of the blind zone."""
        return find_calibration(self.record, self.preprocessing)

    @property
    def dependence(self) -> MemberDependence:
        """How its ensemble members depend in time and height, fitted with the calibration or not.

        Raises:
            ProductError: If the calibration's record states what is not understood.
        """
        record = (self.record or {}).get(DEPENDENCE_KEY)
        return read_dependence(record, where=f"{self.name}: the calibration's '{DEPENDENCE_KEY}'")

    @cached_property
    def kind(self) -> CurtainKind:
        """What kind of curtain the network was made for."""
        return find_network_kind(vars(self.checkpoint))

    @property
    def status(self) -> CalibrationStatus:
        """Whether its intervals are calibrated for this depth of the blind zone."""
        return describe_calibration(
            self.record, hidden_rows=self.preprocessing.hidden_rows, single=self.is_single
        )

    def fit_zone(self, blind_zone: BlindZone, *, where: str) -> TrainedNetwork:
        """Returns the same network for another blind zone.

        Raises:
            CurtainError: If it is deeper than any that the network was trained to fill.
        """
        return replace(self, preprocessing=self.preprocessing.fit_zone(blind_zone, where=where))

    def check(self, curtain: xr.Dataset, frequency_ghz: float | None, *, where: str) -> None:
        """Checks that the network was made for curtains of a kind, where one is from above.

        Args:
            curtain: Native or gridded curtain `(time, height)`, or swath.
            frequency_ghz: Radar frequency [GHz], if known.
            where: What to call the curtain in messages.

        Raises:
            CurtainError: If platform or band differ, or the curtain is coarser than the network's.
        """
        kind = find_curtain_kind(curtain, frequency_ghz)
        check_kind(self.kind, kind, name=self.name, where=where)

    def fill(
        self,
        curtain: xr.Dataset,
        *,
        passes: Passes,
        seed: int,
        on_progress: OnProgress = ignore_progress,
        where: str = "curtain",
        mask: FillMask | None = None,
    ) -> xr.Dataset:
        """Returns the calibrated predictive distribution of a curtain's blind zone.

        Args:
            curtain: Gridded radar curtain `(time, height)`, with its collocated fields.
            passes: Number of forward passes, at least 2, how well bounds must be known, or single:
                then this network is one `for_passes`.
            seed: Seed of the passes.
            on_progress: Called with the progress.
            where: What to call the curtain in messages.
            mask: Which pixels are filled, if that is known; else it is found.

        Raises:
            CurtainError: If the curtain does not fit the network.
        """
        check_fits(curtain, self.preprocessing, where=where)
        return fill_curtain(
            curtain,
            self.network,
            self.preprocessing,
            passes,
            seed,
            on_progress,
            calibration=self.calibration,
            mask=mask,
        )

    def build(
        self,
        curtain: xr.Dataset,
        fill: xr.Dataset,
        provenance: Provenance,
        *,
        mask: FillMask | None = None,
        lazily: bool = False,
        collocated: xr.Dataset | None = None,
        frequency_ghz: float | None = None,
        floor_dbz: float | None = None,
    ) -> xr.Dataset:
        """Returns the product of a curtain and its fill, each profile assessed.

        Args:
            curtain: Gridded radar curtain `(time, height)`.
            fill: What `fill` returned for it.
            provenance: Where all of it comes from.
            mask: Which pixels are filled, if that is known; else it is found.
            lazily: As for `build_product`.
            collocated: The curtain with its collocated fields, where the network uses them.
            frequency_ghz: Radar frequency [GHz], if known.
            floor_dbz: Sensitivity floor of the source [dBZ], if known.
        """
        mask = mask or find_fill_mask(curtain, self.preprocessing)
        assessment = assess_curtain(
            curtain if collocated is None else collocated,
            self.preprocessing,
            self.record,
            mask,
            frequency_ghz=frequency_ghz,
            floor_dbz=floor_dbz,
        )
        return build_product(
            curtain,
            fill,
            mask=mask,
            blind_zone_top_m=self.preprocessing.blind_zone.top_m if mask.hides_zone else 0.0,
            floor_dbz=self.preprocessing.floor_dbz,
            provenance=provenance,
            assessment=assessment,
            lazily=lazily,
        )

    def make(
        self,
        curtain: xr.Dataset,
        describe: Callable[[float], Provenance],
        *,
        passes: Passes,
        seed: int,
        members: int | None = None,
        on_progress: OnProgress = ignore_progress,
        collocated: xr.Dataset | None = None,
        frequency_ghz: float | None = None,
        floor_dbz: float | None = None,
        where: str = "curtain",
        repair: Repair | None = None,
    ) -> xr.Dataset:
        """Returns the product of a curtain, of a swath ray by ray.

        That of very many profiles is lazy, as for `build_product`.

        Args:
            curtain: Gridded radar curtain `(time, height)`, or swath.
            describe: Returns where the product comes from, given the mean number of passes.
            passes: Number of forward passes, at least 2, how well bounds must be known, or single:
                then this network is one `for_passes`.
            seed: Seed of the passes, and of the members.
            members: Number of ensemble members to be drawn as well.
            on_progress: Called with the progress.
            collocated: The curtain with its collocated fields, where the network uses them.
            frequency_ghz: Radar frequency [GHz], if known.
            floor_dbz: Sensitivity floor of the source [dBZ], if known.
            where: What to call the curtain in messages.
            repair: What is repaired; None to fill the blind zone.

        Raises:
            CurtainError: If the curtain is of another kind than the network was made for, or it
                was not trained to repair such holes.
        """
        self.check(curtain, frequency_ghz, where=where)
        if looks_down(curtain):
            curtain = unwrap_longitude(curtain)
        rays = split_rays(curtain)
        inputs = rays if collocated is None else split_rays(collocated)
        masks = [self._find_mask(one, repair, where) for one in rays]
        fills = deque(
            self.fill(
                one,
                passes=passes,
                seed=seed,
                on_progress=_share(on_progress, number, len(inputs)),
                where=where,
                mask=masks[number],
            )
            for number, one in enumerate(inputs)
        )
        used = np.concatenate([fill["realizations_used"].values for fill in fills])
        provenance = describe(float(used.mean()))
        products = (
            self.build(
                one,
                fills.popleft(),
                provenance,
                mask=mask,
                lazily=count_profiles(curtain) > LAZY_ABOVE_PROFILES,
                collocated=full,
                frequency_ghz=frequency_ghz,
                floor_dbz=floor_dbz,
            )
            for one, full, mask in zip(rays, inputs, masks, strict=True)
        )
        product = join_rays(products, curtain)
        return product if members is None else add_members(product, members, seed)

    def _find_mask(self, curtain: xr.Dataset, repair: Repair | None, where: str) -> FillMask:
        """Returns which pixels of a curtain are filled."""
        if repair is None:
            return find_fill_mask(curtain, self.preprocessing)
        return find_repair_mask(curtain, self.preprocessing, repair.kinds, repair.mask, where=where)

    def describe(self, passes: Passes, ingest: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the configuration that a product states, as plain values."""
        record = self.record or {}
        kept = {key: value for key, value in record.items() if key not in _BULKY}
        return {
            "network": to_plain(self.checkpoint.config),
            "preprocessing": self.checkpoint.preprocessing,
            "training": self.checkpoint.training,
            "calibration": kept if self.calibration is not None else None,
            "realizations": plain_passes(passes),
            "ingest": ingest,
            **({"runtime": self.runtime} if self.runtime else {}),
        }


def open_network(path: Path) -> TrainedNetwork:
    """Returns the network of a checkpoint; it is read once, and again if the file has changed.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        CurtainError: If its preprocessing is not understood.
    """
    return _open_network(path.absolute(), path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=1)
def _open_network(path: Path, modified_ns: int) -> TrainedNetwork:
    checkpoint = read_checkpoint(path, to_fill=True)
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    network = _build(checkpoint, preprocessing)
    return TrainedNetwork(
        name=path.name,
        path=path,
        checkpoint=checkpoint,
        network=network,
        preprocessing=preprocessing,
        record=checkpoint.calibration,
    )


def _build(
    checkpoint: Checkpoint, preprocessing: Preprocessing, light: LightNetwork | None = None
) -> MonteCarloNetwork:
    """Returns the network of a checkpoint, its single passes computed by a light one if given."""
    return MonteCarloNetwork(
        checkpoint.network,
        checkpoint.config,
        floor_unit=preprocessing.floor_unit,
        db_per_unit=preprocessing.scaling.db_per_unit,
        light=light,
    )


def _share(on_progress: OnProgress, number: int, count: int) -> OnProgress:
    """Returns what reports the progress of one of so many curtains as a part of all."""
    return lambda share, *note: on_progress((number + share) / count, *note)
