"""Provenance of a product: whose data it is made from, how, and the global attributes of both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from blindzone.core.errors import ProductError
from blindzone.core.granule import Granule
from blindzone.pipeline.curtains.acdd import NOT_STATED, describe_people, or_not_stated

PRODUCT_VERSION = "1"
"""Version of a product's numbers and layout. A new version makes all products anew."""
WARNING = "Not known to hold as stated: see the global attribute interval_calibration."
"""What the comment of interval bounds says if they are not known to be calibrated."""
SINGLE_PASS = 1
"""Number of passes that a product of a single pass states; with dropout there are more."""
_METHOD = "https://doi.org/10.1175/AIES-D-23-0063.1"


FREQUENCY = "frequency_ghz"
"""Global attribute of a product whose title and instrument do not name the radar's frequency."""
_FREQUENCY = re.compile(r"(\d+(?:\.\d+)?)[ -]GHz")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a product comes from; all of it is written into the file.

    Attributes:
        source: Name of the source in the catalogue.
        day: UTC day, or start of the granule.
        target: SHA-256 of all that the product is made from.
        title: What the source is, in a few words.
        instrument: The instrument.
        site: The site.
        institution: Where the source's data were produced.
        creator: Who made the source's data.
        publisher: Who offers the source's data.
        licence: Terms of use of the source.
        references: What to cite for the source.
        simulated: Whether the source is simulated.
        source_files: Name and SHA-256 of each source file.
        source_file_uuids: `file_uuid` of each source file that has one (Cloudnet).
        checkpoint_sha256: SHA-256 of the network's checkpoint.
        family: Family of the network, in words.
        passes: Number of stochastic forward passes; their mean where the number varies from window
            to window. One is a single pass without dropout.
        tolerance_db: Standard error of the interval bounds [dB] that the number was chosen for;
            None if the number was fixed.
        seed: Seed of the stochastic forward passes.
        software_version: Version of blindzone.
        configuration: What the run used; written as JSON, with text for dates and paths.
        created: When the product was made, with its time zone.
        intervals: Whether the interval bounds are calibrated, and on what, in words.
        is_calibrated: Whether they are known to hold, on days like those of the calibration.
        profiles_dropped: Number of profiles of the source files that were left out because of a
            fault, by reason.
        repaired: Kinds of holes that were repaired, anywhere in the curtain; none of a product with
            a filled blind zone.
        frequency_ghz: Frequency of the radar [GHz]; None if it is not known. It is written where
            neither title nor instrument names it.
    """

    source: str
    day: date
    target: str
    title: str
    instrument: str
    site: str
    licence: str
    references: str
    simulated: bool
    source_files: tuple[tuple[str, str], ...]
    source_file_uuids: tuple[str, ...]
    checkpoint_sha256: str
    passes: int
    seed: int
    software_version: str
    configuration: Mapping[str, Any]
    created: datetime
    family: str = "UNet3+"
    experimental: str = ""
    intervals: str = NOT_STATED
    is_calibrated: bool = True
    tolerance_db: float | None = None
    institution: str = NOT_STATED
    creator: str = NOT_STATED
    publisher: str = NOT_STATED
    profiles_dropped: Mapping[str, int] = field(default_factory=dict)
    repaired: tuple[str, ...] = ()
    frequency_ghz: float | None = None

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise ProductError(
                f"provenance: 'created' has no time zone ({self.created}); an aware UTC time is"
                " right"
            )

    @property
    def network(self) -> str:
        """What filled the blind zone, in words."""
        if self.passes == SINGLE_PASS:
            return f"{self.family}, a single forward pass without dropout"
        chosen = (
            ""
            if self.tolerance_db is None
            else f" on average, chosen for interval bounds to {self.tolerance_db:g} dB"
        )
        return f"{self.family} with Monte Carlo dropout, {self.passes} forward passes{chosen}"


@dataclass(frozen=True)
class _Holes:
    """What was filled, in words.

    Attributes:
        name: It, without an article.
        what: It, as a subject in the singular.
        elsewhere: Where nothing was filled.
        inside: Where it was.
    """

    name: str
    what: str
    elsewhere: str
    inside: str

    @classmethod
    def of(cls, provenance: Provenance) -> _Holes:
        """Returns what was filled in a product."""
        if not provenance.repaired:
            return cls("blind zone", "The blind zone near the ground was", "Above it", "In it")
        kinds = ", ".join(provenance.repaired)
        return cls("holes", f"What is missing ({kinds}) was", "Elsewhere", "There")


def list_files(files: Iterable[tuple[str, str]]) -> str:
    """Returns names and hashes of source files as a product states them."""
    return or_not_stated("; ".join(f"{name} sha256:{sha256}" for name, sha256 in files))


def product_id(source: str, day: date) -> str:
    """Returns the identifier of the product of a source's UTC day or granule."""
    return f"{source}_{Granule.of(day).key}_blindzone"


def describe_provenance(provenance: Provenance) -> dict[str, Any]:
    """Returns the global attributes of a product that follow from its provenance."""
    return (
        _describe_content(provenance)
        | _describe_terms(provenance)
        | describe_people(
            institution=provenance.institution,
            creator=provenance.creator,
            publisher=provenance.publisher,
        )
        | _describe_place(provenance)
        | _describe_inputs(provenance)
    )


def _describe_content(p: Provenance) -> dict[str, Any]:
    """Returns what the product is and how it was made."""
    created = p.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = "simulated reflectivity" if p.simulated else "reflectivity"
    software = f"blindzone {p.software_version}"
    span = "UTC day" if Granule.of(p.day).kind == "day" else "granule"
    holes = _Holes.of(p)
    return {
        "title": f"{p.title}: {kind} with its {holes.name} filled",
        "summary": (
            f"One {span} of {kind} profiles from {p.site} on rows above the ground. {holes.what}"
            f" hidden and filled by a neural network ({p.network}). {holes.elsewhere} the source's"
            f" values are unaltered. {holes.inside}, each pixel has a probability of echo, and the"
            " median, spread and quantiles of a predictive distribution. inpainting_flag says where"
            " each pixel comes from."
        ),
        "source": (
            f"{'simulated radar data: ' if p.simulated else ''}{p.instrument}; {holes.name}:"
            f" {p.network}, {software}"
        ),
        "comment": (
            "Filled values are estimates: use them with their quantiles and inpainting_flag."
            f"{f' The network is experimental: {p.experimental}.' if p.experimental else ''}"
            f"{'' if p.is_calibrated else f' {WARNING}'}"
        ),
        "history": f"{created} {software}: {holes.name} filled ({p.network}, seed {p.seed})",
        "processing_level": f"Level 2: gridded, {holes.name} filled",
        "product_version": PRODUCT_VERSION,
        "software_version": p.software_version,
        "keywords": (
            "radar, reflectivity, blind zone, inpainting, clouds, precipitation, uncertainty"
        ),
        "keywords_vocabulary": "none: free keywords",
        **{
            f"date_{what}": created
            for what in ("created", "modified", "issued", "metadata_modified")
        },
    }


def _describe_terms(p: Provenance) -> dict[str, Any]:
    """Returns what to cite and the terms of use."""
    method = f"method after King et al. (2024), {_METHOD}"
    return {
        "id": product_id(p.source, p.day),
        "references": "; ".join(filter(None, (p.references, method))),
        "metadata_link": _METHOD,
        "license": or_not_stated(p.licence),
        "acknowledgement": or_not_stated(p.references),
    }


def find_named_frequency(*texts: str) -> float | None:
    """Returns the frequency [GHz] in the first text with `95-GHz` or `95 GHz`; None without any."""
    found = (_FREQUENCY.search(text) for text in texts)
    return next((float(match[1]) for match in found if match), None)


def _describe_place(p: Provenance) -> dict[str, Any]:
    """Returns instrument and site."""
    named = p.frequency_ghz is None or find_named_frequency(p.title, p.instrument) is not None
    return {
        "instrument": p.instrument,
        **({} if named else {FREQUENCY: p.frequency_ghz}),
        "instrument_vocabulary": "none: free text",
        "platform": p.site,
        "platform_vocabulary": "none: free text",
        "site": p.site,
    }


def _describe_inputs(p: Provenance) -> dict[str, Any]:
    """Returns what the product was made from, to make it again."""
    chosen = {} if p.tolerance_db is None else {"realizations_tolerance_db": p.tolerance_db}
    dropped = "; ".join(f"{reason}: {count}" for reason, count in p.profiles_dropped.items())
    return {
        "source_files": list_files(p.source_files),
        "source_file_uuids": or_not_stated("; ".join(p.source_file_uuids)),
        **({"profiles_dropped": dropped} if dropped else {}),
        "checkpoint_sha256": p.checkpoint_sha256,
        **({"network_status": f"experimental: {p.experimental}"} if p.experimental else {}),
        "interval_calibration": p.intervals,
        "target_sha256": p.target,
        "realizations": np.int32(p.passes),
        **chosen,
        "seed": np.int64(p.seed),
        "configuration": json.dumps(dict(p.configuration), sort_keys=True, default=str),
    }
