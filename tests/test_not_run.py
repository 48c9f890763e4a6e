"""Looped models that are known by name and not run: refused in one line, before anything of them is loaded."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from introspect.cli import app
from introspect.errors import InputError
from introspect.families.registry import FAMILIES, NOT_RUN, family_of

MADE_OF = {
    "looplm": {"model_type": "looplm", "n_prelude": 4, "n_coda": 2, "mu_rec": 6, "use_a_matrix": False},
    "ponderlm2_llama": {"model_type": "llama", "num_latent_thoughts": 1, "hidden_size": 8},
}
OWN_CODE = {"auto_map": {"AutoModelForCausalLM": "modeling.Model"}}


def test_each_is_named_by_a_config_that_the_tests_have() -> None:
    assert set(MADE_OF) == set(NOT_RUN)
    assert not set(NOT_RUN) & set(FAMILIES)


@pytest.mark.parametrize("kind", MADE_OF)
@pytest.mark.parametrize("trusting", [False, True])
def test_it_is_refused_by_name_also_with_code_of_its_own(kind: str, trusting: bool) -> None:
    with pytest.raises(InputError) as refused:
        family_of(MADE_OF[kind] | OWN_CODE, name="x", trust_remote_code=trusting)
    assert str(refused.value) == f"model 'x' is {NOT_RUN[kind]}"
    assert "\n" not in str(refused.value)


def test_the_name_of_the_type_does_not_matter_where_the_fields_tell(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MADE_OF["looplm"] | {"model_type": "another"}))
    ran = CliRunner().invoke(app, ["sweep", str(tmp_path), "--out", str(tmp_path / "run")])
    assert (ran.exit_code, ran.stderr.count("\n")) == (2, 1)
    assert "LoopLM-135M" in ran.stderr
    assert not (tmp_path / "run").exists()
