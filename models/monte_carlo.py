"""Monte Carlo dropout: many answers of one network to one curtain (Gal and Ghahramani 2016, arXiv 1506.02142).

Each realization is one forward pass with its own dropout masks. They come from counter-based
generators keyed by seed and window, which give the masks of one realization after those of another:
the answer to a window depends neither on its company nor on how many realizations are computed at
once.

What costs time is left out: batch normalisation is folded into the convolutions
(`blindzone.models.folded`), encoder and decoder compute only the rows that the answer needs, and
what lies before the first dropout, the same in all realizations of a window, is computed once.
Several windows with few realizations each go through the network together, and one window with many
in parts, so that memory depends on neither; what is kept of a realization is what its heads say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import ModelError
from blindzone.core.network_units import DB_PER_UNIT, ECHO_ABOVE
from blindzone.core.window_prediction import WindowPrediction
from blindzone.models.folded import FoldedConvolution, combine, fold_normalization
from blindzone.models.predictive import Heads, SingleHead, TwoPartHeads, estimate_bound_errors
from blindzone.models.unet3plus import (
    UNet3PlusConfig,
    connect_unet3plus,
    give_weights,
    main_heads,
)

AT_ONCE = 32
"""Realizations, of one window or several, that go through the network at once."""

_CURTAIN = np.uint64(2**64 - 1)
"""In place of a window's number: masks that all windows share."""


@dataclass(kw_only=True)
class _Window:
    """A window under way: how its masks go on, and what its realizations have said."""

    number: int
    curtain: np.ndarray
    random: np.random.Generator
    prediction: dict[str, list[np.ndarray]] = field(default_factory=dict)
    count: int = 0


class MonteCarloNetwork:
    """A trained network with its dropout active.

    Args:
        network: The trained network.
        config: Its configuration.
        floor_unit: Sensitivity floor [network units]: a single value above it is echo.
        db_per_unit: What one network unit is [dB], for adaptive sampling.
        at_once: Realizations, of one window or several, that go through the network at once. More
            need more memory.

    Raises:
        ModelError: If the weights do not fit the configuration or are not finite.
    """

    def __init__(
        self,
        network: keras.Model,
        config: UNet3PlusConfig,
        *,
        floor_unit: float = 0.0,
        db_per_unit: float = DB_PER_UNIT,
        at_once: int = AT_ONCE,
    ) -> None:
        self.config = config
        self.floor_unit = floor_unit
        self.db_per_unit = db_per_unit
        self.at_once = at_once
        # Of the curtain there is one a window, of all else one a realization.
        curtain = keras.Input(
            (config.input_rows, config.input_profiles, config.channels), name="curtain"
        )
        self._ones = keras.Input((1, 1, 1), name="ones")
        self._keys = keras.Input((2,), dtype="int32", name="keys")
        self._mask_inputs: list[Any] = []
        self._drawn = 0
        alone = replace(config, deep_supervision=False, joint_forecast=False, normalization="none")
        outputs = connect_unet3plus(
            curtain,
            alone,
            self._masked,
            block=self._block,
            spread=self._spread,
            limits_encoder=True,
        )
        heads = {name: outputs[name] for name in main_heads(config)}
        inputs = [curtain, self._ones, self._keys, *self._mask_inputs]
        self._network = keras.Model(inputs, heads, name="monte_carlo_unet3plus")
        self._mask_sizes = [int(mask.shape[-1]) for mask in self._mask_inputs]
        # One graph for any number of windows and realizations.
        signature = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in inputs]
        self._forward = tf.function(
            lambda *given: self._network(given, training=False), input_signature=signature
        )
        self.take_weights(network)

    def take_weights(self, network: keras.Model) -> None:
        """Answers as `network` from here on, which costs far less than a new `MonteCarloNetwork`.

        Raises:
            ModelError: If the weights do not fit the configuration or are not finite.
        """
        # Looked at here, not in the answers alone: an infinite weight before a ReLU can leave them
        # finite.
        if not all(
            np.isfinite(weights).all()
            for layer in network.layers
            for weights in layer.get_weights()
        ):
            raise ModelError(
                "the network's weights are not finite: its training diverged; train it anew"
            )
        give_weights(fold_normalization(network), self._network)
        for layer in self._network.layers:
            if isinstance(layer, FoldedConvolution):
                layer.prepare()

    def predict(
        self,
        windows: Iterator[tuple[int, np.ndarray]],
        *,
        passes: int | AdaptiveSampling,
        seed: int,
    ) -> Iterator[WindowPrediction]:
        """Yields the realizations of each window in turn.

        Args:
            windows: A number that is the window's own, and the curtain `(height, time, channel)` in
                network units.
            passes: Number N of forward passes, at least 2, or how well the bounds must be
                known. Of N as many ordered intensities leave.
            seed: Seed of the dropout masks.

        Raises:
            ModelError: If N is below 2, the seed is negative, a window has another shape than the
                network or holds values that are not finite, or the network gives such values.
        """
        if isinstance(passes, AdaptiveSampling):
            adaptive, least, values = passes, passes.least, passes.values
        else:
            adaptive, least, values = None, _check_count(passes), passes
        for group in self._group(windows, seed, least):
            self._extend(group, least)
            while adaptive and (
                unconverged := [one for one in group if not self._is_enough(one, seed, adaptive)]
            ):
                self._extend(unconverged, min(unconverged[0].count + least, adaptive.most))
            for window in group:
                yield self._summarize(window, seed, values)

    def sample(
        self, windows: Iterator[tuple[int, np.ndarray]], *, passes: int, seed: int
    ) -> Iterator[np.ndarray]:
        """Yields fields of max(reflectivity, floor) that may be true, of each window in turn.

        For those who carry the uncertainty on into what they compute of whole fields. Realization n
        is the same thinned network in all windows, and so are its two levels, random and evenly
        spread over the realizations: there is echo where the mean probability exceeds the one, of
        the strength that realization n expects at the other. So echo is contiguous in space and
        from one window to the next, and over the realizations each pixel follows the two-part
        distribution of `predict`. Of a single value the field is that value.

        Args:
            windows: As for `predict`.
            passes: Number N of fields, at least 2.
            seed: Seed of masks and levels.

        Yields:
            Array `(hidden row, time, N)`, float32, in network units, the floor where there is no
            echo.

        Raises:
            ModelError: As `predict`.
        """
        random = _generator(seed, int(_CURTAIN), stream=1)
        echo_ranks, ranks = (
            random.permutation(_check_count(passes)),
            random.permutation(passes),
        )
        for group in self._group(windows, seed, passes, shares_masks=True):
            self._extend(group, passes)
            for window in group:
                fields = self._heads(window).sample(echo_ranks, ranks, self.floor_unit)
                shown, is_observed = self._observed(window.curtain)
                yield np.where(
                    is_observed[..., None], np.maximum(shown, self.floor_unit)[..., None], fields
                )

    def estimate(
        self, windows: Iterator[tuple[int, np.ndarray]], *, passes: int, seed: int
    ) -> Iterator[np.ndarray]:
        """Yields what each realization of `predict` takes for most likely, of each window in turn.

        Their scatter is what Monte Carlo dropout alone says of the uncertainty: nothing of what
        each of them expects.

        Args:
            windows: As for `predict`.
            passes: Number N of forward passes, at least 2.
            seed: Seed of the dropout masks.

        Yields:
            Array `(hidden row, time, N)`, float32, in network units, the floor where no echo is
            more likely.

        Raises:
            ModelError: As `predict`.
        """
        for group in self._group(windows, seed, _check_count(passes)):
            self._extend(group, passes)
            for window in group:
                yield self._heads(window).estimate(self.floor_unit)

    def _group(
        self,
        windows: Iterator[tuple[int, np.ndarray]],
        seed: int,
        count: int,
        *,
        shares_masks: bool = False,
    ) -> Iterator[list[_Window]]:
        """Yields as many windows at a time as go through the network together with so many realizations each."""
        if seed < 0:
            raise ModelError(f"a seed must not be negative; found {seed}")
        windows, size = iter(windows), max(1, self.at_once // count)
        while group := list(islice(windows, size)):
            for number, curtain in group:
                self._check_window(number, curtain)
            key = {number: int(_CURTAIN) if shares_masks else number for number, _ in group}
            yield [
                _Window(
                    number=number, curtain=curtain, random=_generator(seed, key[number], stream=0)
                )
                for number, curtain in group
            ]

    def _check_window(self, number: int, curtain: np.ndarray) -> None:
        expected = (self.config.input_rows, self.config.input_profiles, self.config.channels)
        if curtain.shape != expected:
            raise ModelError(
                f"window {number}: its shape is {curtain.shape}; {expected} is right: rows,"
                " profiles, channels"
            )
        if not np.isfinite(curtain).all():
            raise ModelError(
                f"window {number}: {np.count_nonzero(~np.isfinite(curtain))} of {curtain.size}"
                " values shown to the network are not finite; what is missing must be filled in"
                " before"
            )

    def _extend(self, windows: Sequence[_Window], count: int) -> None:
        """Computes realizations of windows that have equally many until they have `count`."""
        while (done := windows[0].count) < count:
            parts = -(-(count - done) * len(windows) // self.at_once)
            self._compute(windows, -(-(count - done) // parts))

    def _compute(self, windows: Sequence[_Window], count: int) -> None:
        """Computes `count` more realizations of each window."""
        drawn = [self._draw(window.random, count) for window in windows]
        keys = np.concatenate([keys for keys, _ in drawn])
        masks = np.concatenate([masks for _, masks in drawn])
        split = (
            np.split(masks[:, None, None, :], np.cumsum(self._mask_sizes)[:-1], axis=-1)
            if self._mask_sizes
            else []
        )
        curtains = np.stack([window.curtain for window in windows]).astype(np.float32, copy=False)
        heads = self._forward(curtains, np.ones((len(keys), 1, 1, 1), np.float32), keys, *split)
        for name, head in heads.items():
            prediction = head.numpy().reshape(len(windows), -1, *head.shape[1:])
            for window, values in zip(windows, prediction, strict=True):
                if not np.isfinite(values).all():
                    raise ModelError(
                        f"window {window.number}: the network gives values that are not finite; its"
                        " training diverged"
                    )
                # Without dropout there is one answer for all.
                window.prediction.setdefault(name, []).append(
                    np.broadcast_to(values, (count, *values.shape[1:]))
                )
        for window in windows:
            window.count += count

    def _draw(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the keys of the next realizations, `(count, 2)`, and their masks, `(count, channel)`.

        A mask is 0 or 1 / (1 - rate); the channels are those of all dropout layers, one after the
        other.
        """
        keep = 1.0 - self.config.dropout
        # One realization after the other, so that it does not matter how many are drawn at once.
        drawn = random.integers(2**32, size=(count, 2 + sum(self._mask_sizes)), dtype=np.uint32)
        kept = (
            drawn[:, 2:] < np.uint32(round(keep * 2**32))
            if self.config.dropout
            else np.ones_like(drawn[:, 2:])
        )
        return drawn[:, :2].view(np.int32), (kept / np.float32(keep)).astype(np.float32)

    def _heads(self, window: _Window) -> Heads:
        prediction = {name: np.concatenate(parts) for name, parts in window.prediction.items()}
        if self.config.head == "single":
            return SingleHead(value=prediction["value"][..., 0], floor=self.floor_unit)
        return TwoPartHeads.of_network(prediction["occurrence"], prediction["intensity"])

    def _is_enough(self, window: _Window, seed: int, adaptive: AdaptiveSampling) -> bool:
        if window.count >= adaptive.most:
            return True
        heads = self._heads(window)
        ranks = _generator(seed, window.number, stream=1).permutation(window.count)
        probability, ordered = heads.summarize(ranks, adaptive.values)
        errors = estimate_bound_errors(
            heads, probability, ordered, self.floor_unit, adaptive.levels
        )
        is_known = (errors <= adaptive.tolerance_db / self.db_per_unit).all(axis=0)
        return bool(is_known.mean() >= adaptive.share)

    def _summarize(self, window: _Window, seed: int, values: int) -> WindowPrediction:
        """Returns what a window's realizations say; observed pixels, the soft mask below 1, as they were observed."""
        ranks = _generator(seed, window.number, stream=1).permutation(window.count)
        probability, intensity = self._heads(window).summarize(ranks, values)
        shown, is_observed = self._observed(window.curtain)
        return WindowPrediction(
            probability=np.where(is_observed, shown > ECHO_ABOVE, probability).astype(np.float32),
            intensity=np.where(is_observed[..., None], shown[..., None], intensity),
            used=window.count,
        )

    def _observed(self, curtain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the reflectivity that a window shows of the hidden rows, and where it was observed."""
        shown = curtain[: self.config.output_rows].astype(np.float32, copy=False)
        is_observed = shown[..., 1] < 1 if shown.shape[-1] > 1 else np.zeros(shown.shape[:2], bool)
        return shown[..., 0], is_observed

    def _block(
        self, maps: Sequence[Any], filters: int, name: str, rows: int | None = None, fixed: int = 0
    ) -> Any:
        own = maps[fixed:]
        x = keras.layers.Concatenate(name=f"{name}_scales")(own) if len(own) > 1 else own[0]
        layer = FoldedConvolution(
            filters, self.config.kernel_size, rows=rows or x.shape[1], name=f"{name}_convolution"
        )
        return layer(x, *maps[:fixed])

    def _masked(self, x: Any, name: str) -> Any:
        if not self.config.dropout:
            return x
        if self.config.dropout_kind == "element":
            self._drawn += 1
            return _ElementDropout(self.config.dropout, self._drawn, name=name)(x, self._keys)
        mask = keras.Input((1, 1, x.shape[-1]), name=f"{name}_mask")
        self._mask_inputs.append(mask)
        return _Multiply(name=name)(x, mask)

    def _spread(self, x: Any) -> Any:
        return _Multiply()(x, self._ones) if self.config.dropout else x


def _check_count(passes: int) -> int:
    if passes < 2:
        raise ModelError(f"an interval needs at least 2 realizations; found {passes}")
    return passes


def _generator(seed: int, number: int, *, stream: int) -> np.random.Generator:
    """Returns one of the generators of a window: 0 draws masks, 1 levels."""
    key = np.array([seed, number], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))


class _Multiply(keras.layers.Layer):  # type: ignore[misc]
    """Maps of windows times what each realization has of its own."""

    def call(self, x: Any, own: Any) -> Any:
        """Returns maps `(realization, ...)`."""
        return combine(tf.multiply, x, own)


class _ElementDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout of single pixels of a map by masks drawn from a realization's key, the same on every machine.

    The masks are as large as the maps of all realizations together: drawn here, they never leave
    the graph. Sixteen random bits a pixel put the rate right to 1e-5, and what is kept is scaled by
    the rate as it is.
    """

    def __init__(self, rate: float, stream: int, **options: Any) -> None:
        super().__init__(**options)
        self.stream = stream
        self.dropped = round(rate * 2**16)

    def call(self, x: Any, keys: Any) -> Any:
        """Returns maps with pixels dropped, `(realization, ...)`."""
        pixels = int(np.prod(x.shape[1:]))

        def draw(key: Any) -> Any:
            own = tf.random.experimental.stateless_fold_in(key, self.stream)
            return tf.random.stateless_uniform(
                (-(-pixels // 2),), own, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
            )

        bits = tf.bitcast(tf.map_fn(draw, keys, fn_output_signature=tf.uint32), tf.uint16)
        bits = tf.reshape(
            tf.reshape(bits, (-1, pixels + pixels % 2))[:, :pixels], (-1, *x.shape[1:])
        )
        scale = 2**16 / (2**16 - self.dropped)
        return combine(
            lambda map_, kept: tf.where(kept, map_ * scale, 0.0), x, bits >= self.dropped
        )
