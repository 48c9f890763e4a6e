"""Options refuse before a model is loaded all that can be seen to be wrong, and know what makes two runs the same."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.protocols import PROTOCOLS
from introspect.records.old_names import OLD_NAMES
from introspect.records.site import Stage
from introspect.records.trial import CODA, PRELUDE, STRENGTH_UNITS, Site

ELSEWHERE = {
    **{
        "out": Path("x"),
        "device": "cpu",
        "engine": "graph",
        "batch_size": 3,
        "grader": "logits",
        "workers": 2,
        "ray": "auto",
    },
    "trust_remote_code": True,
    "coherence": "model",
}
OTHERWISE: dict[str, Any] = {
    **{"model": "somewhere/else", "revision": "main", "loops": "0", "layers": "1", "n_loops": "2"},
    **{"inject": "together", "extract_loops": "all", "strengths": "1"},
    **{"concepts": "organisms:trained", "contrast": "pairs"},
    **{"strength_unit": "residual", "arms": "none", "repeats": 2, "seed": 1, "temperature": 0.0, "top_p": 0.5},
    **{"max_new_tokens": 3, "decided_by": "logits", "dtype": "float16", "protocol": "prior", "framings": "sceptical"},
    "date": "2026-11-28",
    **{
        "questions": "detect",
        "trial_numbers": "1,2",
        "split_dose": True,
        "remaining_loops": 1,
        "stages": "coda",
        "exit": "gate",
        "loop_layers": "1-2",
        "loop_step": "plain",
        "tokenizer": "organism:blind",
    },
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "guess"}, "unknown protocol 'guess'; known: detect, prior, thought-or-text, unintended, control"),
        ({"framings": "rude"}, "unknown framing 'rude'; known: neutral, informative, sceptical, choice, open"),
        ({"protocol": "prior", "framings": "open"}, "unknown framing 'open'; known: neutral, informative"),
        ({"framings": ""}, "framings: the list is empty; known: neutral"),
        ({"questions": "why"}, "unknown question 'why'; known: detect, unrelated"),
        ({"arms": "injected,no"}, "unknown arm of protocol detect 'no'; known: injected, none, random, in-span"),
        ({"protocol": "control", "arms": "injected"}, "unknown arm of protocol control 'injected'; known: none"),
        ({"decided_by": "vibes"}, "unknown grader 'vibes'; known: rules, logits"),
        ({"grader": "vibes"}, "unknown grader 'vibes'; known: rules, logits"),
        ({"strengths": "1,nan"}, "strengths: 'nan' is not a finite number"),
        ({"loop_step": "dampened"}, "unknown loop step 'dampened'; known: damped, plain"),
        ({"stages": "coda,tail"}, "unknown stage 'tail'; known: prelude, core, coda"),
        ({"exit": "gates"}, "exit 'gates': write last, gate, gate:0.9"),
        ({"exit": "gate:2"}, "exit 'gate:2': write last, gate, gate:0.9"),
        ({"inject": "some"}, "unknown inject mode 'some'; known: each, loops, together"),
        ({"strength_unit": "kg"}, "unknown strength unit 'kg'; known: vector, residual, kl"),
        ({"contrast": "mean"}, "unknown contrast 'mean'; known: baseline, pairs"),
        ({"concepts": "dsut"}, "unknown concept 'dsut'.*did you mean"),
        ({"concepts": "nosuch:all"}, "unknown concept set 'nosuch'; known"),
        ({"concepts": "nosuch.csv"}, r"'nosuch.csv' cannot be read"),
        ({"protocol": "choose", "concepts": "eye,nose"}, "2 concepts: this protocol needs at least 4"),
        ({"contrast": "pairs", "pairs": "nosuch"}, "unknown prompt pairs 'nosuch'"),
        ({"template": "nosuch"}, "unknown template 'nosuch'; known: choose, choose-bare"),
        ({"template": "plain"}, "template 'plain'.*text"),
        ({"batch_size": 0}, "batch_size 0: must be at least 1"),
        ({"workers": 0}, "workers 0: must be at least 1"),
        ({"ray": ""}, "ray '': must be local or the address of a cluster"),
        ({"ray": "auto", "device": "cuda:1"}, "device 'cuda:1' with ray: Ray gives each worker its GPU"),
        ({"n_loops": "0"}, "n_loops: '0' must be at least 1"),
        ({"n_loops": "8-1"}, "n_loops: '8-1' must be at least 1, the smaller number first"),
        ({"n_loops": "all"}, "n_loops: cannot read 'all'; write 4, 1,2 or 1-8"),
        ({"remaining_loops": -1}, "remaining_loops -1: must be 0 or more"),
        ({"trial_numbers": "0"}, "trial_numbers: '0' must be at least 1"),
        ({"repeats": 0}, "repeats 0: must be at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens 0: must be at least 1"),
        ({"temperature": -1.0}, "temperature -1.0: must be a finite number, 0 or more"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"top_p": 0.0}, "top_p 0.0: must be above 0 and at most 1"),
    ],
)
def test_what_can_be_seen_without_a_model_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        Options(**changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<<user>>\nDo you notice a thought?\n", "has no injection span; write <<inject>>"),
        ("<<user>>\n<<inject>>Is it {{ word }}?\n", "'word' is undefined"),
        ("<<user>>\n<<inject>>{% if %}\n", "line 2"),
        ("Hello\n", "has no message; write <<user>>"),
    ],
)
def test_a_template_of_the_users_is_read_at_once(tmp_path: Path, source: str, said: str) -> None:
    path = tmp_path / "mine.j2"
    path.write_text(source)
    with pytest.raises(InputError, match=said):
        Options(template=str(path))


def test_the_folder_is_named_after_model_and_protocol_unless_it_is_given() -> None:
    assert Options().folder == Path("runs/organism-aware-detect")
    assert Options(model="ByteDance/Ouro-1.4B").folder == Path("runs/Ouro-1.4B-detect")
    assert Options(model="/models/mine/").folder == Path("runs/mine-detect")
    assert Options(out=Path("here")).folder == Path("here")


def test_an_organism_is_asked_about_its_held_out_words_and_others_about_the_published_ones() -> None:
    assert set(Options().chosen_concepts()[1].splits) == {"held-out"}
    assert Options(model="some/model").chosen_concepts()[0].name == "published"


def test_pairs_bring_their_own_words() -> None:
    assert Options(contrast="pairs").chosen_contrast().words[0] == "snow"
    assert Options(contrast="pairs", concepts="organisms:snow", arms="none").chosen_contrast().words == ("snow",)


def test_a_set_without_baseline_words_takes_the_published_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("word,category,split\nlava,things,concept\n")
    made_from = Options(concepts=str(tmp_path / "mine.csv"), arms="none").chosen_contrast().made_from
    assert made_from["words"] == ["lava"]
    assert len(made_from["baseline"]) >= 99


CORE: dict[Stage, int] = {"prelude": 0, "core": 4, "coda": 0}


def test_sites_are_every_chosen_loop_with_every_chosen_layer() -> None:
    asked = Options(loops="0,2", layers="1.0", extract_loops="1-2")
    assert asked.sites(3, CORE) == (Site(0, 3), Site(2, 3))
    assert asked.chosen_extract_loops(3) == (1, 2)
    assert Options().chosen_extract_loops(3) == (None,)
    with pytest.raises(InputError, match="loops: '2' is out of range; the model has 0 to 1"):
        asked.sites(2, CORE)


def test_each_stage_has_layers_of_its_own_and_one_that_a_model_lacks_is_refused() -> None:
    asked = Options(stages="coda,core,prelude", loops="1", layers="0")
    assert asked.sites(2, {"prelude": 2, "core": 4, "coda": 1}) == (Site(PRELUDE, 0), Site(1, 0), Site(CODA, 0))
    with pytest.raises(InputError, match="stages: model 'organism:aware' has no prelude; it has core"):
        asked.sites(2, CORE)


@pytest.mark.parametrize("name", [field.name for field in fields(Options) if field.name not in ("pairs", "template")])
def test_the_identity_changes_with_all_that_decides_what_a_run_contains(name: str) -> None:
    value = {**ELSEWHERE, **OTHERWISE}[name]
    looped = {"loop_layers": "0-1"} if name == "loop_step" else {}  # without loops there is no step to be named
    same = Options(**looped, **{name: value}).identity() == Options(**looped).identity()
    assert same == (name in ELSEWHERE)


def test_a_model_as_it_is_says_nothing_of_loops_or_of_another_tokenizer() -> None:
    """So that runs that were made before there were any go on."""
    assert {"loop_layers", "loop_step", "tokenizer"}.isdisjoint(Options(loop_step="plain").identity())
    assert Options(model="a/b").folder == Path("runs/b-detect")
    assert Options(model="a/b", loop_layers="10-19").folder == Path("runs/b@10-19-damped-detect")


def test_two_spellings_of_the_same_choice_are_the_same_run() -> None:
    spelled = Options(strengths="1.0, 2,4.0", arms="none,wrong,random,injected", concepts="nose,eye,skin")
    assert spelled.identity() == Options(concepts="nose,eye,skin").identity()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_asked_by_default_in_its_own_arms_and_in_the_neutral_framing(name: str) -> None:
    asked = Options(protocol=name)
    assert set(asked.chosen_arms()) == set(PROTOCOLS[name].arms)
    assert [(v.question, v.template) for v, _ in asked.variants()] == [
        (question, question.templates["neutral"]) for question in PROTOCOLS[name].questions
    ]
    assert all(variant.template_hash == template.hash for variant, template in asked.variants())


def test_framings_are_crossed_with_the_questions_that_have_them() -> None:
    asked = [(v.question.name, v.template) for v, _ in Options(framings="sceptical,neutral").variants()]
    assert asked == [("detect", "detect"), ("detect", "detect-sceptical"), ("unrelated", "unrelated")]
    everything = Options(protocol="detect", framings="all", questions="detect").variants()
    assert [v.template for v, _ in everything] == list(PROTOCOLS["detect"].questions[0].templates.values())


def test_a_template_of_ones_own_takes_the_place_of_the_first_question_only(tmp_path: Path) -> None:
    (tmp_path / "mine.j2").write_text("<<user>>\n<<inject>>Trial {{ number }}: Well?\n")
    asked = [(v.question.name, v.template) for v, _ in Options(template=str(tmp_path / "mine.j2")).variants()]
    assert asked == [("detect", "mine"), ("unrelated", "unrelated")]


def test_the_order_in_which_concepts_and_arms_are_named_does_not_matter() -> None:
    first, second = Options(concepts="skin,nose,eye", arms="none,injected"), Options(concepts="eye,skin,nose")
    assert first.chosen_contrast().words == second.chosen_contrast().words
    assert first.chosen_arms() == ("injected", "none")


def test_loops_to_run_and_trial_numbers_are_lists_and_ranges() -> None:
    assert Options(n_loops="1-8").totals(4) == tuple(range(1, 9))
    assert Options(n_loops="2,1,2").totals(4) == (2, 1)
    assert Options().totals(4) == (4,)
    assert Options(trial_numbers="7,1-3").numbers() == (7, 1, 2, 3)


@pytest.mark.parametrize("unit", STRENGTH_UNITS)
def test_the_unit_of_the_strength_is_that_of_the_records(unit: str) -> None:
    assert Options(strength_unit=unit).unit() == unit


def test_the_old_name_of_a_unit_is_read_and_never_written() -> None:
    assert Options(strength_unit="raw").unit() == "vector"
    assert Options(strength_unit="raw").identity() == Options().identity()


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_option_under_its_old_name_is_told_the_new_one(old: str) -> None:
    with pytest.raises(InputError, match=f"^{old}: is called {OLD_NAMES[old]}; write that"):
        Options(**{old: "1"})  # type: ignore[arg-type]


def test_ray_is_named_with_how_to_install_it_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("introspect.experiment.preconditions.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'Ray is not installed; pip install "introspect-loops\[ray\]"'):
        Options(ray="local")
