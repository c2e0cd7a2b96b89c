"""Names, units and attributes of the variables of precipitation (CF 1.11, ACDD 1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from blindzone.pipeline.curtains.cf_table import Metadata
from blindzone.pipeline.derivation.amounts import AMOUNT_NAMES, WINDOW_NAMES
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.derivation.precipitation import RATE_NAMES, PrecipitationFlag
from blindzone.pipeline.derivation.relations import Phase
from blindzone.pipeline.derivation.sums import SumFlag

_IN_WORDS = {Phase.SNOW: "snowfall, as liquid water,", Phase.RAIN: "rainfall"}
_RATE_STANDARD_NAMES = {Phase.SNOW: "lwe_snowfall_rate", Phase.RAIN: "rainfall_rate"}
_AMOUNT_STANDARD_NAMES = {
    Phase.SNOW: "lwe_thickness_of_snowfall_amount",
    Phase.RAIN: "thickness_of_rainfall_amount",
}
_IF = {
    Phase.SNOW: "Where precipitation_phase is unknown: if it snows.",
    Phase.RAIN: "Where precipitation_phase is unknown: if it rains.",
}
_OF_LAWS = (
    "Between the published relations that the attribute relation names, and within the range of"
    " coefficients that their papers print. 0 with a single relation without such a range: its"
    " uncertainty is not published, and not none."
)


def _describe_moments(
    name: str, what: str, unit: str, standard_name: str, comment: str, dim: str
) -> Iterator[tuple[str, Metadata]]:
    """Yields the lines of a mean, the parts of its variance and its quantiles."""
    square = {"mm h-1": "mm2 h-2", "mm": "mm2"}[unit]
    content = "modelResult"

    def line(dims: tuple[str, ...], unit: str, long_name: str, comment: str = "") -> Metadata:
        return Metadata(
            dims=dims, units=unit, long_name=long_name, comment=comment, content=content
        )

    yield (
        name,
        Metadata(
            dims=(dim,),
            units=unit,
            long_name=f"mean of {what}",
            standard_name=standard_name,
            comment=f"{comment} Mean over ensemble members and published relations.",
            content=content,
            ancillary=(
                *(f"{name}_{part}" for part in ("variance_of_members", "variance_of_relations")),
                *(f"{name}_{part}" for part in ("quantile", "flag")),
                *("precipitation_flag", "precipitation_phase"),
            ),
        ),
    )
    of_members = "Their sum with the variance of relations is that of all."
    of_all = "Over ensemble members and published relations."
    yield (
        f"{name}_variance_of_members",
        line((dim,), square, f"variance of {what} of ensemble members", of_members),
    )
    yield (
        f"{name}_variance_of_relations",
        line((dim,), square, f"variance of {what} between published relations", _OF_LAWS),
    )
    yield (
        f"{name}_quantile",
        line(("quantile", dim), unit, f"quantiles of {what}", of_all),
    )


def _describe_rates() -> Iterator[tuple[str, Metadata]]:
    for phase, name in RATE_NAMES.items():
        what = f"{_IN_WORDS[phase]} rate near the ground".replace(", rate", " rate")
        standard = _RATE_STANDARD_NAMES[phase]
        yield from _describe_moments(name, what, "mm h-1", standard, _IF[phase], "time")
        yield (
            f"{name}_realization",
            Metadata(
                dims=("realization", "time"),
                units="mm h-1",
                long_name=f"ensemble members of {what}",
                standard_name=standard,
                comment=f"{_IF[phase]} Each is the mean over published relations.",
                content="modelResult",
            ),
        )


def _describe_amounts() -> Iterator[tuple[str, Metadata]]:
    for dim, kind in WINDOW_NAMES.items():
        yield (
            dim,
            Metadata(
                dims=(dim,),
                long_name=f"start of the {dim}, UTC",
                standard_name="time",
                content="coordinate",
                extra={"units_metadata": "leap_seconds: utc"},
            ),
        )
        yield f"{dim}_bounds", Metadata(dims=(dim, "bnds"))
        yield (
            f"{kind}_missing_share",
            Metadata(
                dims=(dim,),
                units="1",
                long_name=f"share of the {dim} without profiles, bridged by ensemble members",
                content="qualityInformation",
            ),
        )
        for phase, amount in AMOUNT_NAMES.items():
            yield from _describe_amount(dim, f"{kind}_{amount}", phase)


def _describe_amount(dim: str, name: str, phase: Phase) -> Iterator[tuple[str, Metadata]]:
    what = f"{_IN_WORDS[phase]} summed over the {dim}"
    yield from _describe_moments(name, what, "mm", _AMOUNT_STANDARD_NAMES[phase], _IF[phase], dim)
    yield (
        f"{name}_flag",
        Metadata(
            dims=(dim,),
            long_name=f"whether {what} is known",
            standard_name="status_flag",
            content="qualityInformation",
            flags=SumFlag,
        ),
    )


PRECIPITATION: Mapping[str, Metadata] = MappingProxyType(
    {
        **dict(_describe_rates()),
        **dict(_describe_amounts()),
        "precipitation_phase": Metadata(
            dims=("time",),
            long_name="rain or snow near the ground, by air temperature, if anything falls",
            standard_name="status_flag",
            content="qualityInformation",
            flags=PrecipitationPhase,
        ),
        "precipitation_flag": Metadata(
            dims=("time",),
            long_name="what to know about the rates",
            standard_name="quality_flag",
            content="qualityInformation",
            flags=PrecipitationFlag,
        ),
        "precipitation_height": Metadata(
            dims=(),
            units="m",
            long_name="height above the ground of the row that precipitation is derived from",
            standard_name="height",
            content="coordinate",
            extra={"positive": "up"},
        ),
    }
)
"""All variables of precipitation."""
