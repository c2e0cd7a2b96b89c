"""Monte Carlo dropout: many predictions of one network for one window.

After Gal and Ghahramani (2016, arXiv 1506.02142). Each forward pass has dropout masks of its own.
They come from counter-based generators keyed by seed and window, which give the masks of one pass
after those of another. So the prediction of a window depends neither on other windows nor on how
many passes are computed at once.

Several windows with few passes each go through the network together, and one window with many in
parts, so that memory depends on neither. Only the heads of a pass are kept.

A *single pass* has no dropout, which puts the weights at their expectation. Its distribution is the
one that its heads state. It has no part from the spread of passes, needs no seed, and is the same
whatever windows go through the network with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import ModelError
from blindzone.core.forward_passes import SINGLE, Passes
from blindzone.core.network_units import DB_PER_UNIT, ECHO_ABOVE
from blindzone.core.window_prediction import WindowPrediction
from blindzone.models.network_config import NetworkConfig
from blindzone.models.predictive import Heads, SingleHead, TwoPartHeads, estimate_bound_errors
from blindzone.models.stored_network import check_finite_weights

AT_ONCE = 32
"""Forward passes of a large window, or of several, that go through the network at once."""
PIXELS_AT_ONCE = AT_ONCE * 128 * 256
"""Pixels of their input. Of smaller windows more go through at once: each call of the graph costs
milliseconds, and small maps use the processor badly (CloudSat's windows: 68 against 82 ms)."""

if TYPE_CHECKING:  # TensorFlow takes seconds to import, and a single pass may do without
    from blindzone.models.inference_network import InferenceNetwork
    from blindzone.models.network_weights import Weights

NetworkInputs = Iterator[tuple[int, np.ndarray]]
"""Windows: a number that is the window's own, and the network input `(height, time, channel)`."""


@dataclass(kw_only=True)
class _Window:
    """A window under way: the generator of its masks, and the heads of its passes so far."""

    number: int
    inputs: np.ndarray
    random: np.random.Generator
    heads: dict[str, list[np.ndarray]] = field(default_factory=dict)
    count: int = 0


class ExpectedNetwork(Protocol):
    """A trained network without dropout, whatever computes it."""

    def predict_expected(self, curtains: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the heads of one pass for each window.

        Args:
            curtains: Network inputs, float32 `(window, rows, profiles, channels)`.
        """


class MonteCarloNetwork:
    """A trained network with its dropout active.

    Args:
        network: The trained network, of Keras or as it was stored. Its weights are taken when they
            are needed first.
        config: Its configuration.
        floor_unit: Sensitivity floor [network units]: a single value above it is echo.
        db_per_unit: What one network unit is [dB], for adaptive sampling.
        at_once: Forward passes, of one window or several, that go through the network at once; by
            default by the size of its windows. More need more memory.
        light: The same network for single passes, if another library than TensorFlow is to compute
            these.

    Raises:
        ModelError: If the weights are not finite. Whether they fit the configuration is found at
            the first prediction: a graph is built when it is needed.
    """

    def __init__(
        self,
        network: Any,
        config: NetworkConfig,
        *,
        floor_unit: float = 0.0,
        db_per_unit: float = DB_PER_UNIT,
        at_once: int | None = None,
        light: ExpectedNetwork | None = None,
    ) -> None:
        self.config = config
        self.floor_unit = floor_unit
        self.db_per_unit = db_per_unit
        window = config.input_rows * config.input_profiles
        self.at_once = at_once or max(AT_ONCE, PIXELS_AT_ONCE // window)
        self.set_weights(network)
        self._light = light

    @cached_property
    def _weights(self) -> Weights:
        """The trained weights, normalisation folded into convolutions."""
        from blindzone.models.folded import fold_normalization

        return fold_normalization(self._trained)

    @cached_property
    def _network(self) -> InferenceNetwork:
        """The network with dropout."""
        return self._build(self.config)

    @cached_property
    def _without_dropout(self) -> InferenceNetwork:
        return self._build(replace(self.config, dropout=0.0))

    @property
    def _expected(self) -> ExpectedNetwork:
        """The network without dropout."""
        return self._light or self._without_dropout

    def _build(self, config: NetworkConfig) -> InferenceNetwork:
        from blindzone.models.inference_network import InferenceNetwork

        network = InferenceNetwork(config)
        network.set_folded(self._weights)
        return network

    def set_weights(self, network: Any) -> None:
        """Sets the weights to those of another network of the same configuration.

        This costs far less than a new `MonteCarloNetwork`.

        Raises:
            ModelError: If they do not fit the configuration or are not finite.
        """
        check_finite_weights(network)
        self._trained, self._light = network, None
        vars(self).pop("_weights", None)
        for name in ("_network", "_without_dropout"):
            if name in vars(self):
                getattr(self, name).set_folded(self._weights)

    def predict(
        self, windows: NetworkInputs, *, passes: Passes, seed: int
    ) -> Iterator[WindowPrediction]:
        """Yields the prediction of each window in turn.

        Args:
            windows: Number and network input of each window, in network units.
            passes: Number N of forward passes, at least 2, or how well the bounds must be known. Of
                N passes as many ordered intensities are returned. Of a single pass without dropout
                location and scale of the intensity are.
            seed: Seed of the dropout masks.

        Raises:
            ModelError: If N is below 2, the seed is negative, a window has another shape than the
                network or holds values that are not finite, or the network gives such values.
        """
        if passes == SINGLE:
            yield from self._predict_single(windows)
            return
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

    def _predict_single(self, windows: NetworkInputs) -> Iterator[WindowPrediction]:
        """Yields the prediction of a single pass of each window in turn."""
        windows = iter(windows)
        # Each window has maps of its own from the first layer on.
        while group := list(islice(windows, max(1, self.at_once // 4))):
            for number, inputs in group:
                self._check_window(number, inputs)
            stacked = np.stack([inputs for _, inputs in group]).astype(np.float32, copy=False)
            heads = self._expected.predict_expected(stacked)
            for place, (number, inputs) in enumerate(group):
                own = {name: head[place : place + 1] for name, head in heads.items()}
                _check_finite(number, own.values())
                yield self._read_single(self._split_heads(own), inputs)

    def _read_single(self, heads: Heads, inputs: np.ndarray) -> WindowPrediction:
        """Returns the prediction of one pass; observed pixels are as they were observed."""
        single = heads.read_single()
        observed, is_observed = self._observed(inputs)
        has_echo = np.where(is_observed, observed > ECHO_ABOVE, single.probability)
        return WindowPrediction(
            probability=has_echo.astype(np.float32),
            intensity=np.where(is_observed, observed, single.location)[..., None],
            scale=np.where(is_observed, np.float32(0), single.scale),
            used=1,
        )

    def estimate_medians(
        self, windows: NetworkInputs, *, passes: int, seed: int
    ) -> Iterator[np.ndarray]:
        """Yields the median of each forward pass of `predict`, of each window in turn.

        Their scatter is the uncertainty of Monte Carlo dropout alone, without the spread that each
        pass expects.

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
                yield self._heads(window).estimate_medians(self.floor_unit)

    def _group(self, windows: NetworkInputs, seed: int, count: int) -> Iterator[list[_Window]]:
        """Yields groups of windows that go through the network together, `count` passes each."""
        if seed < 0:
            raise ModelError(f"a seed must not be negative; found {seed}")
        windows, size = iter(windows), max(1, self.at_once // count)
        while group := list(islice(windows, size)):
            for number, inputs in group:
                self._check_window(number, inputs)
            yield [
                _Window(
                    number=number,
                    inputs=inputs,
                    random=_generator(seed, number, stream=0),
                )
                for number, inputs in group
            ]

    def _check_window(self, number: int, inputs: np.ndarray) -> None:
        """Checks shape and values of a window's input."""
        expected = (self.config.input_rows, self.config.input_profiles, self.config.channels)
        if inputs.shape != expected:
            raise ModelError(
                f"window {number}: its shape is {inputs.shape}; {expected} is right: rows,"
                " profiles, channels"
            )
        if not np.isfinite(inputs).all():
            raise ModelError(
                f"window {number}: {np.count_nonzero(~np.isfinite(inputs))} of {inputs.size}"
                " input values are not finite; what is missing must be filled in before"
            )

    def _extend(self, windows: Sequence[_Window], count: int) -> None:
        """Computes passes of windows that have equally many until they have `count`."""
        while (done := windows[0].count) < count:
            parts = -(-(count - done) * len(windows) // self.at_once)
            self._compute(windows, -(-(count - done) // parts))

    def _compute(self, windows: Sequence[_Window], count: int) -> None:
        """Computes `count` more passes of each window."""
        drawn = [self._draw_masks(window.random, count) for window in windows]
        keys, masks = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        inputs = np.stack([window.inputs for window in windows]).astype(np.float32, copy=False)
        for name, head in self._network.predict(inputs, keys, masks).items():
            of_windows = head.reshape(len(windows), -1, *head.shape[1:])
            for window, values in zip(windows, of_windows, strict=True):
                _check_finite(window.number, [values])
                # Without dropout there is one prediction for all passes.
                passes = np.broadcast_to(values, (count, *values.shape[1:]))
                window.heads.setdefault(name, []).append(passes)
        for window in windows:
            window.count += count

    def _draw_masks(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the keys of the next passes, `(count, 2)`, and their masks, `(count, channel)`.

        A mask is 0 or 1 / (1 - rate). Its channels are those of all dropout layers, in the order of
        `dropout_channels`.
        """
        keep = 1.0 - self.config.dropout
        # One pass after the other, so that it does not matter how many are drawn at once.
        shape = (count, 2 + self._network.mask_channels)
        drawn = random.integers(2**32, size=shape, dtype=np.uint32)
        kept = (
            drawn[:, 2:] < np.uint32(round(keep * 2**32))
            if self.config.dropout
            else np.ones_like(drawn[:, 2:])
        )
        return drawn[:, :2].view(np.int32), (kept / np.float32(keep)).astype(np.float32)

    def _heads(self, window: _Window) -> Heads:
        """Returns the heads of all passes of a window."""
        return self._split_heads(
            {name: np.concatenate(parts) for name, parts in window.heads.items()}
        )

    def _split_heads(self, heads: Mapping[str, np.ndarray]) -> Heads:
        """Returns the network's outputs, `(pass, hidden row, time, value)` by name, as heads."""
        if self.config.head == "single":
            return SingleHead(value=heads["value"][..., 0], floor=self.floor_unit)
        return TwoPartHeads.of_network(heads["occurrence"], heads["intensity"])

    def _is_enough(self, window: _Window, seed: int, adaptive: AdaptiveSampling) -> bool:
        """Returns whether a window's bounds are known well enough."""
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
        """Returns the prediction of a window; observed pixels are as they were observed."""
        ranks = _generator(seed, window.number, stream=1).permutation(window.count)
        probability, intensity = self._heads(window).summarize(ranks, values)
        observed, is_observed = self._observed(window.inputs)
        has_echo = np.where(is_observed, observed > ECHO_ABOVE, probability)
        return WindowPrediction(
            probability=has_echo.astype(np.float32),
            intensity=np.where(is_observed[..., None], observed[..., None], intensity),
            used=window.count,
        )

    def _observed(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the input reflectivity of the hidden rows, and where it was observed.

        A pixel was observed where the soft mask, channel 1, is below 1.
        """
        hidden = inputs[: self.config.output_rows].astype(np.float32, copy=False)
        is_observed = (
            hidden[..., 1] < 1 if hidden.shape[-1] > 1 else np.zeros(hidden.shape[:2], bool)
        )
        return hidden[..., 0], is_observed


def _check_finite(number: int, heads: Iterable[np.ndarray]) -> None:
    """Checks what the network gives for a window."""
    if not all(np.isfinite(values).all() for values in heads):
        raise ModelError(
            f"window {number}: the network gives values that are not finite; its training diverged"
        )


def _check_count(passes: int) -> int:
    if passes < 2:
        raise ModelError(f"an interval needs at least 2 forward passes; found {passes}")
    return passes


def _generator(seed: int, number: int, *, stream: int) -> np.random.Generator:
    """Returns one of the generators of a window: 0 draws masks, 1 levels."""
    key = np.array([seed, number], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))
