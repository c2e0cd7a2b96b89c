"""Configuration of the network: its shape, its regularisation and the names of its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError

Count = Annotated[int, Field(gt=0, le=4096)]
"""Rows, profiles, channels or filters; a slip of a digit must not ask for all of the memory."""
LARGEST_MAP = 2**24
"""Most values of an input map, channels counted: a hundred times those of the package's network."""

Family = Literal["unet3plus", "unet", "unet++", "partial_conv", "dynamic_unet", "column"]
"""Families of networks; `blindzone.models.families` has them all."""
TITLES: Mapping[Family, str] = {
    "unet3plus": "UNet3+",
    "unet": "U-Net",
    "unet++": "UNet++",
    "partial_conv": "U-Net of partial convolutions",
    "dynamic_unet": "DynamicUnet",
    "column": "column paths",
}
"""The families in words."""


@configuration(error=ModelError, what="network configuration")
class NetworkConfig:
    """Shape and regularisation of the network."""

    family: Family = "unet3plus"
    """Which trunk makes the maps that the heads predict from (`blindzone.models.families`)."""
    input_rows: Count = 128
    """Height of the map; divisible by 2^depth."""
    input_profiles: Count = 128
    """Width of the map (time); divisible by 2^depth."""
    channels: Count = 2
    """Number of input channels."""
    output_rows: Count = 16
    """Number of lowest rows that are predicted: the blind zone."""
    depth: Annotated[int, Field(ge=1, le=6)] = 4
    """Number of poolings."""
    filters: Annotated[int, Field(ge=0, le=1024)] = 32
    """Channels of the first encoder block, doubled at each pooling, and of every decoder branch.

    With 0 and the base `column` the network is its column path alone, as of the family `column`. A
    whole network may be started from it.
    """
    kernel_size: Annotated[int, Field(gt=0, le=31)] = 3
    """Side of the convolution kernels, odd."""
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.1
    """Share of channels dropped after every pooling and up-sampling."""
    l2: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-5
    """Weight of the squared kernels in the loss."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """Interpolation of up-sampling."""
    head: Literal["two_part", "single"] = "two_part"
    """What is predicted.

    `two_part` predicts occurrence and intensity given echo. `single` predicts the one value of King
    et al. (2024), -1 for clear sky.
    """
    dropout_kind: Literal["spatial", "element"] = "spatial"
    """`spatial` drops whole channels, `element` single pixels of them."""
    normalization: Literal["batch", "none"] = "batch"
    """`batch` normalises after every convolution, `none` gives the convolutions a bias instead."""
    base: Literal["repeat", "column", "none"] = "repeat"
    """What the heads add to.

    `repeat`: the intensity adds to the lowest visible row, repeated downwards. `column`: in
    addition, all heads add to the prediction of the path in `blindzone.models.column`. `none`:
    nothing.
    """
    occurrence_start: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Logit of echo that an untrained network starts from where channel 0 has echo in a hidden
    pixel, and its negative elsewhere: for first guesses that are mostly right."""
    column_paths: Annotated[int, Field(gt=0, le=64)] = 1
    """Number of such paths; the mean of their predictions is taken.

    Each started from a training of its own, they are an ensemble (Lakshminarayanan et al. 2017,
    arXiv 1612.01474).
    """
    column_filters: Count = 64
    """Width of a path."""
    column_depth: Annotated[int, Field(gt=0, le=16)] = 6
    """Its convolutions in time; the last reaches 2^(depth - 1) profiles to either side."""
    column_rows: Literal["above", "all"] = "above"
    """Which rows such a path sees.

    `above`: those above the output. `all`: in addition each row of the output for itself, hidden or
    not, as blind zones of many depths need it: what is visible of them says most.
    """
    limit_rows: bool = True
    """Whether the decoder computes only the rows that the heads need.

    This changes no number of them. Batch statistics of training are then those of these rows, not
    those of the full map.
    """
    deep_supervision: bool = False
    """Whether the training network has heads on every decoder stage and on the bottom as well."""
    classification_guided: bool = False
    """Whether the network first predicts if the blind zone holds any echo at all."""
    joint_forecast: bool = False
    """Whether the training network also gives both parts of the two-part prediction as one output.

    A loss that needs them together uses it.
    """
    restored: bool = False
    """Whether the training network also gives the one value of every pixel that it expects.

    That is so before observed pixels are repeated. Losses of whole pictures use it.
    """

    @field_validator("kernel_size")
    @classmethod
    def _check_kernel_size(cls, kernel_size: int) -> int:
        if kernel_size % 2 == 0:
            raise ValueError(f"an odd number is right; found {kernel_size}")
        return kernel_size

    @property
    def has_trunk(self) -> bool:
        """Whether there is more than the column paths alone."""
        return self.family != "column" and self.filters > 0

    @property
    def title(self) -> str:
        """The network's family in words."""
        return TITLES[self.family if self.has_trunk else "column"]

    @property
    def bottom_filters(self) -> int:
        """Channels of the coarsest map."""
        return count_bottom_filters(self.family, self.filters, self.depth)

    def __post_init__(self) -> None:
        if problems := "; ".join([*self._find_map_problems(), *self._find_column_problems()]):
            raise ValueError(problems)
        if self.joint_forecast and self.head == "single":
            raise ValueError("joint_forecast needs the two-part head, found 'single'")

    def _find_map_problems(self) -> Iterator[str]:
        step = 2**self.depth
        if self.input_rows % step or self.input_profiles % step:
            yield (
                f"a map of {self.input_rows} x {self.input_profiles} cannot be halved {self.depth} "
                f"times; both must be multiples of {step}"
            )
        values = self.input_rows * self.input_profiles * self.channels
        if values > LARGEST_MAP:
            yield f"a map of {values} values, channels counted; {LARGEST_MAP} at most are right"
        if self.output_rows > self.input_rows:
            yield f"output_rows must be 1 to {self.input_rows}, found {self.output_rows}"

    def _find_column_problems(self) -> Iterator[str]:
        is_column = self.base == "column"
        if not self.has_trunk and not is_column:
            found = f"family {self.family!r} and filters {self.filters}"
            yield f"a column path alone needs the base 'column', found {self.base!r} with {found}"
        if not self.has_trunk and (self.deep_supervision or self.classification_guided):
            yield (
                "a column path alone has neither deep supervision nor the classification-guided"
                " module"
            )
        if is_column and (self.head == "single" or self.output_rows == self.input_rows):
            yield "the base column needs the two-part head and visible rows"


def count_bottom_filters(family: str, filters: int, depth: int) -> int:
    """Returns the channels of the coarsest map, which is the widest.

    They double at each level. Partial convolutions begin at level 1 and are at most eight times as
    wide, 64 to 512 channels, in Liu et al. (2018, arXiv 1804.07723).
    """
    return filters << (min(depth - 1, 3) if family == "partial_conv" else depth)


def main_heads(config: NetworkConfig) -> tuple[str, ...]:
    """Returns the names of the outputs that matter at inference."""
    return ("value",) if config.head == "single" else ("occurrence", "intensity")


def output_names(config: NetworkConfig) -> tuple[str, ...]:
    """Returns the names of all outputs of the training network."""
    levels = range(1, config.depth + 1 if config.deep_supervision else 1)
    deep = tuple(f"{name}_{level}" for level in levels for name in main_heads(config))
    scene = ("scene",) if config.classification_guided else ()
    forecast = ("forecast",) if config.joint_forecast else ()
    restored = ("restored",) if config.restored else ()
    return main_heads(config) + forecast + restored + scene + deep
