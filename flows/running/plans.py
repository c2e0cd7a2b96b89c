"""Sections that the plans of flows share: where everything is, and how blind zones are filled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.configuration import configuration
from blindzone.core.errors import PlanError
from blindzone.core.forward_passes import Passes
from blindzone.core.granule import EARLIEST, LATEST
from blindzone.flows.running.network_choice import (
    GROUND,
    CurtainKind,
    choose_repairing,
    trained_checkpoint,
)
from blindzone.flows.running.old_parameters import describe_keys, rename_keys
from blindzone.flows.running.workspace import (
    archive_folder,
    product_folder,
    report_folder,
)
from blindzone.pipeline.catalog.places import find_catalog
from blindzone.pipeline.curtains.hidden import RepairedKind

Address = Annotated[
    str, BeforeValidator(lambda place: str(place) if isinstance(place, Path) else place)
]
"""Folder or URL."""

Sources = Annotated[tuple[str, ...], Field(min_length=1)]
"""Names of sources in the catalogue, at least one."""

FORMER_KEYS = {"realizations": "passes", "samples": "members"}
"""Keys of `Filling` as they were called before."""


def check_range(start: date | None, end: date | None) -> None:
    """Checks that a range of days does not end before it starts, and holds measured days only.

    Raises:
        PlanError: If it does not.
    """
    for name, day in (("start", start), ("end", end)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise PlanError(
                f"{name}: {day} is no day of measurements; {EARLIEST} or later is right"
            )
    if start is not None and end is not None and start > end:
        raise PlanError(
            f"the range starts on {start} and ends on {end}; start must not be after end"
        )


@configuration(error=PlanError, what="places")
class DataPlaces:
    """Where catalogue and archive are."""

    catalog: Path | None = None
    """Catalogue file; by default data_catalog.yaml."""
    archive: Address | None = None
    """Folder or URL of the archive; by default that of the workspace."""

    @property
    def archive_address(self) -> str:
        """Folder or URL of the archive."""
        return self.archive or str(archive_folder())


@configuration(error=PlanError, what="places")
class Places:
    """Where everything is."""

    catalog: Path | None = None
    """Catalogue file; by default data_catalog.yaml."""
    archive: Address | None = None
    """Folder or URL of the archive; by default that of the workspace."""
    products: Address | None = None
    """Folder or URL of the products; by default that of the workspace."""
    reports: Path | None = None
    """Folder of reports and logs; by default that of the workspace."""

    def settle(self) -> SettledPlaces:
        """Returns the same with absolute paths, defaults included, as another process needs it."""
        return SettledPlaces(
            catalog=(self.catalog or find_catalog()).absolute(),
            archive=_settle(self.archive or archive_folder()),
            products=_settle(self.products or product_folder()),
            reports=(self.reports or report_folder()).absolute(),
        )


@dataclass(frozen=True, kw_only=True)
class SettledPlaces:
    """Where everything is, for any process on any machine that sees it."""

    catalog: Path
    archive: str
    products: str
    reports: Path

    @property
    def data(self) -> DataPlaces:
        """Catalogue and archive alone."""
        return DataPlaces(catalog=self.catalog, archive=self.archive)


@configuration(error=PlanError, what="filling")
class Filling:
    """How blind zones are filled."""

    passes: Passes = 50
    """Number of stochastic forward passes, at least 2, how well interval bounds must be known, or
    `single`: one pass without dropout."""
    seed: int = 0
    """Seed of the passes; the same seed gives the same product."""
    members: int | None = None
    """Number of coherent ensemble members to be written as well, at least 2."""
    checkpoint: Path | None = None
    """Trained network; by default the source's own, else that of the package which fits the
    source's band, platform and grid."""
    repair: tuple[RepairedKind, ...] = ()
    """Kinds of holes that are repaired, anywhere in a curtain; by default the blind zone is filled.
    Then the default network is that of the package which repairs holes."""

    @model_validator(mode="before")
    @classmethod
    def _take_former_keys(cls, given: Any) -> Any:
        return rename_keys(given, FORMER_KEYS, where="filling")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        own = handler.resolve_ref_schema(schema)
        own |= describe_keys(own, FORMER_KEYS)
        return schema

    def __post_init__(self) -> None:
        if self.members is not None and self.members < 2:
            raise PlanError(f"members: a distribution needs at least 2; found {self.members}")
        if self.seed < 0:
            raise PlanError(f"seed: a number of at least 0 is right; found {self.seed}")

    def settle(self, source: str, kind: CurtainKind | None = None) -> Filling:
        """Returns the same with the checkpoint that fills a source, as another process needs it.

        Raises:
            CurtainError: If there is none for curtains of a kind from above, if that is given.
        """
        checkpoint = self.checkpoint
        if checkpoint is None and self.repair:
            checkpoint = choose_repairing(kind or GROUND, where=source)
        checkpoint = checkpoint or trained_checkpoint(source, kind)
        return replace(self, checkpoint=checkpoint.absolute())


def plain_passes(passes: Passes) -> int | str | dict[str, float]:
    """Returns a number of passes, its rule or `single`, as products and their targets state it."""
    if not isinstance(passes, AdaptiveSampling):
        return passes
    return {name: getattr(passes, name) for name in ("tolerance_db", "least", "most")}


def _settle(place: str | Path) -> str:
    text = str(place)
    return text if "://" in text else str(Path(text).absolute())
