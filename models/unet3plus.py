"""UNet3+ (Huang et al. 2020, doi 10.1109/ICASSP40776.2020.9053405) for the blind zone of a radar curtain.

As in King et al. (2024, doi 10.1175/AIES-D-23-0063.1), each decoder stage is fed by all scales and
dropout follows every pooling and up-sampling. It differs in two ways. The answer has two parts,
occurrence and intensity given echo, since one value per pixel blurs a mixture of clear sky and
echo. And the decoder computes only the rows that the answer needs, which is exact: the rows above
them never reach the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import keras

from blindzone.core.errors import ModelError
from blindzone.core.network_units import CLEAR_UNIT, ECHO_ABOVE
from blindzone.models.blocks import (
    Block,
    Dropout,
    activate,
    convolution_block,
    keep_rows,
    pool,
    rows_before_convolution,
    rows_before_up_sampling,
    up_sample,
    up_sampled_convolution,
)
from blindzone.models.column import connect_column_path, name_path

CHOICES = {
    "interpolation": ("bilinear", "nearest"),
    "head": ("two_part", "single"),
    "dropout_kind": ("spatial", "element"),
    "normalization": ("batch", "none"),
    "base": ("repeat", "column", "none"),
}
"""What the fields of a `UNet3PlusConfig` that are words may say."""


CERTAIN_LOGIT = 20.0
"""Logit of a pixel that was observed: its probability is 1 in single precision, and its logarithms
are finite."""

LOG_SCALE_LIMITS = (-5.0, 1.0)
"""Bounds of the log scale in network units (0.4 to 163 dB at 60 dB a unit): a guard against
collapse."""

LOG_SCALE_START = -2.0
"""Log scale [network units] that an untrained network expects: 8 dB at 60 dB a unit."""


@dataclass(frozen=True, kw_only=True)
class UNet3PlusConfig:
    """Shape and regularisation of the network.

    Attributes:
        input_rows: Height of the map; divisible by 2^depth.
        input_profiles: Width of the map (time); divisible by 2^depth.
        channels: Number of input channels.
        output_rows: Lowest rows that the heads answer for: the blind zone.
        depth: Number of poolings.
        filters: Channels f of the first encoder block (doubled at each pooling) and of every
            decoder branch. With 0 and the base `column`, the column path alone answers: what a
            whole network may be started from.
        kernel_size: Side of the convolution kernels, odd.
        dropout: Share of channels dropped after every pooling and up-sampling.
        l2: Weight of the squared kernels in the loss.
        interpolation: How up-sampling fills in.
        head: `two_part` answers with occurrence and intensity given echo, `single` with the one
            value of King et al. (2024), -1 for clear sky.
        dropout_kind: `spatial` drops whole channels, `element` single pixels of them.
        normalization: `batch` normalises after every convolution, `none` gives the convolutions a
            bias instead.
        base: What the heads start from. `repeat`: the intensity from the lowest visible row
            repeated downwards; `column`: besides, all heads from what the path of
            `blindzone.models.column` says; `none`: nothing.
        column_paths: How many such paths there are; the mean of what they say is taken. Each
            started from a training of its own, they are an ensemble (Lakshminarayanan et al. 2017,
            arXiv 1612.01474).
        column_filters: Width of a path.
        column_depth: Its convolutions in time; the last of them reaches 2^(depth - 1) profiles to
            either side.
        limit_rows: Whether the decoder computes only the rows that the heads need, which changes no
            number of them. Only the batch statistics of training are then those of these rows, not
            those of the full map.
        deep_supervision: Whether the training network has heads on every decoder stage and on the
            bottom as well.
        classification_guided: Whether the network first judges if the curtain holds any echo at all
            in the blind zone.
        joint_forecast: Whether the training network also gives both parts of the two-part answer as
            one output, for a loss that needs them together.
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
    head: Literal["two_part", "single"] = "two_part"
    dropout_kind: Literal["spatial", "element"] = "spatial"
    normalization: Literal["batch", "none"] = "batch"
    base: Literal["repeat", "column", "none"] = "repeat"
    column_paths: int = 1
    column_filters: int = 64
    column_depth: int = 6
    limit_rows: bool = True
    deep_supervision: bool = False
    classification_guided: bool = False
    joint_forecast: bool = False

    def __post_init__(self) -> None:
        step = 2**self.depth
        side = min(self.input_rows, self.input_profiles)
        problems = {
            f"depth must be 1 to 6, found {self.depth}": not 1 <= self.depth <= 6,
            f"filters must be positive, found {self.filters}": (
                self.filters < (self.base != "column")
            ),
            "a column path alone has neither deep supervision nor the classification-guided module": (
                not self.filters and (self.deep_supervision or self.classification_guided)
            ),
            f"channels must be positive, found {self.channels}": self.channels < 1,
            f"kernel_size must be odd and positive, found {self.kernel_size}": (
                max(0, self.kernel_size) % 2 == 0
            ),
            f"dropout must lie in [0, 1), found {self.dropout}": not 0 <= self.dropout < 1,
            f"l2 must not be negative, found {self.l2}": not self.l2 >= 0,
            f"a map needs rows and profiles, found {self.input_rows} x {self.input_profiles}": (
                side < 1
            ),
            f"a map of {self.input_rows} x {self.input_profiles} cannot be halved {self.depth} times; both must be multiples of {step}": bool(
                self.input_rows % step or self.input_profiles % step
            ),
            f"output_rows must be 1 to {self.input_rows}, found {self.output_rows}": (
                self.output_rows not in range(1, self.input_rows + 1)
            ),
            f"column_paths, column_filters and column_depth must be positive, found {self.column_paths}, {self.column_filters} and {self.column_depth}": (
                min(self.column_paths, self.column_filters, self.column_depth) < 1
            ),
            "the base column needs the two-part head and visible rows": (
                self.base == "column"
                and (self.head == "single" or self.output_rows == self.input_rows)
            ),
            "joint_forecast needs the two-part head, found 'single'": (
                self.joint_forecast and self.head == "single"
            ),
        }
        for name, allowed in CHOICES.items():
            found_choice = getattr(self, name)
            problems[f"{name} must be {' or '.join(allowed)}, found {found_choice!r}"] = (
                found_choice not in allowed
            )
        found = [problem for problem, is_wrong in problems.items() if is_wrong]
        if found:
            raise ModelError(f"network configuration: {'; '.join(found)}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Wiring:
    """What all parts of the network are built with."""

    config: UNet3PlusConfig
    dropout: Dropout
    block: Block
    spread: Callable[[Any], Any]
    is_plain: bool
    limits_encoder: bool

    @property
    def folds_up_sampling(self) -> bool:
        """Whether channels are mixed before up-sampling; dropout of single pixels between the two forbids it."""
        config = self.config
        return (
            config.limit_rows
            and not self.is_plain
            and (config.dropout_kind == "spatial" or not config.dropout)
        )


def build_unet3plus(config: UNet3PlusConfig) -> keras.Model:
    """Returns the network for training: input `(batch, rows, profiles, channels)`, outputs of `connect_unet3plus`."""
    curtain = keras.Input(
        (config.input_rows, config.input_profiles, config.channels), name="curtain"
    )
    return keras.Model(
        curtain, connect_unet3plus(curtain, config, keras_dropout(config)), name="unet3plus"
    )


def keras_dropout(config: UNet3PlusConfig) -> Dropout:
    """Returns dropout by Keras' own layers."""
    layer = (
        keras.layers.SpatialDropout2D if config.dropout_kind == "spatial" else keras.layers.Dropout
    )
    return lambda x, name: layer(config.dropout, name=name)(x) if config.dropout else x


def keras_block(config: UNet3PlusConfig) -> Block:
    """Returns convolution, normalisation and ReLU by Keras' own layers."""

    def block(
        maps: Sequence[Any], filters: int, name: str, rows: int | None = None, fixed: int = 0
    ) -> Any:
        x = keras.layers.Concatenate(name=f"{name}_scales")(maps) if len(maps) > 1 else maps[0]
        return convolution_block(
            x, filters, config.kernel_size, config.l2, name, config.normalization, rows
        )

    return block


def main_heads(config: UNet3PlusConfig) -> tuple[str, ...]:
    """Returns the names of the outputs that matter at inference."""
    return ("value",) if config.head == "single" else ("occurrence", "intensity")


def output_names(config: UNet3PlusConfig) -> tuple[str, ...]:
    """Returns the names of all outputs of the training network."""
    levels = range(1, config.depth + 1 if config.deep_supervision else 1)
    deep = tuple(f"{name}_{level}" for level in levels for name in main_heads(config))
    scene = ("scene",) if config.classification_guided else ()
    forecast = ("forecast",) if config.joint_forecast else ()
    return main_heads(config) + forecast + scene + deep


def for_inference(network: keras.Model, config: UNet3PlusConfig) -> keras.Model:
    """Returns the network with its main heads only, in layers that plain Keras knows, and with weights of its own.

    Raises:
        ModelError: If the network's weights do not fit the configuration.
    """
    curtain = keras.Input(
        (config.input_rows, config.input_profiles, config.channels), name="curtain"
    )
    alone = replace(config, deep_supervision=False, joint_forecast=False)
    outputs = connect_unet3plus(curtain, alone, keras_dropout(config), is_plain=True)
    heads = {name: outputs[name] for name in main_heads(config)}
    answering = keras.Model(curtain, heads, name=network.name)
    copy_weights(network, answering)
    return answering


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Gives a network the weights of another, as `give_weights` does."""
    give_weights(
        {layer.name: layer.get_weights() for layer in source.layers if layer.weights}, target
    )


def give_weights(given: Mapping[str, Sequence[Any]], target: keras.Model) -> None:
    """Gives a network weights, layer by layer of the same name.

    There may be those of heads on decoder stages besides.

    Raises:
        ModelError: If the two differ otherwise; the target is then left as it was.
    """
    taking = {layer.name: layer for layer in target.layers if layer.weights}
    problems = [f"{name} is missing" for name in taking.keys() - given.keys()]
    for name, weights in given.items():
        shapes = [weight.shape for weight in weights]
        if name in taking and shapes != (
            wanted := [tuple(weight.shape) for weight in taking[name].weights]
        ):
            problems.append(f"{name} has the shapes {shapes}, {wanted} are right")
        elif name not in taking and not _is_deep_head(name):
            problems.append(f"{name} has no place")
    if problems:
        raise ModelError(
            f"the weights do not fit their configuration: {'; '.join(sorted(problems)[:3])}"
        )
    for name, layer in taking.items():
        layer.set_weights(given[name])


def _is_deep_head(layer: str) -> bool:
    kind, _, level = layer.rpartition("_")
    return kind in ("change", "log_scale", "occurrence") and level.isdigit()


def connect_unet3plus(
    curtain: Any,
    config: UNet3PlusConfig,
    dropout: Dropout,
    *,
    block: Block | None = None,
    spread: Callable[[Any], Any] = lambda x: x,
    is_plain: bool = False,
    limits_encoder: bool = False,
) -> dict[str, Any]:
    """Returns the outputs over a curtain.

    Where the soft mask, channel 1, is below 1 the pixel was observed: the main heads repeat what
    channel 0 shows of it.

    Args:
        curtain: Input, `(batch, rows, profiles, channels)`.
        config: Configuration.
        dropout: Applied after every pooling and up-sampling.
        block: Convolution, normalisation and ReLU; by default Keras' own layers.
        spread: Applied to every map that no dropout precedes before it meets others, but for those
            that `block` is told of.
        is_plain: Whether to use only layers that plain Keras knows, which give the same numbers
            more slowly.
        limits_encoder: Whether the encoder too computes only the rows that the heads need, if they
            are all that does.

    Returns:
        `occurrence` `(batch, output_rows, profiles, 1)`: logit of the probability of hydrometeor
        echo; `intensity` `(batch, output_rows, profiles, 2)`: location and log scale of
        reflectivity given echo, in network units. Or, of a single head, `value` `(batch,
        output_rows, profiles, 1)`: reflectivity in network units, -1 if clear. With deep
        supervision each of them again as `NAME_LEVEL`, from decoder stage LEVEL, the last being the
        bottom. With the classification-guided module `scene` `(batch, 1)`: logit of any echo in the
        blind zone. With a joint forecast `forecast` `(batch, output_rows, profiles, 3)`: occurrence
        and intensity side by side.
    """
    wiring = _Wiring(
        config=config,
        dropout=dropout,
        block=block or keras_block(config),
        spread=spread,
        is_plain=is_plain,
        limits_encoder=limits_encoder
        and not config.classification_guided,  # the scene is judged by the whole bottom
    )
    encoders = _encode(curtain, wiring) if config.filters else []
    features = _decode_all(encoders, wiring) if config.filters else {0: None}
    scene = _judge_scene(encoders[-1], dropout) if config.classification_guided else None
    shown = spread(keep_rows(curtain, config.output_rows))
    start = _start_from_column(curtain, wiring) if config.base == "column" else None
    outputs = _pass_observed(_answer(features[0], 0, shown, scene, config, start), shown, config)
    if config.joint_forecast:
        parts = [outputs["occurrence"], outputs["intensity"]]
        outputs["forecast"] = keras.layers.Concatenate(name="forecast", dtype="float32")(parts)
    if scene is not None:
        outputs["scene"] = keras.layers.Flatten(name="scene", dtype="float32")(scene)
    for level in range(1, config.depth + 1 if config.deep_supervision else 1):
        for name, head in _answer(features[level], level, shown, scene, config).items():
            outputs[f"{name}_{level}"] = head
    return outputs


def _start_from_column(curtain: Any, wiring: _Wiring) -> dict[str, Any]:
    """Returns what the column paths give each head, `(batch, output_rows, profiles, 1)`."""
    config, names = wiring.config, ("occurrence", "change", "log_scale")
    shape = (config.output_rows, config.column_filters, config.column_depth, len(names))
    prediction = [
        connect_column_path(curtain, *shape, wiring.dropout, name_path(number), wiring.spread)
        for number in range(config.column_paths)
    ]
    mean = sum(prediction[1:], start=prediction[0]) / len(prediction)
    return dict(zip(names, keras.ops.split(mean, len(names), axis=-1), strict=True))


def _answer(
    features: Any,
    level: int,
    shown: Any,
    scene: Any | None,
    config: UNet3PlusConfig,
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the heads on the features of one stage, at full size; `start` is what they add to."""

    def head(name: str, bias: float = 0.0) -> Any:
        layer = f"{name}_{level}" if level else name
        if start and features is None:
            return start[name] + bias
        # In single precision whatever the network computes in, as losses and observed pixels need
        # it.
        x = keras.layers.Conv2D(
            1,
            1,
            kernel_initializer=(
                "zeros" if start else "glorot_uniform"
            ),  # at first, what they add to is all they say
            bias_initializer=keras.initializers.Constant(bias),
            name=layer,
            dtype="float32",
        )(rows)
        x = keep_rows(
            up_sample(x, 2**level, config.interpolation, layer, "float32"), config.output_rows
        )
        return x + start[name] if start else x

    if features is not None:
        rows = keep_rows(
            features, rows_before_up_sampling(config.output_rows, 2**level, features.shape[1])
        )
    suffix = f"_{level}" if level else ""
    if config.head == "single":
        value = _start_from(shown[..., :1], head("change"), f"value{suffix}", config)
        return {
            "value": (
                value
                if scene is None
                else CLEAR_UNIT + keras.ops.sigmoid(scene) * (value - CLEAR_UNIT)
            )
        }
    # Units below 0 mean very weak echo or none; from there it starts at 0, so that clear sky is no
    # drop of 60 dB.
    persistence = keras.layers.ReLU(name=f"persistence{suffix}", dtype="float32")(shown[..., :1])
    location = _start_from(persistence, head("change"), f"location{suffix}", config)
    parts = [location, head("log_scale", LOG_SCALE_START)]
    occurrence = head("occurrence")
    if scene is not None:
        # Echo in a pixel is echo in the scene and, given that, in the pixel: the probabilities
        # multiply. This is the logit of s(a) s(b) for logits a and b. Intensity given echo takes
        # the scene's echo for granted.
        occurrence = occurrence - keras.ops.softplus(keras.ops.softplus(occurrence) - scene)
    return {
        "occurrence": occurrence,
        "intensity": keras.layers.Concatenate(name=f"intensity{suffix}", dtype="float32")(parts),
    }


def _start_from(base: Any, change: Any, name: str, config: UNet3PlusConfig) -> Any:
    """Returns what the network changes of the lowest visible row, which channel 0 repeats downwards."""
    return (
        keras.layers.Add(name=name, dtype="float32")([base, change])
        if config.base != "none"
        else change
    )


def _judge_scene(bottom: Any, dropout: Dropout) -> Any:
    """Returns the logit `(batch, 1, 1, 1)` of any echo in the blind zone (Huang et al. 2020, Sect. 2.3)."""
    x = dropout(bottom, "scene_dropout")
    x = keras.layers.Conv2D(1, 1, name="scene_convolution", dtype="float32")(x)
    return keras.layers.GlobalMaxPooling2D(keepdims=True, name="scene_maximum", dtype="float32")(x)


def _pass_observed(heads: dict[str, Any], shown: Any, config: UNet3PlusConfig) -> dict[str, Any]:
    """Returns the heads, repeating what was observed: the blind zone of a window may end below the highest row.

    The scale of an observed pixel is the smallest there is and its logit large but finite, so that
    no loss of it is infinite before the mask takes it out.
    """
    if config.channels < 2:  # no soft mask
        return heads
    reflectivity, is_observed = shown[..., :1], shown[..., 1:2] < 1
    if config.head == "single":
        return {"value": keras.ops.where(is_observed, reflectivity, heads["value"])}
    certain = keras.ops.where(reflectivity > ECHO_ABOVE, CERTAIN_LOGIT, -CERTAIN_LOGIT)
    known = keras.ops.concatenate(
        [reflectivity, keras.ops.full_like(reflectivity, LOG_SCALE_LIMITS[0])], axis=-1
    )
    return {
        "occurrence": keras.ops.where(is_observed, certain, heads["occurrence"]),
        "intensity": keras.ops.where(is_observed, known, heads["intensity"]),
    }


def decoder_rows(config: UNet3PlusConfig) -> tuple[int, ...]:
    """Returns how many of its lowest rows each decoder stage must give, from the finest to the bottom.

    Deep supervision asks for none more: a stage's own head needs fewer rows than the finer stages
        do.
    """
    available = [config.input_rows >> level for level in range(config.depth + 1)]
    if not config.limit_rows:
        return tuple(available)
    needed = [config.output_rows] + [0] * config.depth
    for level in range(config.depth):
        branch = branch_rows(needed[level], config, available[level])
        for coarser in range(level + 1, config.depth + 1):
            rows = rows_before_up_sampling(branch, 2 ** (coarser - level), available[coarser])
            needed[coarser] = max(needed[coarser], rows)
    return tuple(needed)


def encoder_rows(config: UNet3PlusConfig) -> list[tuple[int, int]]:
    """Returns how many of its lowest rows each of an encoder block's two convolutions must give, block by block."""
    available = [config.input_rows >> level for level in range(config.depth + 1)]
    of_decoder = decoder_rows(config)
    entering = [
        branch_rows(of_decoder[level], config, available[level]) for level in range(config.depth)
    ]
    rows: list[tuple[int, int]] = []
    below = of_decoder[
        config.depth
    ]  # what the block below needs; the bottom is its own decoder stage
    for level in reversed(range(config.depth + 1)):
        asked = [entering[stage] << (stage - level) for stage in range(level, config.depth)]
        second = min(available[level], max([below, *asked]))
        first = rows_before_convolution(second, config.kernel_size, available[level])
        rows.append((first, second))
        below = 2 * rows_before_convolution(first, config.kernel_size, available[level])
    return rows[::-1]


def branch_rows(rows: int, config: UNet3PlusConfig, available: int) -> int:
    """Returns the rows that enter a stage's branches for `rows` rows to leave it: two convolutions follow."""
    once = rows_before_convolution(rows, config.kernel_size, available)
    return rows_before_convolution(once, config.kernel_size, available)


def _encode(curtain: Any, wiring: _Wiring) -> list[Any]:
    config = wiring.config
    encoders: list[Any] = []
    rows = encoder_rows(config) if wiring.limits_encoder else [(None, None)] * (config.depth + 1)
    x = curtain
    for level in range(config.depth + 1):
        name = f"encoder{level}"
        if level:
            x = wiring.dropout(pool(x, 2, name), f"{name}_dropout")
        for repeat, kept in zip("ab", rows[level], strict=True):
            x = wiring.block([x], config.filters << level, f"{name}{repeat}", kept)
        encoders.append(x)
    return encoders


def _decode_all(encoders: list[Any], wiring: _Wiring) -> dict[int, Any]:
    """Returns the map of every decoder stage by its level, the bottom's too."""
    depth = wiring.config.depth
    rows = decoder_rows(wiring.config)
    features = {depth: encoders[depth]}
    for level in reversed(range(depth)):
        features[level] = _decode(level, encoders, features, rows[level], wiring)
    return features


def _decode(
    level: int, encoders: list[Any], features: dict[int, Any], rows: int, wiring: _Wiring
) -> Any:
    """Returns the map of one decoder stage, `rows` rows of it, from every scale (Huang et al. 2020, Fig. 2)."""
    config, available = wiring.config, encoders[level].shape[1]
    entering = branch_rows(rows, config, available)
    between = rows_before_convolution(rows, config.kernel_size, available)
    branches = []
    for scale in range(config.depth + 1):
        name = f"decoder{level}_from{scale}"
        if scale <= level:
            x = pool(
                keep_rows(encoders[scale], entering << (level - scale)), 2 ** (level - scale), name
            )
            x = wiring.dropout(x, f"{name}_dropout") if scale < level else x
            x = wiring.block([x], config.filters, name, between)
        else:
            factor = 2 ** (scale - level)
            coarse = rows_before_up_sampling(entering, factor, encoders[scale].shape[1])
            x = _up_sampled_block(
                keep_rows(features[scale], coarse), factor, entering, between, wiring, name
            )
        branches.append(x)
    # The branch of the finest stage from the first encoder block is the one that no dropout
    # precedes.
    return wiring.block(
        branches, config.filters * (config.depth + 1), f"decoder{level}", rows, 0 if level else 1
    )


def _up_sampled_block(
    x: Any, factor: int, entering: int, rows: int, wiring: _Wiring, name: str
) -> Any:
    """Returns `rows` rows of the block on `entering` rows of the up-sampled `x`, dropout between the two."""
    config = wiring.config
    if not wiring.folds_up_sampling:
        x = keep_rows(up_sample(x, factor, config.interpolation, name), entering)
        return wiring.block([wiring.dropout(x, f"{name}_dropout")], config.filters, name, rows)
    x = wiring.dropout(
        x, f"{name}_dropout"
    )  # a channel dropped before up-sampling is dropped after it
    has_bias = config.normalization == "none"
    x = up_sampled_convolution(
        x,
        config.filters,
        config.kernel_size,
        config.l2,
        name,
        has_bias,
        factor,
        rows,
        config.interpolation,
    )
    return activate(x, name, config.normalization)
