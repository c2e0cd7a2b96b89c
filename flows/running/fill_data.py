"""Files or a Dataset to a filled product in memory: no catalogue, no archive, no workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError, PlanError, SourceFileError
from blindzone.core.files import sha256_file
from blindzone.core.forward_passes import Passes
from blindzone.core.progress import OnProgress, ignore_progress
from blindzone.flows.running.late_network import hash_single, load_network
from blindzone.flows.running.network_choice import (
    check_kind,
    choose_network,
    choose_repairing,
    find_curtain_kind,
    find_network_kind,
    read_preprocessing,
)
from blindzone.flows.running.network_in_use import read_network_in_use
from blindzone.flows.running.network_status import find_experimental
from blindzone.flows.running.regridding import list_changes, regrid
from blindzone.flows.running.repairing import Repair, prepare_repair, read_mask, read_product
from blindzone.models.checkpoint_record import open_record
from blindzone.pipeline.archive.zarr_layout import hash_content
from blindzone.pipeline.curtains.acdd import NOT_STATED
from blindzone.pipeline.curtains.along_track import (
    continue_tracks,
    looks_down,
    take_middle_ray,
)
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.curtains.findings import (
    PROFILES_DROPPED,
    join_findings,
    read_counts,
    with_count,
)
from blindzone.pipeline.curtains.hidden import RepairedKind
from blindzone.pipeline.curtains.position import align_positions, find_other_place, is_moving
from blindzone.pipeline.curtains.quality import QualityRules
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.provenance import PRODUCT_VERSION, Provenance
from blindzone.pipeline.products.swath import split_rays
from blindzone.pipeline.readers import find_stem, read_curtain
from blindzone.pipeline.readers.dataset import adopt_dataset

if TYPE_CHECKING:  # its libraries take seconds to import
    from blindzone.flows.running.trained_network import TrainedNetwork

Data = str | Path | xr.Dataset | Sequence[str | Path]
"""A file, several files of one radar, or a Dataset."""

IN_FLIGHT = "a platform in flight"
"""Site of a radar from above that states none."""
LARGEST_OVERLAP = np.timedelta64(60, "s")
"""By how much the next file of a radar may begin before the end of the one before: some writers
repeat the profiles at the turn of the hour. More is another radar, or the same file twice."""


@configuration(error=PlanError, what="fill")
class FillPlan:
    """How data are filled."""

    passes: Passes = 50
    """Number of forward passes, at least 2, how well interval bounds must be known, or `single`:
    one pass without dropout."""
    seed: int = 0
    """Seed of the passes; the same seed gives the same product."""
    members: int | None = None
    """Number of ensemble members to be drawn as well, at least 2."""
    blind_zone_top_m: float = 1250.0
    """Height of the blind zone's top above the ground [m]; profiles of granules have their own."""
    checkpoint: Path | None = None
    """Trained network; by default that of the package which fits the curtain's band, platform and
    grid."""
    reader: str = "auto"
    """Name of the reader of files; by default found by their content."""
    reflectivity: str | None = None
    """Name of the reflectivity in a Dataset; by default found by standard name or units."""
    height: str | None = None
    """Name of the height above the radar in a Dataset; by default `range` or `height`."""
    frequency_ghz: float | None = None
    """Radar frequency [GHz]; by default what the data state."""
    quality: QualityRules = QualityRules()
    """Quality rules, as in a catalogue entry."""
    repair: tuple[RepairedKind, ...] = ()
    """Kinds of holes that are repaired, anywhere in the curtain; by default the blind zone is
    filled."""
    mask: Path | None = None
    """File of a mask of further pixels that are hidden and repaired."""

    @property
    def blind_zone(self) -> BlindZone:
        """The blind zone that is filled."""
        return BlindZone(top_m=self.blind_zone_top_m)

    def __post_init__(self) -> None:
        if self.members is not None and self.members < 2:
            raise ValueError(f"members: a distribution needs at least 2; found {self.members}")
        if self.seed < 0:
            raise ValueError(f"seed: a number of at least 0 is right; found {self.seed}")
        if self.mask is not None and not self.repair:
            raise ValueError("mask: it goes with holes that are repaired; found none")

    def to_plain(self) -> dict[str, Any]:
        """Returns what decides a product as plain values; what repairs only where it does."""
        plain: dict[str, Any] = to_plain(self) | {"checkpoint": None}
        del plain["mask"]  # its content decides
        if not self.repair:
            del plain["repair"]
        return plain


def make_plan(
    *,
    checkpoint: str | Path | None,
    quality: QualityRules | Mapping[str, Any] | None,
    **choices: Any,
) -> FillPlan:
    """Returns a plan of what a caller chose; None is the default.

    Raises:
        PlanError: If a choice makes no sense.
    """
    given: dict[str, Any] = {}
    if checkpoint is not None:
        given["checkpoint"] = Path(checkpoint)
    if isinstance(quality, Mapping):
        given["quality"] = read_plain(QualityRules, quality, where="quality", error=PlanError)
    elif quality is not None:
        given["quality"] = quality
    return FillPlan(**choices, **given)


@dataclass(frozen=True, kw_only=True)
class _Input:
    """A native curtain and the files that it was read from."""

    curtain: xr.Dataset
    files: tuple[Path, ...]
    where: str


def ignore_notice(text: str) -> None:
    """Drops a notice."""


def fill_data(
    data: Data,
    plan: FillPlan,
    *,
    on_progress: OnProgress = ignore_progress,
    on_notice: Callable[[str], None] = ignore_notice,
) -> xr.Dataset:
    """Returns the product `(time, height)` of files or of a Dataset, in memory; of a swath by rays.

    Args:
        data: A file, several files of one radar in any order, or a Dataset of radar profiles.
        plan: How they are filled.
        on_progress: Called with the progress.
        on_notice: Called with lines for people: which network fills, and what was regridded.

    Raises:
        BlindzoneError: If the data or the checkpoint cannot be used; one error says what is wrong,
            what was found and what would be right.
    """
    return prepare_fill(data, plan, on_notice=on_notice).fill(on_progress)


@dataclass(frozen=True, kw_only=True)
class PreparedFill:
    """Data on the grid of the network that fills them; the network itself is not loaded yet.

    Attributes:
        curtain: Gridded curtain `(time, height)`, or swath.
        files: The files that it was read from.
        plan: How it is filled.
        checkpoint: The network.
        sha256: Hash of the checkpoint.
        single_sha256: That of its calibration for single passes, where it decides something.
        zone: The blind zone; None if each profile has its own.
        notes: What was regridded, in words.
        where: What to call the data in messages.
        repair: What is repaired; None to fill the blind zone.
    """

    curtain: xr.Dataset
    files: tuple[Path, ...]
    plan: FillPlan
    checkpoint: Path
    sha256: str
    single_sha256: str | None
    zone: BlindZone | None
    notes: tuple[str, ...]
    where: str
    repair: Repair | None = None

    @cached_property
    def target(self) -> str:
        """SHA-256 over what decides the product's numbers."""
        decided = [
            hash_content(self.curtain),
            self.sha256,
            self.plan.to_plain(),
            PRODUCT_VERSION,
            *([] if self.single_sha256 is None else [self.single_sha256]),
            *([] if self.repair is None else [self.repair.hash_mask()]),
        ]
        plain = json.dumps(decided, sort_keys=True, default=str)
        return hashlib.sha256(plain.encode()).hexdigest()

    @cached_property
    def source_files(self) -> tuple[tuple[str, str], ...]:
        """Name and SHA-256 of each file."""
        return tuple((path.name, sha256_file(path)) for path in self.files)

    def fill(self, on_progress: OnProgress = ignore_progress) -> xr.Dataset:
        """Returns the product `(time, height)`, in memory; of a swath by rays.

        Raises:
            CheckpointError: If the network cannot be used.
            CurtainError: If the data cannot be filled.
        """
        network = load_network(
            self.checkpoint,
            self.plan.passes,
            sha256=self.sha256,
            single_sha256=self.single_sha256,
        )
        if self.zone is not None:
            network = network.fit_zone(self.zone, where="fill")
        return network.make(
            self.curtain,
            lambda passes: _describe(self, network, passes),
            passes=self.plan.passes,
            seed=self.plan.seed,
            members=self.plan.members,
            on_progress=on_progress,
            where=self.where,
            frequency_ghz=self.plan.frequency_ghz or _find_frequency(self.curtain),
            floor_dbz=self.plan.quality.sensitivity_floor_dbz,
            repair=self.repair,
        )


def prepare_fill(
    data: Data, plan: FillPlan, *, on_notice: Callable[[str], None] = ignore_notice
) -> PreparedFill:
    """Returns data as they go into the network that fills them, which is not loaded for it.

    Args:
        data: As those of `fill_data`.
        plan: How they are filled.
        on_notice: Called with lines for people: which network fills, and what was regridded.

    Raises:
        BlindzoneError: If the data or the record of the checkpoint cannot be used.
    """
    inputs = _open(data, plan)
    where = inputs[0].where if len(inputs) == 1 else f"{len(inputs)} files"
    path, sha256, preprocessing = _choose_network(inputs[0], plan)
    # A curtain with a zone of its own in each profile needs no other.
    zone = None if "blind_zone_top" in inputs[0].curtain.coords else plan.blind_zone
    on_notice(str(read_network_in_use(path, zone, passes=plan.passes)))
    notes = tuple(
        dict.fromkeys(note for one in inputs for note in list_changes(one.curtain, preprocessing))
    )
    for note in notes:
        on_notice(f"{where}: {note}")
    curtain = _join(
        [regrid(one.curtain, preprocessing, plan.quality, where=one.where) for one in inputs]
    )
    repair = None
    if plan.repair:
        mask = None if plan.mask is None else read_mask(plan.mask)
        curtain, repair = prepare_repair(curtain, plan.repair, mask, where=where)
    return PreparedFill(
        curtain=curtain,
        files=tuple(path for one in inputs for path in one.files),
        plan=plan,
        checkpoint=path,
        sha256=sha256,
        single_sha256=hash_single(path, plan.passes),
        zone=zone,
        notes=notes,
        where=where,
        repair=repair,
    )


def _choose_network(one: _Input, plan: FillPlan) -> tuple[Path, str, Preprocessing]:
    """Returns the checkpoint that a plan names, or that fits the first curtain.

    With it come its hash, and how curtains become the input of its network.
    """
    frequency_ghz = plan.frequency_ghz or _find_frequency(one.curtain)
    kind = find_curtain_kind(one.curtain, frequency_ghz)
    choose = choose_repairing if plan.repair else choose_network
    path = (plan.checkpoint or choose(kind, where=one.where)).absolute()
    record = open_record(path)
    preprocessing = read_preprocessing(path, record)
    check_kind(find_network_kind(record.content), kind, name=path.name, where=one.where)
    return path, record.sha256, preprocessing


def _open(data: Data, plan: FillPlan) -> list[_Input]:
    """Returns the native curtains of the data, in order of time."""
    if isinstance(data, xr.Dataset):
        curtain = adopt_dataset(data, reflectivity=plan.reflectivity, height=plan.height)
        return [_Input(curtain=curtain, files=(), where="dataset")]
    if isinstance(data, str | Path):
        data = [data]
    if not isinstance(data, Sequence) or not all(isinstance(path, str | Path) for path in data):
        raise CurtainError(
            f"{type(data).__name__} cannot be filled; a Dataset, a path or several paths are right"
            " (of a DataArray: array.to_dataset(name='reflectivity'))"
        )
    paths = [Path(path) for path in data]
    if not paths:
        raise SourceFileError("no file is named; at least one is right")
    inputs = [_read(path, plan) for path in paths]
    return sorted(inputs, key=lambda one: one.curtain["time"].values[0])


def _read(path: Path, plan: FillPlan) -> _Input:
    if not path.exists():
        raise SourceFileError(f"{path}: no such file; the path of a radar file is right")
    if not path.is_file():
        raise SourceFileError(f"{path}: no file but a folder; name the files in it")
    product = read_product(path) if plan.repair else None
    curtain = read_curtain(path, plan.reader) if product is None else product
    for ray in split_rays(curtain):
        check_radar(ray, where=str(path))
    return _Input(curtain=curtain, files=(path,), where=str(path))


def _join(curtains: list[xr.Dataset]) -> xr.Dataset:
    """Returns gridded curtains of one radar as one, in order of time."""
    if len(curtains) == 1:
        return curtains[0]
    curtains = continue_tracks(align_positions(_cut_overlaps(curtains)))
    first = curtains[0]
    for before, other in pairwise(map(take_middle_ray, curtains)):
        found = find_other_place(before if is_moving(first) else take_middle_ray(first), other)
        if found is not None:
            raise CurtainError(
                f"the files are of different sites: {found[0]} and {found[1]}; files of one radar"
                " are right"
            )
    common = set.intersection(*(set(map(str, curtain.data_vars)) for curtain in curtains))
    ordered = [name for name in map(str, first.data_vars) if name in common]
    joined = xr.concat(
        [curtain[ordered] for curtain in curtains],
        dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    return joined.assign_attrs(join_findings(curtain.attrs for curtain in curtains))


def _cut_overlaps(curtains: list[xr.Dataset]) -> list[xr.Dataset]:
    """Returns curtains in order of time, without the profiles that the one before covers.

    Raises:
        CurtainError: If two cover more than a short time both.
    """
    kept = curtains[:1]
    for curtain in curtains[1:]:
        end, times = kept[-1]["time"].values[-1], curtain["time"].values
        after = times > end
        if end - times[0] > LARGEST_OVERLAP or not after.any():
            raise CurtainError(
                f"the files overlap in time (at {times[0]}); files without common profiles are"
                " right"
            )
        if not after.all():
            count = int(np.count_nonzero(~after))
            attrs = with_count(curtain.attrs, "in the file before", count, PROFILES_DROPPED)
            curtain = curtain.isel(time=after).assign_attrs(attrs)
        kept.append(curtain)
    return kept


def _find_frequency(curtain: xr.Dataset) -> float | None:
    stated = curtain.attrs.get("frequency_ghz")
    return None if stated is None else float(stated)


def _describe(prepared: PreparedFill, network: TrainedNetwork, passes: float) -> Provenance:
    """Returns where a product in memory comes from, as far as the data state it."""
    curtain, files, plan = prepared.curtain, prepared.files, prepared.plan
    about = curtain.attrs
    # A granule is named by its start to the second.
    unit = "s" if looks_down(curtain) else "D"
    first = curtain["time"].values[0].astype(f"datetime64[{unit}]").astype(object)
    assert isinstance(first, date)
    return Provenance(
        source=find_stem(files[0].name) if len(files) == 1 else "dataset",
        day=first,
        target=prepared.target,
        title=str(about.get("title") or about.get("instrument") or "Radar profiles"),
        instrument=str(about.get("instrument") or NOT_STATED),
        site=str(about.get("site") or (IN_FLIGHT if looks_down(curtain) else NOT_STATED)),
        institution=str(about.get("institution") or NOT_STATED),
        creator=str(about.get("creator") or NOT_STATED),
        publisher=str(about.get("publisher") or NOT_STATED),
        licence=str(about.get("license") or ""),
        references=str(about.get("references") or ""),
        simulated="simulated" in str(about.get("title", "")).lower(),
        source_files=prepared.source_files,
        source_file_uuids=tuple(filter(None, [str(about.get("file_uuid", ""))])),
        profiles_dropped=read_counts(about, PROFILES_DROPPED),
        checkpoint_sha256=network.checkpoint.sha256,
        family=network.checkpoint.config.title,
        experimental=find_experimental(network.checkpoint.sha256),
        intervals=network.status.text,
        is_calibrated=network.status.is_calibrated,
        passes=round(passes),
        tolerance_db=(
            plan.passes.tolerance_db if isinstance(plan.passes, AdaptiveSampling) else None
        ),
        seed=plan.seed,
        software_version=version("blindzone"),
        configuration=network.describe(plan.passes, _plain_ingest(plan, prepared.notes)),
        created=datetime.now(UTC),
        repaired=plan.repair,
        frequency_ghz=plan.frequency_ghz or _find_frequency(curtain),
    )


def _plain_ingest(plan: FillPlan, notes: Sequence[str]) -> Mapping[str, Any]:
    plain = {"reader": plan.reader, "quality": to_plain(plan.quality)}
    return plain | ({"regridded": list(notes)} if notes else {})
