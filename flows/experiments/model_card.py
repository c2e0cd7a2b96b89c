"""The model card of a run: data, training, scores and limits of a network."""

from __future__ import annotations

import json
from typing import Any

from blindzone.core.configuration import to_plain
from blindzone.flows.experiments.runs import SHOWN_SCORES, Run
from blindzone.models.network_config import NetworkConfig

_CARD = """# {name}

{title}{simulated}. Fills the lowest {top_m:g} m of radar curtains; sensitivity floor \
{floor_dbz:g} dBZ.

## Data

| | |
|---|---|
| source | `{source}` |
| training days ({training_count}) | {training_days} |
| validation days ({validation_count}) | {validation_days} |
{pooled}| hash of these days in the archive's ledger | `{data_sha256}` |
| licence | {licence} |
| reference | {reference} |

No other day was looked at. The weights were chosen on the validation days.

## Training

{steps} steps in {minutes:.1f} min ({ended} spent), the best after {best_step}; {wait_share:.1%} \
of the time went into
waiting for data. Begun {begun}, on {devices}.{paths}{started}{resumed}{notes}

Software: {software}.

## Scores

Over {windows} fixed windows of the validation days, {passes} forward passes.
`blindzone evaluate` scores whole days.

| score | |
|---|---|
{scores}

Checkpoint: SHA-256 `{sha256}`.

## Limits

- Made for {rows} rows of {row_depth_m:g} m, channels {channels}, and radars like the one \
it was trained on.
- Truth below {lowest_trusted_m:g} m was not trusted: nothing there taught or checked it.
- Shallow cloud that lies wholly inside the blind zone leaves no trace above it.
- The scores of the validation days chose the weights, so those of other days will be worse.

## Configuration

```json
{configuration}
```
"""


def write_card(run: Run, config: NetworkConfig) -> None:
    """Writes the card of a finished run into its directory.

    Raises:
        RunError: If it cannot be written.
    """
    run.write_text("card.md", format_card(run, config))


def _describe_before(run: Run) -> str:
    """Returns what was trained before the last stage."""
    paths, stages = (
        [run.part(path.parent.name).result() for path in run.path.glob(f"{part}*/result.json")]
        for part in ("column", "stage")
    )
    text = ""
    if paths:
        alone = f"each of its {len(paths)} column paths" if len(paths) > 1 else "its column path"
        minutes = sum(result["minutes"] for result in paths)
        text += f" Before that {alone} was trained alone, in {minutes:.1f} min together."
    if stages:
        minutes = sum(result["minutes"] for result in stages)
        text += f" {len(stages)} earlier stages of the whole network took {minutes:.1f} min."
    return text


def _describe_pooled(about: dict[str, Any]) -> str:
    """Returns the rows of the sources that were pooled with the first."""
    return "".join(
        f"| pooled with `{name}`: {block} days ({len(days)}) | {', '.join(days)} |\n"
        for name, blocks in about.get("pooled", {}).items()
        for block, days in (
            ("training", blocks["training_days"]),
            ("validation", blocks["validation_days"]),
        )
    )


def _describe_start(about: dict[str, Any]) -> str:
    """Returns which checkpoints a training began with."""
    start_from, trunk = about["start_from_sha256"], about.get("pretrained_sha256")
    text = ""
    if start_from:
        text += f" Started from the checkpoints with the SHA-256 {', '.join(start_from)}."
    if trunk:
        text += f" Its trunk was pretrained: that of the checkpoint with the SHA-256 {trunk}."
    return text


def format_card(run: Run, config: NetworkConfig) -> str:
    """Returns the card of a finished run as Markdown."""
    about, result, choices = run.about(), run.result(), run.choices()
    record, preprocessing = result["record"], about["preprocessing"]
    scores: dict[str, Any] = result["scores"]
    resumed, notes = record["resumed_at"], record["notes"]
    configuration = choices | {"network": to_plain(config)}
    return _CARD.format(
        name=run.name,
        title=about["title"],
        simulated=", simulated" if about["simulated"] and "simulated" not in about["title"] else "",
        top_m=preprocessing["blind_zone"]["top_m"],
        floor_dbz=preprocessing["floor_dbz"],
        lowest_trusted_m=preprocessing["lowest_trusted_m"],
        rows=preprocessing["grid"]["rows"],
        row_depth_m=preprocessing["grid"]["row_depth_m"],
        channels=", ".join(preprocessing["channels"]),
        training_count=len(about["training_days"]),
        validation_count=len(about["validation_days"]),
        **{key: ", ".join(about[key]) for key in ("training_days", "validation_days", "devices")},
        pooled=_describe_pooled(about),
        **{key: about[key] for key in ("source", "data_sha256", "licence", "begun")},
        reference=about["reference"] or "none stated",
        minutes=record["seconds"] / 60,
        **{key: record[key] for key in ("steps", "ended", "best_step", "wait_share")},
        paths=_describe_before(run),
        started=_describe_start(about),
        resumed=f" Resumed at step {', '.join(map(str, resumed))}." if resumed else "",
        notes="".join(f"\nNote: {note}." for note in notes),
        software=", ".join(f"{name} {value}" for name, value in about["software"].items() if value),
        windows=choices["validation"]["windows"],
        passes=choices["stages"][-1]["validation_realizations"],
        scores="\n".join(
            f"| {name} | {scores[name]:.3f} |" for name in SHOWN_SCORES if name in scores
        ),
        sha256=result["sha256"],
        configuration=json.dumps(configuration, indent=1),
    )
