"""Which network fills a curtain, by what the curtain is: band, platform and grid.

Each network of the package is one file `blindzone/models/weights/*.keras`. What it was made for is
in its own record, which is read without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import BlindzoneError, CheckpointError, CurtainError
from blindzone.core.fence import refusing_as
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS, checkpoint_file
from blindzone.models.checkpoint_record import CheckpointRecord, open_record
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.curtains.along_track import SAME_SPACING, find_spacing, looks_down
from blindzone.pipeline.inpainting.applicability import BAND_FACTOR
from blindzone.pipeline.network_input.preprocessing import Preprocessing

COARSER = 1.01
"""Gates whose spacing exceeds the depth of a row by more than this factor cannot be regridded."""


@dataclass(frozen=True, kw_only=True)
class CurtainKind:
    """What kind of curtain one is, or a network was made for.

    Attributes:
        frequency_ghz: Radar frequency [GHz]; None if not known.
        looks_down: Whether the radar looks down from above.
        row_depth_m: Depth of a row, or spacing of gates [m].
        spacing_m: Distance between profiles along the track [m]; None on the ground, NaN if not
            known.
    """

    frequency_ghz: float | None
    looks_down: bool
    row_depth_m: float
    spacing_m: float | None = None

    def __str__(self) -> str:
        """Returns the kind in words."""
        band = "unknown frequency" if self.frequency_ghz is None else f"{self.frequency_ghz:g} GHz"
        rows = f"rows every {self.row_depth_m:.4g} m"
        if self.spacing_m is None:
            return f"a radar on the ground at {band}, {rows}"
        return f"a radar from above at {band}, {rows}, profiles every {self.spacing_m:.4g} m"

    def is_of_band(self, other: CurtainKind) -> bool:
        """Returns whether both frequencies are known and of one band."""
        if self.frequency_ghz is None or other.frequency_ghz is None:
            return False
        return 1 / BAND_FACTOR <= self.frequency_ghz / other.frequency_ghz <= BAND_FACTOR

    def fits(self, curtain: CurtainKind) -> bool:
        """Returns whether a network of this kind fills curtains of another: none becomes finer."""
        # A single profile has no spacing, NaN, and is not too coarse.
        too_coarse = (curtain.spacing_m or 0.0) > (self.spacing_m or 0.0) * SAME_SPACING
        return (
            self.looks_down == curtain.looks_down
            and self.is_of_band(curtain)
            and curtain.row_depth_m <= self.row_depth_m * COARSER
            and not too_coarse
        )


GROUND = CurtainKind(frequency_ghz=None, looks_down=False, row_depth_m=0.0)
"""The kind of a radar on the ground of which nothing else is known."""


def find_curtain_kind(curtain: xr.Dataset, frequency_ghz: float | None) -> CurtainKind:
    """Returns the kind of a curtain `(time, height)` or swath, native or gridded.

    Args:
        curtain: The curtain.
        frequency_ghz: Radar frequency [GHz], if known.
    """
    heights = curtain["height"].values
    return CurtainKind(
        frequency_ghz=frequency_ghz,
        looks_down=looks_down(curtain),
        row_depth_m=float(np.median(np.diff(heights))) if heights.size > 1 else 0.0,
        spacing_m=find_spacing(curtain) if looks_down(curtain) else None,
    )


def find_source_kind(archive: Archive, entry: Source, days: Sequence[date]) -> CurtainKind:
    """Returns the kind of a source's curtains: of granules that of the first that is archived.

    Args:
        archive: The archive.
        entry: The source's catalogue entry, which may leave to its files what they state.
        days: Its archived days or granules.

    Raises:
        ArchiveError: If the first granule cannot be opened.
    """
    if entry.unit == "day" or not days:
        return find_entry_kind(entry)
    curtain = archive.open_day(entry.name, days[0])
    return find_curtain_kind(curtain, entry.find_frequency(curtain.attrs))


def find_entry_kind(entry: Source) -> CurtainKind:
    """Returns the kind of the curtains of a catalogue's source, by its entry alone."""
    return CurtainKind(
        frequency_ghz=entry.find_frequency(),
        looks_down=entry.profile_spacing_m is not None,
        row_depth_m=entry.grid.row_depth_m,
        spacing_m=entry.profile_spacing_m,
    )


def read_preprocessing(path: Path, record: CheckpointRecord) -> Preprocessing:
    """Returns how curtains become the input of a checkpoint's network that is to fill.

    Raises:
        CheckpointError: If the checkpoint does not say so, or is a pretrained trunk.
        CurtainError: If what it says is not understood.
    """
    if record.is_trunk:
        raise CheckpointError(
            f"{path}: a pretrained trunk, which other networks begin with ('blindzone train SOURCE"
            " --pretrained FILE') and which fills nothing itself; a network that 'blindzone train'"
            " has made is right"
        )
    with refusing_as(CheckpointError, f"{path}: its record cannot be used"):
        return Preprocessing.from_dict(record.content["preprocessing"])


def find_network_kind(record: Mapping[str, Any]) -> CurtainKind:
    """Returns the kind of curtains that a checkpoint's record says its network was made for.

    Raises:
        CurtainError: If its preprocessing is not understood.
    """
    preprocessing = Preprocessing.from_dict(record.get("preprocessing", {}))
    trained, applies = record.get("training") or {}, (record.get("calibration") or {}).get("domain")
    frequency = trained.get("frequency_ghz") or (applies or {}).get("frequency_ghz")
    return find_kind(preprocessing, None if frequency is None else float(frequency))


def find_kind(preprocessing: Preprocessing, frequency_ghz: float | None) -> CurtainKind:
    """Returns the kind of curtains that become network input by a preprocessing.

    Args:
        preprocessing: How they do.
        frequency_ghz: Radar frequency [GHz], if known.
    """
    return CurtainKind(
        frequency_ghz=frequency_ghz,
        looks_down=preprocessing.profile_spacing_m is not None,
        row_depth_m=preprocessing.grid.row_depth_m,
        spacing_m=preprocessing.profile_spacing_m,
    )


def list_shipped(*, repairs: bool = False) -> dict[Path, CurtainKind]:
    """Returns the networks of the package that can be read, each with its kind.

    Args:
        repairs: Whether those that repair holes are meant, or those that fill blind zones.
    """
    found = {}
    for path in sorted(SHIPPED_WEIGHTS.parent.glob("*.keras")):
        with suppress(BlindzoneError):
            record = open_record(path)
            holes = record.content.get("preprocessing", {}).get("holes")
            if repairs == bool(holes) and not record.is_trunk:
                found[path] = find_network_kind(record.content)
    return found


def choose_repairing(kind: CurtainKind, *, where: str) -> Path:
    """Returns the network of the package that repairs holes of a kind of curtain.

    Of radars on the ground that is any, if none fits; its product then says what differs.

    Raises:
        CurtainError: If there is none.
    """
    networks = list_shipped(repairs=True)
    fitting = [path for path, network in networks.items() if network.fits(kind)]
    others = [] if kind.looks_down else list(networks)
    if not (found := fitting or others):
        raise CurtainError(
            f"{where}: the curtain is that of {kind}, and no network of the package repairs its"
            " holes; a checkpoint whose training drew holes (windows: holes: in its plan) is right"
        )
    return found[0]


def find_shipped(kind: CurtainKind) -> Path | None:
    """Returns the network of the package with the finest grid that fills a kind of curtain."""
    fitting = [
        (network.row_depth_m, network.spacing_m or 0.0, path)
        for path, network in list_shipped().items()
        if network.fits(kind)
    ]
    return min(fitting)[-1] if fitting else None


def choose_network(kind: CurtainKind, *, where: str) -> Path:
    """Returns the network of the package that fills a kind of curtain.

    Of radars on the ground that is the default one where none fits; its product then says what
    differs.

    Raises:
        CurtainError: If none was made for such a radar from above.
    """
    found = find_shipped(kind)
    if found is None and kind.looks_down:
        raise CurtainError(f"{where}: the curtain is that of {kind}; {_advise(kind)}")
    return found or SHIPPED_WEIGHTS


def check_kind(network: CurtainKind, curtain: CurtainKind, *, name: str, where: str) -> None:
    """Checks that a network was made for curtains of a kind, where one of the two is from above.

    Args:
        network: What the network was made for.
        curtain: What is to be filled.
        name: What to call the network.
        where: What to call the curtain.

    Raises:
        CurtainError: If platform or band differ, or the curtain is coarser. It says which network
            would be right.
    """
    if not (network.looks_down or curtain.looks_down):
        return  # the product flags what differs
    # A frequency that one of them does not state is taken for the other's.
    band = network.frequency_ghz or curtain.frequency_ghz or 1.0
    stated = replace(network, frequency_ghz=band)
    if stated.fits(replace(curtain, frequency_ghz=curtain.frequency_ghz or band)):
        return
    raise CurtainError(
        f"{where}: the curtain is that of {curtain}, the network {name} was made for {network};"
        f" {_advise(curtain)}"
    )


def _advise(kind: CurtainKind) -> str:
    """Returns which network would be right for a kind of curtain."""
    if not kind.looks_down:
        return f"{SHIPPED_WEIGHTS.name} of the package is right"
    found = find_shipped(kind)
    if found is not None:
        return f"{found.name} of the package is right"
    others = "; ".join(
        f"{path.name}: {network}" for path, network in list_shipped().items() if network.looks_down
    )
    lacking = "" if kind.frequency_ghz else ", and the frequency (frequency_ghz) to be stated"
    return (
        f"a checkpoint that was trained for its band and a grid no finer is right{lacking}; of the"
        f" package from above: {others or 'none'}"
    )


def trained_checkpoint(source: str, kind: CurtainKind | None = None) -> Path:
    """Returns the default network of a source: its own checkpoint, else one of the package.

    Args:
        source: Name of the source.
        kind: What its curtains are, which decides among the networks of the package; without it
            that is the default one.

    Raises:
        CurtainError: If none of the package fits curtains from above.
    """
    own = checkpoint_file(source)
    if own.is_file():
        return own
    return SHIPPED_WEIGHTS if kind is None else choose_network(kind, where=source)
