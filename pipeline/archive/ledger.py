"""The archive's ledger: one small JSON record per granule, of its content and its source files.

A granule is written in one transaction: a UTC day (`date`), or a granule of a spaceborne radar
(`datetime`). Signatures say `date` for both.

    ledger/YYYYMMDD.json, ledger/YYYYMMDDTHHMMSS.json    an archived granule
    ledger/KEY.absent.json                               a granule without profiles, and why
    ledger/KEY.damaged.json                              a damaged record; ingesting replaces it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from blindzone.core.errors import ArchiveError
from blindzone.core.files import sha256_file
from blindzone.core.granule import Granule
from blindzone.core.printable import to_line
from blindzone.pipeline.curtains.findings import describe_findings

LEDGER_VERSION = 3
_VERSION_WITHOUT_FINDINGS = 2
_FINDINGS = ("values_masked", "profiles_dropped", "doubts")
"""Fields of a file that version 2 does not know, and took for damage."""
_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "dict[str, Any]": dict,
    "dict[str, int]": dict,
    "tuple[str, ...]": (list, tuple),
}


class Verdict(StrEnum):
    """The outcome of a file, or of a granule without archived profiles, as records have it."""

    INGESTED = "ingested"
    """The granule holds profiles of the file."""
    SUPERSEDED = "superseded"
    """The file was ingested, and other files have taken the place of all of its profiles."""
    REJECTED = "refused"
    """The file cannot be ingested, or of a granule: none of its files can."""
    MISSING = "missing"
    """There was no file for the granule."""

    @property
    def word(self) -> str:
        """What people read."""
        return {"refused": "rejected", "ingested": "created"}.get(self.value, self.value)


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A source file as it was when it was read.

    Attributes:
        name: File name, without its folder.
        size: Bytes.
        sha256: SHA-256 of its content.
        uuid: Identifier that the file gives itself (Cloudnet `file_uuid`).
        reader: Reader that read it.
        version: Version of blindzone that read it.
        first_time: Time of the file's first profile, in this granule or not, ISO 8601, UTC.
        last_time: Time of the file's last profile.
        profiles: Number of profiles of this granule that come from it.
        verdict: What became of it.
        reason: Why, unless it was ingested.
        values_masked: Number of values that the file itself contradicts and that were masked, by
            reason.
        profiles_dropped: Number of its profiles of this granule that were left out because of a
            fault, by reason. Those of an unknown time count in the file's own granule.
        doubts: What may be wrong in it and cannot be decided from the file alone.
    """

    name: str
    size: int
    sha256: str
    uuid: str = ""
    reader: str = ""
    version: str = ""
    first_time: str = ""
    last_time: str = ""
    profiles: int = 0
    verdict: Verdict = Verdict.INGESTED
    reason: str = ""
    values_masked: dict[str, int] = field(default_factory=dict, hash=False)
    profiles_dropped: dict[str, int] = field(default_factory=dict, hash=False)
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubts", tuple(self.doubts))

    @property
    def findings(self) -> list[str]:
        """Lines for people on what was left out or masked and what is doubtful."""
        return describe_findings(self.values_masked, self.doubts, self.profiles_dropped)

    @property
    def identity(self) -> tuple[str, str]:
        """Name and hash: a file with both the same is the same file."""
        return self.name, self.sha256


@dataclass(frozen=True, kw_only=True)
class DayRecord:
    """The record of an archived granule. Fields that ledger version 1 did not have are empty.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day, or start of the granule.
        store: Name of the store's folder.
        files: The source files; first those that the granule holds profiles of, in the order of
            `source_file`.
        configuration: Grid, quality rules and reader that made the curtain.
        profiles: Number of profiles.
        first_time: Time of the first profile, ISO 8601, UTC.
        last_time: Time of the last profile.
        written: When the record was written, ISO 8601, UTC.
        version: Version of blindzone that wrote it.
        grid: The heights, in words.
        grid_hash: SHA-256 of the heights.
        content_hash: SHA-256 of what the store holds, decoded (`zarr_layout.hash_content`).
        size: Bytes of the store.
        gaps: Number of steps in time longer than five times the median one.
        gap_seconds: Total length of these steps [s].
        rays: Number of rays of a swath; 0 for a curtain.
    """

    source: str
    day: date
    store: str
    files: tuple[FileRecord, ...]
    configuration: dict[str, Any]
    profiles: int
    first_time: str
    last_time: str
    written: str
    version: str = ""
    grid: str = ""
    grid_hash: str = ""
    content_hash: str = ""
    size: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0
    rays: int = 0

    @property
    def contributing(self) -> tuple[FileRecord, ...]:
        """The files that the granule holds profiles of; of a record of version 1, all."""
        return (
            tuple(file for file in self.files if file.profiles > 0)
            if self.content_hash
            else self.files
        )

    def to_json(self) -> str:
        """Returns the record as JSON."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> DayRecord:
        """Returns the record that `to_json` wrote, of this version of the ledger or an earlier one.

        Raises:
            ArchiveError: If a newer blindzone wrote it.
            ValueError, KeyError, TypeError, AttributeError: If it is damaged.
        """
        return cls(**_from_json(text, cls))


@dataclass(frozen=True, kw_only=True)
class AbsentRecord:
    """The record of a granule without archived profiles.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day, or start of the granule.
        verdict: `missing` if there was no file, `rejected` if none could be ingested.
        files: The rejected files with their reasons.
        written: When the record was written, ISO 8601, UTC.
    """

    source: str
    day: date
    verdict: Verdict
    files: tuple[FileRecord, ...] = ()
    written: str

    def to_json(self) -> str:
        """Returns the record as JSON."""
        return _to_json(self)

    def describe(self) -> list[str]:
        """Returns lines for people, one per rejected file."""
        if not self.files:
            return [f"{self.day}: {self.verdict.word}"]
        return [
            to_line(f"{self.day}: {self.verdict.word}: {file.name}: {file.reason}")
            for file in self.files
        ]

    @classmethod
    def from_json(cls, text: str) -> AbsentRecord:
        """Returns the record that `to_json` wrote; raises as `DayRecord.from_json` does."""
        content = _from_json(text, cls)
        return cls(**content | {"verdict": Verdict(content["verdict"])})


def find_granules(names: Iterable[str], suffix: str = ".json") -> tuple[Granule, ...]:
    """Returns the granules of those ledger files whose names end so, in order of time."""
    # Names of days and granules sort as their times do: "." comes before "T".
    return tuple(iterate_granules(sorted(names), suffix))


def iterate_granules(names: Iterable[str], suffix: str = ".json") -> Iterator[Granule]:
    """Yields the granules of those ledger files whose names end so, in the order of the names."""
    for name in names:
        with suppress(ValueError):
            if name.endswith(suffix):
                yield Granule.parse(name.removesuffix(suffix))


def describe_file(path: Path, *, file_uuid: str = "") -> FileRecord:
    """Returns the size and hash of a file."""
    size = path.stat().st_size
    return FileRecord(name=path.name, size=size, sha256=sha256_file(path), uuid=file_uuid)


def record_name(source: str, granule: date, kind: str = "") -> str:
    """Returns the name of a granule's record below the root; kind: none, `absent` or `damaged`."""
    return f"{source}/ledger/{Granule.of(granule).key}{f'.{kind}' if kind else ''}.json"


def describe_configuration(configuration: Mapping[str, Any]) -> str:
    """Returns a configuration as JSON with sorted keys; dates and paths become text."""
    return json.dumps(configuration, sort_keys=True, default=str)


def is_same_configuration(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Returns whether two configurations have equal values; 75 equals 75.0."""
    plain, other_plain = (json.loads(describe_configuration(found)) for found in (one, other))
    return bool(plain == other_plain)


def now_text() -> str:
    """Returns the present time as ISO 8601 text, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _to_json(record: DayRecord | AbsentRecord) -> str:
    """Returns a record as JSON; one without findings is as earlier versions write and read it."""
    files = [
        {name: value for name, value in asdict(file).items() if value or name not in _FINDINGS}
        for file in record.files
    ]
    newer = any(name in file for file in files for name in _FINDINGS)
    content = asdict(record) | {"files": files, "day": record.day.isoformat()}
    version = LEDGER_VERSION if newer else _VERSION_WITHOUT_FINDINGS
    return json.dumps({"ledger_version": version} | content, indent=1, default=str)


def _from_json(text: str, cls: type[DayRecord | AbsentRecord]) -> dict[str, Any]:
    """Returns the fields of a record, checked."""
    content: dict[str, Any] = json.loads(text)
    version = content.pop("ledger_version")
    if version > LEDGER_VERSION:
        raise ArchiveError(
            f"a newer blindzone wrote this record (ledger version {version}, this one knows"
            f" {LEDGER_VERSION}); update blindzone to read and write this archive"
        )
    for entry in (*content["files"], content):
        _check_types(entry, cls if entry is content else FileRecord)
    files = tuple(FileRecord(**entry | _verdict(entry)) for entry in content["files"])
    parse = datetime.fromisoformat if "T" in content["day"] else date.fromisoformat
    return content | {"day": parse(content["day"]), "files": files}


def _verdict(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"verdict": Verdict(entry["verdict"])} if "verdict" in entry else {}


def _check_types(
    content: Mapping[str, Any], cls: type[DayRecord | AbsentRecord | FileRecord]
) -> None:
    for entry in fields(cls):
        right = _JSON_TYPES.get(str(entry.type))
        if (
            right is not None
            and entry.name in content
            and not isinstance(content[entry.name], right)
        ):
            raise TypeError(f"'{entry.name}' is {content[entry.name]!r}; {entry.type} is right")
