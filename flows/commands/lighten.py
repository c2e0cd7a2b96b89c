"""The command `lighten`: a network for LiteRT, which fills without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blindzone.flows.commands.early_checks import check_checkpoints
from blindzone.flows.running.quiet_start import quiet_start


def lighten(
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The network, NAME.keras.")],
) -> None:
    """Write a network for LiteRT beside it, NAME.tflite.

    With `pip install 'blindzone[light]'`, `--passes single` then needs no TensorFlow. The weights
    of the package have such files; `calibrate --passes single` writes one too.
    """
    check_checkpoints([checkpoint])
    with quiet_start():
        from blindzone.models.checkpoint import check_replaceable, read_checkpoint
        from blindzone.models.light_network import locate_light, write_light

    check_replaceable(locate_light(checkpoint))
    file = write_light(checkpoint, read_checkpoint(checkpoint, to_fill=True))
    typer.echo(f"network for LiteRT: {file}, {file.stat().st_size / 2**20:.1f} MiB")
