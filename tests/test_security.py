"""Nothing that is read can run code: hostile files are rejected, the packages name no way to it."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import pickle
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import xarray as xr
import yaml

from blindzone.core.errors import CatalogError, DamagedError
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint_record import RECORD_NAME
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.care import verify_archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.verification.curtain_scores import CurtainSums
from blindzone.pipeline.verification.statistics import Sums
from blindzone.pipeline.verification.tables import read_sums

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = sorted(
    path
    for name in ("core", "pipeline", "models", "flows", "benchmarks")
    for path in (REPOSITORY / name).rglob("*.py")
)
DAY = date(2021, 3, 14)
FILE = FileRecord(name="a.nc", size=12, sha256="ab" * 32)

FORBIDDEN_MODULES = {
    "pickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "marshal",
    "shelve",
}
FORBIDDEN_NAMES = {"eval", "exec", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    "read_pickle",
    "to_pickle",
    "enable_unsafe_deserialization",
    "mktemp",
    "popen",
    "getoutput",
    "getstatusoutput",
    "JournalStorage",  # of Optuna, whose snapshots are pickled
}
SAFE_YAML = {
    "safe_load",
    "safe_dump",
    "compose",
    "SafeLoader",
    "YAMLError",
    "MarkedYAMLError",
    "AliasEvent",
    "MappingNode",
    "SequenceNode",
    "ScalarNode",
    "Node",
}
FORBIDDEN_VALUES = {"shell": True, "allow_pickle": True, "safe_mode": False, "persist_result": True}
"""Of keyword arguments. What Prefect persists of a result is pickled."""


def find_dangers(text: str) -> Iterator[str]:
    """Yields what in a module can run code of a file, or listen beyond this machine."""
    tree = ast.parse(text)
    loaders = _find_safe_loaders(tree)
    loading = [
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "yaml.load"
        and _loads_safely(node, loaders)
    ]
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            if {module.split(".")[0] for module in modules} & FORBIDDEN_MODULES:
                yield f"line {line}: import of {', '.join(modules)}"
            if set(names) & FORBIDDEN_ATTRIBUTES or (
                modules == ["yaml"] and isinstance(node, ast.ImportFrom)
            ):
                yield f"line {line}: import of {', '.join(names)}"
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            yield f"line {line}: {node.id}"
        elif isinstance(node, ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if (
                node.attr in FORBIDDEN_ATTRIBUTES
                or (of == "yaml" and node.attr not in SAFE_YAML and node not in loading)
                or (of == "os" and node.attr == "system")
            ):
                yield f"line {line}: {of}.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from (f"line {line}: {found}" for found in _find_in_call(node, loaders))
        elif isinstance(node, ast.Constant) and node.value == "0.0.0.0":
            yield f"line {line}: listens to every network"


def _find_safe_loaders(tree: ast.Module) -> set[str]:
    """Returns the safe loaders of YAML that a module may name: PyYAML's, and those made of it."""
    safe = {"yaml.SafeLoader"}
    for node in ast.walk(tree):  # bases stand before what is made of them
        bases = {*map(ast.unparse, node.bases)} if isinstance(node, ast.ClassDef) else set()
        if isinstance(node, ast.ClassDef) and bases and bases <= safe:
            safe.add(node.name)
    return safe


def _loads_safely(node: ast.Call, safe: set[str]) -> bool:
    """Returns whether a call names its loader by keyword, and only safe ones."""
    named = [word.value for word in node.keywords if word.arg == "Loader"]
    choices = [
        choice
        for value in named
        for choice in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
    ]
    return bool(choices) and {*map(ast.unparse, choices)} <= safe


def _find_in_call(node: ast.Call, loaders: set[str]) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
    for word, value in FORBIDDEN_VALUES.items():
        if word in given and given[word] is not (not value):
            yield f"{name}({word}=) that is not {not value}"
    if name == "LocalCluster" and not (
        {"host", "dashboard_address"} <= given.keys() and given["host"] == "127.0.0.1"
    ):
        yield (
            "LocalCluster whose scheduler or dashboard may listen to every network, as the"
            " dashboard does by itself"
        )
    if name == "load_model" and "safe_mode" not in given:
        yield "load_model without safe_mode=True"
    if name == "compose" and not _loads_safely(node, loaders):
        yield "yaml.compose without SafeLoader"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import a, dill.b",
        "eval('1')",
        "x = exec",
        "yaml.load(f)",
        "yaml.load(f, Loader=yaml.UnsafeLoader)",
        "class Own(yaml.Loader):\n    pass\nyaml.load(f, Loader=Own)",
        "yaml.unsafe_load(f)",
        "yaml.FullLoader",
        "from yaml import load",
        "yaml.compose(t)",
        "yaml.compose(t, Loader=yaml.Loader)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=trust)",
        "keras.saving.load_model(f)",
        "load_model(f, safe_mode=False)",
        "subprocess.run(c, shell=True)",
        "os.system(c)",
        "os.popen(c)",
        "pd.read_pickle(f)",
        "from optuna.storages import JournalStorage",
        "task(persist_result=True)",
        "serve(host='0.0.0.0')",
        "LocalCluster(host='127.0.0.1')",
        "LocalCluster(host=host, dashboard_address=None)",
        "keras.config.enable_unsafe_deserialization()",
    ],
)
def test_dangerous_line_would_be_found(text: str) -> None:
    assert list(find_dangers(text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_module_names_no_way_to_run_what_a_file_holds(path: Path) -> None:
    assert list(find_dangers(path.read_text(encoding="utf-8"))) == []


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    """A file that hostile content would make; the test fails if it is there at the end."""
    path = tmp_path / "struck"
    yield path
    assert not path.exists(), "what the file held was run"


class Hostile:
    """What makes the sentinel once it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[[str, str], Any], tuple[str, str]]:
        return open, (str(self.sentinel), "w")


def test_hostile_pickle_and_yaml_would_strike(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Hostile(tmp_path / "pickle"))).close()
    np.save(
        tmp_path / "a.npy", np.array([Hostile(tmp_path / "npy")], dtype=object), allow_pickle=True
    )
    np.load(tmp_path / "a.npy", allow_pickle=True)[0].close()
    yaml.unsafe_load(write_hostile_yaml(tmp_path / "yaml"))
    assert {path.name for path in tmp_path.iterdir()} == {"pickle", "npy", "a.npy", "yaml"}


def write_hostile_yaml(sentinel: Path) -> str:
    return f"version: !!python/object/apply:os.system ['touch {sentinel}']\nsources: {{}}\n"


def test_hostile_catalogue_is_rejected(tmp_path: Path, sentinel: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(write_hostile_yaml(sentinel))
    with pytest.raises(CatalogError, match=r"not valid YAML: could not determine a constructor"):
        read_catalog(tmp_path / "catalog.yaml")


def write_hostile_npz(path: Path, names: list[str], sentinel: Path) -> None:
    values = np.array([Hostile(sentinel)], dtype=object)
    np.savez(path, allow_pickle=True, **dict.fromkeys(names, values))


def test_hostile_kept_sums_count_as_absent(tmp_path: Path, sentinel: Path) -> None:
    # Every field that they have, so that reading would come to all of them.
    write_hostile_npz(tmp_path / "day.npz", list(_field_names(CurtainSums)), sentinel)
    assert read_sums(tmp_path / "day.npz") is None


def _field_names(kind: type, above: str = "") -> Iterator[str]:
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, type) and issubclass(hint, Sums):
            yield from _field_names(hint, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_hostile_state_of_a_training_is_rejected(tmp_path: Path, sentinel: Path) -> None:
    from blindzone.core.errors import CheckpointError
    from blindzone.models.training_state import read_state

    write_hostile_npz(tmp_path / "state.npz", ["position", "network/00000"], sentinel)
    with pytest.raises(
        CheckpointError, match=r"damaged or no state of a training: Object arrays cannot be loaded"
    ):
        read_state(tmp_path / "state.npz")


def test_hostile_plan_of_a_training_is_rejected(tmp_path: Path, sentinel: Path) -> None:
    from blindzone.core.errors import PlanError
    from blindzone.flows.experiments.training_plan import read_plan

    (tmp_path / "plan.yaml").write_text(write_hostile_yaml(sentinel))
    with pytest.raises(PlanError, match=r"not valid YAML: could not determine a constructor"):
        read_plan(tmp_path / "plan.yaml")


@pytest.fixture
def archive(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.upsert("station", DAY, {FILE: make_curtain(DAY)}, {})
    return archive


def make_version_2(store: Path, content: bytes) -> None:
    """Turns a store into one of zarr v2 whose filter unpickles."""
    shutil.rmtree(store)
    for name in ("time", "reflectivity"):
        (store / name).mkdir(parents=True)
        (store / name / ".zarray").write_text(
            json.dumps(
                {
                    "zarr_format": 2,
                    "shape": [1],
                    "chunks": [1],
                    "dtype": "|O",
                    "fill_value": None,
                    "order": "C",
                    "compressor": None,
                    "filters": [{"id": "pickle"}],
                }
            )
        )
        (store / name / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["time"]}')
        (store / name / "0").write_bytes(content)
    (store / ".zgroup").write_text('{"zarr_format": 2}')


def change_array(store: Path, content: bytes, **changes: Any) -> None:
    """Gives one array of a store other metadata, and what would be unpickled as its chunk."""
    path = store / "reflectivity" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    for chunk in (store / "reflectivity" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(content)


HOSTILE_STORES: dict[str, Callable[[Path, bytes], None]] = {
    "zarr v2 with a filter that unpickles": make_version_2,
    "codec that unpickles": lambda store, content: change_array(
        store, content, codecs=[{"name": "numcodecs.pickle"}]
    ),
    "codec by its short name": lambda store, content: change_array(
        store, content, codecs=[{"name": "pickle"}]
    ),
    "objects": lambda store, content: change_array(store, content, data_type="object"),
}


@pytest.mark.parametrize("kind", HOSTILE_STORES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_store_of_the_archive_is_rejected(
    kind: str, archive: Archive, sentinel: Path
) -> None:
    store, size = archive.store_path("station", DAY), archive.record("station", DAY).size
    HOSTILE_STORES[kind](store, pickle.dumps(Hostile(sentinel)))
    (store / "padding").write_bytes(bytes(size))  # so that it is not rejected for its size alone
    with pytest.raises(
        DamagedError, match=r"damaged, it cannot be read: .*'blindzone archive repair'"
    ):
        archive.open_day("station", DAY).load()
    assert [finding.day for finding in verify_archive(archive)] == [DAY]


def craft_checkpoint(path: Path, network: Any, extra: dict[str, bytes] | None = None) -> None:
    """Writes the package's weights with another network, and a record that fits it."""
    with zipfile.ZipFile(SHIPPED_WEIGHTS) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(members.pop(RECORD_NAME))
    members |= {"config.json": json.dumps(network).encode()} | (extra or {})
    record["members"] = {
        name: hashlib.sha256(content).hexdigest() for name, content in members.items()
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(RECORD_NAME, json.dumps(record))


def describe_lambda(sentinel: Path) -> Any:
    """A network whose one layer is code of its own, as Keras itself writes it."""
    import keras

    place = str(sentinel)  # the code is stored with what it encloses, if that is plain
    code = lambda values: (open(place, "w").close(), values)[1]  # noqa: E731, PTH123
    layer = keras.layers.Lambda(code)
    config = keras.saving.serialize_keras_object(layer)
    described = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    given = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "registered_name": None,
        "config": {"batch_shape": [None, 128, 256, 5], "dtype": "float32", "name": "input"},
    }
    return described | {"config": {"name": "hostile", "layers": [given, config]}}


def describe_call(module: str, name: str, /, **config: Any) -> Any:
    """What Keras would call with `config`, if it called whatever a file names."""
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


HOSTILE_NETWORKS: dict[str, Callable[[Path], Any]] = {
    "Lambda layer": describe_lambda,
    "os.system": lambda sentinel: describe_call("os", "system", command=f"touch {sentinel}"),
    "subprocess.Popen": lambda sentinel: describe_call(
        "subprocess", "Popen", args=["touch", str(sentinel)]
    ),
    "builtins.open": lambda sentinel: describe_call(
        "builtins", "open", file=str(sentinel), mode="w"
    ),
    "package that is not there": lambda sentinel: describe_call(
        "keras.src.utils.torch_utils", "TorchModuleWrapper", module="gASVAAAAAAAAAC4="
    ),
    "layer that is no network": lambda sentinel: describe_call("keras.layers", "Dense", units=1),
    "class of one's own": lambda sentinel: describe_call("hostile_module", "Layer"),
    "unsafe mode": lambda sentinel: describe_call("keras.config", "enable_unsafe_deserialization"),
}


def test_hostile_network_would_strike(tmp_path: Path) -> None:
    import keras

    craft_checkpoint(tmp_path / "hostile.keras", describe_lambda(tmp_path / "struck"))
    with suppress(ValueError):  # the weights are another network's
        keras.saving.load_model(tmp_path / "hostile.keras", compile=False, safe_mode=False)
    assert (tmp_path / "struck").exists()


@pytest.mark.parametrize("kind", HOSTILE_NETWORKS)
def test_hostile_checkpoint_is_rejected(kind: str, tmp_path: Path, sentinel: Path) -> None:
    from blindzone.core.errors import CheckpointError
    from blindzone.models.checkpoint import read_checkpoint

    path = tmp_path / "hostile.keras"
    craft_checkpoint(path, HOSTILE_NETWORKS[kind](sentinel))
    with pytest.raises(CheckpointError, match=rf"^{path}: the network in it cannot be rebuilt: "):
        read_checkpoint(path)
    craft_checkpoint(path, describe_lambda(sentinel))
    with pytest.raises(CheckpointError):  # unsafe mode was not switched on by the way
        read_checkpoint(path)


def test_hostile_weights_are_not_unpickled(tmp_path: Path, sentinel: Path) -> None:
    from blindzone.core.errors import CheckpointError
    from blindzone.models.checkpoint import read_checkpoint

    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, layers=np.array([Hostile(sentinel)], dtype=object))
    with zipfile.ZipFile(SHIPPED_WEIGHTS) as archive:
        network = json.loads(archive.read("config.json"))
    path = tmp_path / "hostile.keras"
    craft_checkpoint(
        path,
        network,
        {"model.weights.h5": stream.getvalue(), "model.weights.npz": stream.getvalue()},
    )
    with pytest.raises(CheckpointError, match=r"cannot be rebuilt|no checkpoint at all"):
        read_checkpoint(path)


@pytest.mark.parametrize("where", ["in place of the database", "in place of an attribute"])
def test_hostile_study_of_a_sweep_is_rejected(where: str, tmp_path: Path, sentinel: Path) -> None:
    from blindzone.flows.experiments.runs import RunError
    from blindzone.flows.sweep import open_study

    hostile = pickle.dumps(Hostile(sentinel))
    if where == "in place of the database":
        (tmp_path / "a.db").write_bytes(hostile)
    else:
        open_study(tmp_path, "a", {}, seed=0)
        with sqlite3.connect(tmp_path / "a.db") as base:
            base.execute("update study_user_attributes set value_json = ?", (hostile,))
    with pytest.raises(RunError, match=rf"^{tmp_path}/a\.db: the study cannot be opened: "):
        open_study(tmp_path, "a", {}, seed=0)


def test_ledger_names_no_store_outside_the_archive(archive: Archive, tmp_path: Path) -> None:
    record = tmp_path / "archive" / "station" / "ledger" / "20210314.json"
    shutil.copytree(archive.store_path("station", DAY), tmp_path / "elsewhere")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"store": "../../../elsewhere"}))
    with pytest.raises(
        DamagedError, match=r"its store '\.\./\.\./\.\./elsewhere' is not in the archive"
    ):
        archive.open_day("station", DAY)


@pytest.mark.skipif(not (REPOSITORY / "prefect.yaml").is_file(), reason="no deployments yet")
def test_deployments_run_the_packages_own_flows_and_nothing_else() -> None:
    content = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    steps = [content.get(name) for name in ("build", "push", "pull")]
    for deployment in content["deployments"]:
        steps += [deployment.get(name) for name in ("build", "push", "pull")]
        assert deployment["entrypoint"].startswith("blindzone.flows.")
    assert [step for step in steps if step] == []  # a step is a command of the file's own
    assert "0.0.0.0" not in (REPOSITORY / "prefect.yaml").read_text(encoding="utf-8")
