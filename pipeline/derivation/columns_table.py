"""Names, units and attributes of what is derived of columns (CF 1.11, ACDD 1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from blindzone.pipeline.curtains.cf_table import Metadata
from blindzone.pipeline.derivation.columns import ColumnClass

_OF_MEMBERS = "Counted over ensemble members of the product."
_HIDDEN = "The attribute hidden_echo says whether hidden shallow echo is calibrated."


def _probability(long_name: str, comment: str = _OF_MEMBERS) -> Metadata:
    return Metadata(
        dims=("time",),
        units="1",
        long_name=long_name,
        standard_name="quality_flag",
        comment=f"A probability from 0 to 1 and no code. {comment}",
        content="modelResult",
    )


COLUMNS: Mapping[str, Metadata] = MappingProxyType(
    {
        "column_class": Metadata(
            dims=("time",),
            long_name="likeliest kind of the column",
            standard_name="status_flag",
            comment=(
                "By echo above the sensitivity floor, in the four rows above the blind zone and in"
                " the zone down to lowest_trusted_height."
            ),
            content="modelResult",
            ancillary=(
                "clear_column_probability",
                "cloud_aloft_probability",
                "virga_probability",
                "shallow_echo_probability",
                "precipitation_to_ground_probability",
            ),
            flags=ColumnClass,
        ),
        "clear_column_probability": _probability(
            "probability that the column has no echo", f"{_OF_MEMBERS} {_HIDDEN}"
        ),
        "cloud_aloft_probability": _probability(
            "probability that the column has echo only well above the blind zone"
        ),
        "virga_probability": _probability(
            "probability that echo from above the blind zone ends before the ground"
        ),
        "shallow_echo_probability": _probability(
            "probability that echo is hidden wholly inside the blind zone",
            f"{_OF_MEMBERS} {_HIDDEN}",
        ),
        "precipitation_to_ground_probability": _probability(
            "probability that echo from above the blind zone reaches the lowest trusted row"
        ),
        "echo_to_ground_probability": _probability(
            "probability of echo in the lowest trusted row",
            "That of the product, of shallow echo too. Below that row no truth is trusted.",
        ),
        "echo_base_height": Metadata(
            dims=("quantile", "time"),
            units="m",
            long_name="height of the base of the lowest echo above the ground",
            standard_name="height",
            extra={"positive": "up"},
            comment=(
                "Quantiles over ensemble members with echo in the column. A base at"
                " lowest_trusted_height is censored: echo may go on below."
            ),
            content="modelResult",
            ancillary=("echo_to_ground_probability", "lowest_trusted_height"),
        ),
        "cloud_base_height": Metadata(
            dims=("quantile", "time"),
            units="m",
            long_name="height of the base of the lowest cloud above the ground",
            standard_name="height",
            extra={"positive": "up"},
            comment=(
                "Quantiles over ensemble members with echo that does not go on down to"
                " lowest_trusted_height. A layer that does has no cloud base here."
            ),
            content="modelResult",
            ancillary=("lowest_trusted_height",),
        ),
        "filled_echo_depth": Metadata(
            dims=("time",),
            units="m",
            long_name="expected depth of echo that was filled and not observed",
            comment=f"{_OF_MEMBERS} CF has no standard name for it.",
            content="modelResult",
        ),
        "lowest_trusted_height": Metadata(
            dims=(),
            units="m",
            long_name="height of the lower edge of the lowest row with trusted truth",
            standard_name="height",
            extra={"positive": "up"},
            content="referenceInformation",
        ),
    }
)
"""Variables of columns, by name."""
