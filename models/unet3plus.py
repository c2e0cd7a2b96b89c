"""UNet3+ (Huang et al. 2020, doi 10.1109/ICASSP40776.2020.9053405) for the blind zone of a radar curtain.

As in King et al. (2024, doi 10.1175/AIES-D-23-0063.1), each decoder stage is fed by all scales and dropout follows
every pooling and up-sampling. It differs in two ways. The answer has two parts, occurrence and intensity given echo,
since one value per pixel blurs a mixture of clear sky and echo. And the decoder computes only the rows that the answer
needs, which is exact: the rows above them never reach the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras

from blindzone.models.blocks import (
    convolution_block,
    keep_rows,
    pool,
    rows_before_convolution,
    rows_before_up_sampling,
    up_sample,
)
from blindzone.models.errors import ModelError

LOG_SCALE_START = -2.0
"""Log scale [network units] that an untrained network expects: 8 dB at 60 dB a unit."""

Dropout = Callable[[Any, str], Any]
"""Applies dropout to a map under a layer name: training draws its own noise, Monte Carlo inference is handed it."""


@dataclass(frozen=True, kw_only=True)
class UNet3PlusConfig:
    """Shape and regularisation of the network.

    Attributes:
        input_rows: Height of the map; divisible by 2^depth.
        input_profiles: Width of the map (time); divisible by 2^depth.
        channels: Number of input channels.
        output_rows: Lowest rows that the heads answer for: the blind zone.
        depth: Number of poolings.
        filters: Channels f of the first encoder block (doubled at each pooling) and of every decoder branch.
        kernel_size: Side of the convolution kernels, odd.
        dropout: Share of channels dropped after every pooling and up-sampling.
        l2: Weight of the squared kernels in the loss.
        interpolation: How up-sampling fills in.
    """

    input_rows: int = 128
    input_profiles: int = 128
    channels: int = 2
    output_rows: int = 16
    depth: int = 4
    filters: int = 32
    kernel_size: int = 3
    dropout: float = 0.1
    l2: float = 1e-5
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        step = 2**self.depth
        side = min(self.input_rows, self.input_profiles)
        ways = ("bilinear", "nearest")
        problems = {
            f"depth must be 1 to 6, found {self.depth}": not 1 <= self.depth <= 6,
            f"filters must be positive, found {self.filters}": self.filters < 1,
            f"channels must be positive, found {self.channels}": self.channels < 1,
            f"kernel_size must be odd and positive, found {self.kernel_size}": max(0, self.kernel_size) % 2 == 0,
            f"dropout must lie in [0, 1), found {self.dropout}": not 0 <= self.dropout < 1,
            f"l2 must not be negative, found {self.l2}": not self.l2 >= 0,
            f"a map needs rows and profiles, found {self.input_rows} x {self.input_profiles}": side < 1,
            f"a map of {self.input_rows} x {self.input_profiles} cannot be halved {self.depth} times; "
            f"both must be multiples of {step}": bool(self.input_rows % step or self.input_profiles % step),
            f"output_rows must be 1 to {self.input_rows}, found {self.output_rows}": self.output_rows
            not in range(1, self.input_rows + 1),
            f"interpolation must be bilinear or nearest, found {self.interpolation!r}": self.interpolation not in ways,
        }
        found = [problem for problem, is_wrong in problems.items() if is_wrong]
        if found:
            raise ModelError(f"network configuration: {'; '.join(found)}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values, for JSON."""
        return asdict(self)


def build_unet3plus(config: UNet3PlusConfig) -> keras.Model:
    """Returns the network for training: input `(batch, rows, profiles, channels)`, heads of `connect_unet3plus`."""

    def dropout(x: Any, name: str) -> Any:
        return keras.layers.SpatialDropout2D(config.dropout, name=name)(x) if config.dropout else x

    curtain = keras.Input((config.input_rows, config.input_profiles, config.channels), name="curtain")
    return keras.Model(curtain, connect_unet3plus(curtain, config, dropout), name="unet3plus")


def connect_unet3plus(curtain: Any, config: UNet3PlusConfig, dropout: Dropout) -> dict[str, Any]:
    """Returns the heads over a curtain `(batch, rows, profiles, channels)`.

    Returns:
        `occurrence` `(batch, output_rows, profiles, 1)`: logit of the probability of hydrometeor echo; `intensity`
        `(batch, output_rows, profiles, 2)`: location and log scale of reflectivity given echo, in network units.
    """
    encoders = _encode(curtain, config, dropout)
    rows = decoder_rows(config)
    features = {config.depth: encoders[config.depth]}
    for level in reversed(range(config.depth)):
        features[level] = _decode(level, encoders, features, rows[level], config, dropout)
    answer = keep_rows(features[0], config.output_rows)
    # The first channel holds the lowest visible row repeated downwards: the network learns what to change of it. Units
    # below 0 mean very weak echo or none; from there it starts at 0, so that clear sky is no drop of 60 dB.
    persistence = keras.layers.ReLU(name="persistence")(keep_rows(curtain[..., :1], config.output_rows))
    change = keras.layers.Conv2D(1, 1, name="change")(answer)
    scale_start = keras.initializers.Constant(LOG_SCALE_START)
    intensity = [
        keras.layers.Add(name="location")([persistence, change]),
        keras.layers.Conv2D(1, 1, bias_initializer=scale_start, name="log_scale")(answer),
    ]
    return {
        "occurrence": keras.layers.Conv2D(1, 1, name="occurrence")(answer),
        "intensity": keras.layers.Concatenate(name="intensity")(intensity),
    }


def decoder_rows(config: UNet3PlusConfig) -> tuple[int, ...]:
    """Returns how many of its lowest rows each decoder stage must give, from the finest to the bottom."""
    available = [config.input_rows >> level for level in range(config.depth + 1)]
    needed = [config.output_rows] + [0] * config.depth
    for level in range(config.depth):
        branch = branch_rows(needed[level], config, available[level])
        for coarser in range(level + 1, config.depth + 1):
            rows = rows_before_up_sampling(branch, 2 ** (coarser - level), available[coarser])
            needed[coarser] = max(needed[coarser], rows)
    return tuple(needed)


def branch_rows(rows: int, config: UNet3PlusConfig, available: int) -> int:
    """Returns the rows that enter a stage's branches for `rows` rows to leave it: two convolutions follow."""
    once = rows_before_convolution(rows, config.kernel_size, available)
    return rows_before_convolution(once, config.kernel_size, available)


def _encode(curtain: Any, config: UNet3PlusConfig, dropout: Dropout) -> list[Any]:
    encoders: list[Any] = []
    x = curtain
    for level in range(config.depth + 1):
        name = f"encoder{level}"
        if level:
            x = dropout(pool(x, 2, name), f"{name}_dropout")
        for repeat in ("a", "b"):
            x = convolution_block(x, config.filters << level, config.kernel_size, config.l2, f"{name}{repeat}")
        encoders.append(x)
    return encoders


def _decode(
    level: int, encoders: list[Any], features: dict[int, Any], rows: int, config: UNet3PlusConfig, dropout: Dropout
) -> Any:
    """Returns the map of one decoder stage, `rows` rows of it, from every scale (Huang et al. 2020, Fig. 2)."""
    entering = branch_rows(rows, config, config.input_rows >> level)
    between = rows_before_convolution(rows, config.kernel_size, config.input_rows >> level)
    branches = []
    for scale in range(config.depth + 1):
        name = f"decoder{level}_from{scale}"
        if scale <= level:
            x = keep_rows(encoders[scale], entering << (level - scale))
            x = pool(x, 2 ** (level - scale), name)
            x = dropout(x, f"{name}_dropout") if scale < level else x
        else:
            factor = 2 ** (scale - level)
            x = keep_rows(features[scale], rows_before_up_sampling(entering, factor, config.input_rows >> scale))
            x = keep_rows(up_sample(x, factor, config.interpolation, name), entering)
            x = dropout(x, f"{name}_dropout")
        x = convolution_block(x, config.filters, config.kernel_size, config.l2, name)
        branches.append(keep_rows(x, between))
    x = keras.layers.Concatenate(name=f"decoder{level}_scales")(branches)
    x = convolution_block(x, config.filters * (config.depth + 1), config.kernel_size, config.l2, f"decoder{level}")
    return keep_rows(x, rows)
