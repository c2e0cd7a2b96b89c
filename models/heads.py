"""The heads of the network: occurrence and intensity given echo, or one value, of each pixel.

All heads compute in single precision, whatever the network computes in: losses and observed pixels
need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from blindzone.core.network_units import CLEAR_UNIT, ECHO_ABOVE, LOG_SCALE_LIMITS
from blindzone.models.blocks import keep_rows, rows_before_up_sampling, up_sample
from blindzone.models.column import connect_column_path, name_path
from blindzone.models.layers import TrainingLayers
from blindzone.models.network_config import NetworkConfig
from blindzone.models.trunk import Trunk

CERTAIN_LOGIT = 20.0
"""Logit of an observed pixel: its probability is 1 in single precision, its logarithms are
finite."""

LOG_SCALE_START = -2.0
"""Log scale [network units] of an untrained network: 8 dB at 60 dB per unit."""

COLUMN_HEADS = ("occurrence", "change", "log_scale")
"""Heads that a column path gives a start to."""


@dataclass(frozen=True, kw_only=True)
class HeadInputs:
    """What the heads of all stages share.

    Attributes:
        config: Configuration of the network.
        visible: The lowest rows of the curtain, `(batch, output_rows, profiles, channels)`.
            Channel 0 repeats the lowest visible row downwards, or has another first guess.
        scene: Logit of any echo in the blind zone, `(batch, 1, 1, 1)`, or None.
        start: What the heads of the finest stage add to, by head; empty for nothing.
    """

    config: NetworkConfig
    visible: Any
    scene: Any | None
    start: Mapping[str, Any]


def connect_heads(curtain: Any, trunk: Trunk, layers: TrainingLayers) -> dict[str, Any]:
    """Returns the outputs of `blindzone.models.families.connect_network` from the trunk's maps."""
    config = layers.config
    scene = predict_scene(trunk.bottom, layers) if config.classification_guided else None
    inputs = HeadInputs(
        config=config,
        visible=layers.for_each_pass(keep_rows(curtain, config.output_rows)),
        scene=scene,
        start=start_from_columns(curtain, layers) if config.base == "column" else {},
    )
    heads = predict_stage(trunk.stages[0], 0, inputs)
    outputs = _repeat_observed(heads, inputs)
    if config.restored:
        outputs["restored"] = _restore(heads, inputs)
    if config.joint_forecast:
        parts = [outputs["occurrence"], outputs["intensity"]]
        outputs["forecast"] = keras.layers.Concatenate(name="forecast", dtype="float32")(parts)
    if scene is not None:
        outputs["scene"] = keras.layers.Flatten(name="scene", dtype="float32")(scene)
    for level in range(1, config.depth + 1 if config.deep_supervision else 1):
        for name, head in predict_stage(trunk.stages[level], level, inputs).items():
            outputs[f"{name}_{level}"] = head
    return outputs


def predict_scene(bottom: Any, layers: TrainingLayers) -> Any:
    """Returns the logit `(batch, 1, 1, 1)` of any echo in the blind zone.

    Huang et al. (2020, Sect. 2.3): the classification-guided module.
    """
    x = layers.dropout(bottom, "scene_dropout")
    x = keras.layers.Conv2D(1, 1, name="scene_convolution", dtype="float32")(x)
    return keras.layers.GlobalMaxPooling2D(keepdims=True, name="scene_maximum", dtype="float32")(x)


def start_from_columns(curtain: Any, layers: TrainingLayers) -> dict[str, Any]:
    """Returns the start of each head, `(batch, output_rows, profiles, 1)`: the paths' mean."""
    paths = [
        connect_column_path(curtain, len(COLUMN_HEADS), layers, name_path(number))
        for number in range(layers.config.column_paths)
    ]
    mean = sum(paths[1:], start=paths[0]) / len(paths)
    return dict(zip(COLUMN_HEADS, keras.ops.split(mean, len(COLUMN_HEADS), axis=-1), strict=True))


def predict_stage(features: Any, level: int, inputs: HeadInputs) -> dict[str, Any]:
    """Returns the heads on the map of decoder stage `level`, at full size, by output."""
    head = _Head(features, level, inputs)
    suffix = f"_{level}" if level else ""
    if inputs.config.head == "single":
        return {"value": _predict_value(head, suffix, inputs)}
    # Units below 0 mean very weak echo or none. The location starts at 0 there: clear sky is no
    # drop of 60 dB.
    persistence = keras.layers.ReLU(name=f"persistence{suffix}", dtype="float32")(
        inputs.visible[..., :1]
    )
    location = _add_change(persistence, head("change"), f"location{suffix}", inputs.config)
    parts = [location, head("log_scale", LOG_SCALE_START)]
    return {
        "occurrence": _gate(_add_guess(head("occurrence"), inputs), inputs.scene),
        "intensity": keras.layers.Concatenate(name=f"intensity{suffix}", dtype="float32")(parts),
    }


class _Head:
    """The heads of one stage: a 1 x 1 convolution each, up-sampled to full size."""

    def __init__(self, features: Any, level: int, inputs: HeadInputs) -> None:
        self._config = inputs.config
        self._level = level
        self._start = {} if level else inputs.start
        self._rows = None
        if features is not None:
            rows = rows_before_up_sampling(self._config.output_rows, 2**level, features.shape[1])
            self._rows = keep_rows(features, rows)

    def __call__(self, name: str, bias: float = 0.0) -> Any:
        """Returns one head, `(batch, output_rows, profiles, 1)`, float32."""
        if self._rows is None:
            return self._start[name] + bias
        layer = f"{name}_{self._level}" if self._level else name
        x = keras.layers.Conv2D(
            1,
            1,
            # With a start, an untrained network predicts the start alone.
            kernel_initializer="zeros" if self._start else "glorot_uniform",
            bias_initializer=keras.initializers.Constant(bias),
            name=layer,
            dtype="float32",
        )(self._rows)
        x = up_sample(x, 2**self._level, self._config.interpolation, layer, "float32")
        x = keep_rows(x, self._config.output_rows)
        return x + self._start[name] if self._start else x


def _predict_value(head: _Head, suffix: str, inputs: HeadInputs) -> Any:
    """Returns the single value; a scene without echo draws it towards clear sky."""
    value = _add_change(inputs.visible[..., :1], head("change"), f"value{suffix}", inputs.config)
    if inputs.scene is None:
        return value
    return CLEAR_UNIT + keras.ops.sigmoid(inputs.scene) * (value - CLEAR_UNIT)


def _add_guess(occurrence: Any, inputs: HeadInputs) -> Any:
    """Returns the logit of echo plus what the first guess of channel 0 says."""
    start = inputs.config.occurrence_start
    if not start:
        return occurrence
    return occurrence + keras.ops.where(inputs.visible[..., :1] > ECHO_ABOVE, start, -start)


def _gate(occurrence: Any, scene: Any | None) -> Any:
    """Returns the logit of echo in a pixel, given that of any echo in the scene.

    Echo in a pixel is echo in the scene and, given that, in the pixel: the probabilities multiply.
    This is the logit of s(a) s(b) for logits a and b. Intensity given echo takes the scene's echo
    for granted.
    """
    if scene is None:
        return occurrence
    return occurrence - keras.ops.softplus(keras.ops.softplus(occurrence) - scene)


def _add_change(base: Any, change: Any, name: str, config: NetworkConfig) -> Any:
    """Returns the lowest visible row plus the predicted change, or without a base the change."""
    if config.base == "none":
        return change
    return keras.layers.Add(name=name, dtype="float32")([base, change])


def _restore(heads: dict[str, Any], inputs: HeadInputs) -> Any:
    """Returns the value that is expected of each pixel, and 1 where it was observed, else 0.

    With the probability p of echo and its location m the value is p m - (1 - p) [network units].
    """
    if inputs.config.head == "single":
        value = heads["value"]
    else:
        probability = keras.ops.sigmoid(heads["occurrence"])
        value = CLEAR_UNIT + probability * (heads["intensity"][..., :1] - CLEAR_UNIT)
    is_observed = (
        keras.ops.cast(inputs.visible[..., 1:2] < 1, "float32")
        if inputs.config.channels > 1
        else keras.ops.zeros_like(value)
    )
    parts = [value, is_observed]
    return keras.layers.Concatenate(name="restored", dtype="float32")(parts)


def _repeat_observed(heads: dict[str, Any], inputs: HeadInputs) -> dict[str, Any]:
    """Returns the heads, where a pixel was observed the observation.

    The blind zone of a window may end below the highest row. The scale of an observed pixel is the
    smallest there is. Its logit is large but finite, so that no loss of it is infinite before the
    mask takes it out.
    """
    config, visible = inputs.config, inputs.visible
    if config.channels < 2:  # no soft mask
        return heads
    reflectivity, is_observed = visible[..., :1], visible[..., 1:2] < 1
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
