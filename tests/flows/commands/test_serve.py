"""The command `serve`: what is served, by its options."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import one_line, run

from blindzone.flows.service.serve import DEPLOYMENTS, ServeConfig


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServeConfig]:
    """The configurations that were served, none of them for real."""
    configs: list[ServeConfig] = []
    monkeypatch.setattr("blindzone.flows.service.serve.serve", configs.append)
    monkeypatch.delenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", raising=False)
    return configs


def test_all_folders_are_watched_by_default(served: list[ServeConfig]) -> None:
    assert run("serve")[0] == 0
    assert served == [ServeConfig(deployments=DEPLOYMENTS, watched=None)]


@pytest.mark.parametrize(
    ("options", "watched"),
    [
        (("--no-watching",), ()),
        (("--watch", "a", "--watch", "b"), ("a", "b")),
        (("--watching",), None),
    ],
    ids=["none", "some", "all"],
)
def test_watched_sources(
    options: tuple[str, ...], watched: tuple[str, ...] | None, served: list[ServeConfig]
) -> None:
    assert run("serve", *options)[0] == 0
    assert served[0].watched == watched


def test_options_and_environment_reach_the_service(
    served: list[ServeConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "postgresql://user@host/name"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", address)
    run("serve", "--port", 4300, "--runs", 3, "--settle", 5, "--catalog", "c.yaml")
    expected = ServeConfig(
        port=4300, runs=3, settle_s=5.0, catalog=Path("c.yaml"), database=address
    )
    assert served == [expected]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--watch", "a", "--no-watching"), 2, "--no-watching contradicts it"),
        (("--port", "0"), 2, "'--port'"),
        (("--runs", "0"), 2, "'--runs'"),
        (("--deployments", "nowhere.yaml"), 1, "nowhere.yaml: no such file; a prefect.yaml is"),
        (("--database", "mysql://user:secret@host"), 1, "a URL with the scheme 'mysql'"),
    ],
    ids=["contradiction", "port", "runs", "deployments", "database"],
)
def test_wrong_input_gives_one_clear_error(
    options: tuple[str, ...], code: int, message: str, served: list[ServeConfig]
) -> None:
    found, _, err = run("serve", *options)
    assert (found, served) == (code, [])
    assert message in one_line(err)
    assert "secret" not in err
