"""Merging of new files into an archived granule: which profile comes from which file.

Files are merged in the order of their names. A new file takes the place of every profile that it
covers, and of all that an earlier version of the same file left. Every other profile is kept bit
for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from blindzone.core.errors import ArchiveError
from blindzone.pipeline.archive.zarr_layout import (
    LONGEST_STEP,
    check_same_grid,
    count_microseconds,
    find_heights,
)
from blindzone.pipeline.curtains.curtain import PROFILE_FIELDS, STATUS_OF, BlindZoneOrigin
from blindzone.pipeline.curtains.position import align_positions, find_other_place, is_moving

_FLAGS = "quality_flags"
ORIGIN = "source_file"
"""Coordinate `(time,)`, int16: which of the granule's files a profile comes from."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The result of a merge.

    Attributes:
        curtain: The granule's curtain, or swath, with the coordinate `source_file`.
        files: Names of the files that its profiles come from, in the order of `source_file`.
        added: Number of profiles at times that the granule did not have.
        replaced: Number of profiles at times that it had, now from another file or version.
        kept: Number of unchanged profiles.
        dropped: Number of profiles at times that it no longer has.
    """

    curtain: xr.Dataset
    files: tuple[str, ...]
    added: int
    replaced: int
    kept: int
    dropped: int


@dataclass(frozen=True)
class _Choice:
    """Profiles in order of time: times [us], pieces and places in these, each `(profile,)`."""

    times: np.ndarray
    piece: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray, number: int) -> _Choice:
        return cls(times, np.full(times.size, number), np.arange(times.size))

    def select(self, index: np.ndarray) -> _Choice:
        return _Choice(self.times[index], self.piece[index], self.place[index])

    def join(self, other: _Choice) -> _Choice:
        pairs = ((self.times, other.times), (self.piece, other.piece), (self.place, other.place))
        joined = _Choice(*(np.concatenate(pair) for pair in pairs))
        return joined.select(np.argsort(joined.times, kind="stable"))


def find_covered(times: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Returns which times `(profile,)` a file with the times `by` covers, bool `(profile,)`.

    A time is covered if it is one of the file's, or is between two of them without a gap. Both sets
    of times are int64 and increasing.
    """
    if by.size == 0:
        return np.zeros(times.size, dtype=bool)
    steps = np.diff(by)
    before = np.searchsorted(by, times, side="right") - 1
    same = (before >= 0) & (by[before] == times)
    if steps.size == 0:
        return np.asarray(same)
    between = (before >= 0) & (before < steps.size)
    joined = steps <= LONGEST_STEP * np.median(steps)
    return np.asarray(same | (between & joined[np.minimum(before, steps.size - 1)]))


def merge_files(
    archived: xr.Dataset | None,
    archived_files: Sequence[str],
    parts: Mapping[str, xr.Dataset],
    *,
    replace_all: bool = False,
    where: str = "archive",
) -> Merged:
    """Returns a granule's content `(time, height)` with new files merged into it.

    Args:
        archived: Its archived content, with `source_file`; `None` for nothing.
        archived_files: Names of the files that `source_file` counts.
        parts: The new files' curtains by file name, on one grid; one may have no profiles.
        replace_all: Whether all archived profiles are replaced; then only their times are read.
        where: What to call the granule in a message.

    Raises:
        ArchiveError: If files differ in variables or in place, or no profile is left.
    """
    pieces = ([] if archived is None else [archived]) + [parts[name] for name in sorted(parts)]
    before = np.zeros(0, dtype=np.int64) if archived is None else count_microseconds(archived)
    choice = _Choice.of(before, 0)
    if archived is not None:
        # An earlier version of a file leaves nothing behind.
        gone = [
            number for number, name in enumerate(archived_files) if replace_all or name in parts
        ]
        choice = choice.select(~np.isin(archived[ORIGIN].values, gone) & (not replace_all))
    for number, name in enumerate(sorted(parts), start=len(pieces) - len(parts)):
        times = count_microseconds(parts[name])
        choice = choice.select(~find_covered(choice.times, times)).join(_Choice.of(times, number))
    if choice.times.size == 0:
        raise ArchiveError(f"{where}: no profile would be left; the archive stays as it was")
    files, origins = _number_origins(
        choice, pieces, archived_files if archived is not None else None, sorted(parts)
    )
    curtain = _take(pieces, choice, where).assign_coords({ORIGIN: ("time", origins)})
    kept = 0 if archived is None else int((choice.piece == 0).sum())
    known = int(np.isin(choice.times, before).sum())
    return Merged(
        curtain=curtain,
        files=files,
        added=choice.times.size - known,
        replaced=known - kept,
        kept=kept,
        dropped=before.size - known,
    )


def _number_origins(
    choice: _Choice,
    pieces: list[xr.Dataset],
    archived_files: Sequence[str] | None,
    new_files: Sequence[str],
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names of the files of all profiles, and the number of each profile's file."""
    if archived_files is None:
        names, number = list(new_files), choice.piece
    else:
        names = [*archived_files, *new_files]
        from_archived = choice.piece == 0
        number = choice.piece - 1 + len(archived_files)
        number[from_archived] = pieces[0][ORIGIN].values[choice.place[from_archived]]
    files = sorted({names[used] for used in np.unique(number)})
    place = np.array([files.index(name) if name in files else -1 for name in names])
    return tuple(files), place[number].astype(np.int16)


def _take(pieces: list[xr.Dataset], choice: _Choice, where: str) -> xr.Dataset:
    """Returns the chosen profiles as one dataset, without origins."""
    used = np.unique(choice.piece).tolist()
    chosen = _complete_flags([pieces[number].drop_vars(ORIGIN, errors="ignore") for number in used])
    chosen = _complete_profile_fields(align_positions(chosen))
    first: xr.Dataset = chosen[0]
    _check_same_variables(chosen, where)
    for other in chosen[1:]:
        check_same_grid(
            find_heights(other),
            find_heights(first),
            where=where,
            whose="another file of the day",
        )
    _check_same_place(chosen, where)
    if len(used) == 1 and choice.times.size == first.sizes["time"]:
        return first
    starts = np.zeros(len(pieces), dtype=np.int64)
    starts[used] = np.cumsum([0, *(piece.sizes["time"] for piece in chosen[:-1])])
    index = starts[choice.piece] + choice.place
    variables = {}
    for name, variable in first.variables.items():
        if "time" not in variable.dims:
            continue
        axis = variable.dims.index("time")
        # What is archived keeps its type, and with it its bits.
        joined = np.concatenate(
            [piece[name].values.astype(variable.dtype, copy=False) for piece in chosen], axis
        )
        variables[name] = (variable.dims, np.take(joined, index, axis), variable.attrs)
    static = first.drop_dims("time")
    coordinates = {name: variables.pop(name) for name in first.coords if name in variables}
    return xr.Dataset(
        {**static.data_vars, **variables},
        {**static.coords, **coordinates},
        _common_attributes(chosen),
    )


def _complete_flags(pieces: list[xr.Dataset]) -> list[xr.Dataset]:
    """Returns pieces that all have quality flags, none set, if one of them has any.

    A lidar's file has flags where something in it is rejected, and another one of its day none.
    """
    if not any(_FLAGS in piece for piece in pieces):
        return pieces
    statuses = [
        next((piece[name] for name in STATUS_OF.values() if name in piece), None)
        for piece in pieces
    ]
    return [
        piece
        if _FLAGS in piece or status is None
        else piece.assign({_FLAGS: (status.dims, np.zeros(status.shape, dtype=np.uint8))})
        for piece, status in zip(pieces, statuses, strict=True)
    ]


def _complete_profile_fields(pieces: list[xr.Dataset]) -> list[xr.Dataset]:
    """Returns pieces that all have the variables `(time,)` that any has; unknown where not."""
    models = {
        name: next(piece[name] for piece in pieces if name in piece)
        for name in PROFILE_FIELDS
        if any(name in piece for piece in pieces)
    }
    return [
        piece.assign(
            {
                name: (model.dims, _make_unknown(model, piece))
                for name, model in models.items()
                if name not in piece
            }
        )
        for piece in pieces
    ]


def _make_unknown(model: xr.DataArray, piece: xr.Dataset) -> np.ndarray:
    """Returns what a variable like another one holds where nothing is known of the profiles."""
    nothing = BlindZoneOrigin.UNKNOWN if model.dtype.kind == "i" else np.nan
    return np.full([piece.sizes[dim] for dim in model.dims], nothing, model.dtype)


def _common_attributes(pieces: list[xr.Dataset]) -> dict[str, object]:
    """Returns the attributes that all pieces share with equal values."""
    texts = [
        {name: json.dumps(value, default=str) for name, value in piece.attrs.items()}
        for piece in pieces
    ]
    return {
        name: value
        for name, value in pieces[0].attrs.items()
        if all(other.get(name) == texts[0][name] for other in texts[1:])
    }


def _check_same_variables(pieces: list[xr.Dataset], where: str) -> None:
    kinds = [
        {str(name): variable.dims for name, variable in piece.variables.items()} for piece in pieces
    ]
    for kind in kinds[1:]:
        if kind != kinds[0]:
            raise ArchiveError(
                f"{where}: one file holds {_describe_variables(kinds[0])}; another"
                f" {_describe_variables(kind)}; the files of one day must hold the same variables:"
                " ingest the day's files anew together, or use another source name for one sort"
            )


def _describe_variables(kind: Mapping[str, tuple[object, ...]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, dims))})" for name, dims in sorted(kind.items()))


def _check_same_place(pieces: list[xr.Dataset], where: str) -> None:
    """Checks that all pieces are of one site, or that one platform gets from each to the next."""
    if any(map(is_moving, pieces)):
        in_time = sorted(pieces, key=lambda piece: piece["time"].values[0])
        pairs = list(pairwise(in_time))
    else:
        pairs = [(pieces[0], piece) for piece in pieces[1:]]
    for one, other in pairs:
        found = find_other_place(one, other)
        if found is not None:
            raise ArchiveError(
                f"{where}: one file is at {found[0]}, another at {found[1]}; one fixed site, or the"
                " track of one platform, is right"
            )
