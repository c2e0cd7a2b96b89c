"""The command `inpaint`: fill the blind zone of archived days."""

from __future__ import annotations

import typer

from blindzone.flows.commands.early_checks import check_sources
from blindzone.flows.commands.fill_options import (
    Derive,
    Effort,
    Force,
    Kinds,
    Members,
    ProductFolder,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    FirstDay,
    LastDay,
    Recorded,
    SourceName,
)


def inpaint(
    source: SourceName,
    start: FirstDay,
    end: LastDay,
    output: ProductFolder = None,
    checkpoint: CheckpointFile = None,
    passes: Effort = 50,
    tolerance: Tolerance = None,
    members: Members = None,
    seed: Seed = 0,
    repair: Kinds = None,
    force: Force = False,
    derive: Derive = False,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Fill archived days, one netCDF product each.

    The products follow the CF conventions. One that exists already and would be the same is left as
    it is. The path of each is printed. With --repair holes are filled anywhere, into products in
    $BLINDZONE_WORKSPACE/repaired.
    """
    check_tolerance(passes, tolerance)
    check_sources([source], catalog)
    from blindzone.flows.inpaint import InpaintPlan
    from blindzone.flows.inpaint import inpaint as flow
    from blindzone.flows.running.plans import Filling, Places
    from blindzone.flows.running.prefect_steps import run_flow
    from blindzone.flows.running.workspace import repair_folder

    effort = choose_effort(passes, tolerance)
    plan = InpaintPlan(
        source=source,
        start=start,
        end=end,
        filling=Filling(
            passes=effort,
            seed=seed,
            members=members,
            checkpoint=checkpoint,
            repair=repair or (),
        ),
        places=Places(
            catalog=catalog,
            archive=archive,
            products=output or (str(repair_folder()) if repair else None),
        ),
        force=force,
        derive=derive,
    )
    for product in run_flow(flow, recorded=prefect, plan=plan):
        typer.echo(product)
