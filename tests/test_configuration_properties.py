"""Any configuration either plans or is refused in one line that names the key."""

import contextlib
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lowrankgan.errors import LowRankGANError
from tests.conftest import ROOT
from workflow.configuration import load_configuration
from workflow.overrides import encoded, overrides_of
from workflow.plan import unroll

_EXAMPLES = 250  # of each kind, so that 500 configurations are tried

_positive = st.floats(1e-4, 1e3)
_changes = st.floats(1e-4, 0.99)
_seeds = st.lists(st.integers(0, 900), min_size=1, max_size=4, unique=True)
_methods = sorted(
    path.stem for path in (ROOT / "conf/subspace").glob("*.yaml") if "authors" not in path.stem
)
_VALID: dict[str, st.SearchStrategy[object]] = {
    "sample.psi": st.floats(0, 2),
    "+sample.cutoff": st.integers(0, 23),
    "sample.analysis_seeds": _seeds,
    "sample.first_test_seed": st.integers(1000, 10**6),
    "sample.test_faces": st.integers(1, 2000),
    "jacobian.resolution": st.integers(16, 512),
    "jacobian.chunk": st.none() | st.integers(1, 64),
    "jacobian.save": st.booleans(),
    "jacobian.pixels": st.sampled_from(["averaged", "published"]),
    "jacobian.tangents": st.sampled_from(["fast", "exact"]),
    "factorization.lambda": st.lists(st.floats(1e-3, 1), min_size=1, max_size=3),
    "factorization.energy": st.lists(st.floats(0.01, 0.99), min_size=1, max_size=3),
    "factorization.rank": st.lists(st.integers(1, 511), max_size=3),
    "edit.layers": st.just("all") | st.lists(st.integers(0, 22), min_size=1, max_size=5),
    "edit.resolution": st.integers(32, 1024),
    "edit.directions": st.integers(1, 20),
    "edit.targets.mse": _changes
    | st.lists(_changes, max_size=3, min_size=1, unique_by="{:g}".format),
    "edit.max_step": _positive,
    "metric.vgg": st.booleans(),
    "metric.level": st.floats(0.01, 0.99),
    "figure.faces": st.integers(1, 30),
    "region": st.lists(
        st.sampled_from(["eyes", "mouth", "nose", "chin", "mouth_landmarks", "left_half"]),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    "subspace": st.lists(st.sampled_from(_methods), max_size=6, unique=True).map(
        lambda names: [*{"unprojected", "projected", "constrained"} - set(names), *names]
    ),
    "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True).map("'{}'".format),
}
_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)
_hostile = st.sampled_from(
    ["../x", "a b", "$(touch owned)", "`id`", ";ls", "a'b", 'a"b', "-rf", "ü"]
)
_not_a_number = st.sampled_from(["wide", "nan", "-1", "{}", "[a]", "1e999", "-inf"])
_INVALID: dict[str, st.SearchStrategy[object]] = {
    "sample.psi": _not_a_number | st.floats(2.001, 1e6),
    "sample.analysis_seeds": st.sampled_from(["[]", "[1,1]", "[-1]", "[a]", "7.5", "[4294967296]"]),
    "sample.test_faces": _not_a_number | st.integers(max_value=0),
    "jacobian.resolution": _not_a_number | st.integers(1025, 10**6),
    "jacobian.memory_gb": st.sampled_from(["0", "1e-9", "-4", "nan"]),
    "jacobian.pixels": st.sampled_from(["all", "0", "[averaged]"]),
    "jacobian.tangents": st.sampled_from(["bfloat16", "null", "[fast]"]),
    "factorization.lambda": st.sampled_from(["[0]", "[2]", "[nan]", "[scale]", "[]"]),
    "factorization.rank": st.sampled_from(["[0]", "[512]", "[-3]", "[1.5]"]),
    "edit.layers": st.sampled_from(["[23]", "[-1]", "[]", "some", "[0.5]"]),
    "edit.targets.mse": st.sampled_from(
        ["0", "-1", "[]", "[0.1,0]", "[0.1,0.1]", "1", "nan", "inf"]
    ),
    "edit.tolerance": st.sampled_from(["0", "1", "nan", "x"]),
    "figure.method": _hostile.map(lambda text: "'" + text.replace("'", r"\'") + "'"),
    "metric.baseline": st.sampled_from(["best", "''", "7"]),
    "name": _hostile.map(lambda text: "'" + text.replace("'", r"\'") + "'"),
    "region": st.sampled_from(["[]", "[lips]", "[../eyes]"]),
    "subspace": st.sampled_from(["[]", "[best]", "[../x]"]),
    "+subspace.constrained.images": st.sampled_from(["3", "0", "-1", "x"]),
    "+colour": st.sampled_from(["red"]),
    "+sample.seed": st.sampled_from(["3"]),
}


def _override(key: str, value: object) -> str:
    text = str(value).replace(" ", "") if isinstance(value, list) else str(value)
    text = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    return f"{key}={text.replace(chr(39), '')}" if isinstance(value, list) else f"{key}={text}"


@settings(max_examples=_EXAMPLES, deadline=None)
@given(
    st.sets(st.sampled_from(sorted(_VALID)), max_size=6).flatmap(
        lambda keys: st.fixed_dictionaries({key: _VALID[key] for key in sorted(keys)})
    )
)
def test_what_fits_plans(chosen: Mapping[str, object]) -> None:
    overrides = [_override(key, value) for key, value in chosen.items()]
    plan = unroll(load_configuration(overrides))
    for step in plan.steps.values():
        assert re.fullmatch(r"results/[a-z_]+/[0-9a-f]{12}", step.folder)


@settings(max_examples=_EXAMPLES, deadline=None)
@given(
    st.sampled_from(sorted(_INVALID)).flatmap(lambda key: st.tuples(st.just(key), _INVALID[key]))
)
def test_what_does_not_fit_is_one_line_that_names_the_key(pair: tuple[str, object]) -> None:
    key, value = pair
    # A folder of its own, for other tests write into the current one at the same time.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            unroll(load_configuration([_override(key, value)]))
        except LowRankGANError as error:
            line = str(error)
        else:
            raise AssertionError(f"{key}={value} was accepted")
        assert not list(Path().iterdir())
    assert "\n" not in line
    last = key.lstrip("+").split(".")[-1]
    named = {"lambda": "lambda|pursuit", "baseline": "baseline|method"}.get(last, last)
    assert re.search(named, line), line


@settings(max_examples=100, deadline=None)
@given(st.lists(_text, max_size=4))
def test_overrides_of_any_text_come_through_a_shell(words: list[str]) -> None:
    text = shlex.join(words)
    assert re.fullmatch(r"[A-Za-z0-9 =\[\],.+~/_%-]*", encoded(text))
    assert overrides_of({"set": encoded(text)}) == words
    with contextlib.suppress(LowRankGANError):
        load_configuration(words)
