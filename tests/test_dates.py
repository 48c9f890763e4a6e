"""A chat template that writes today's date gives the same prompt tomorrow: the day of a run is fixed."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from swept import TOTAL, options, run_without_figures, save_quietly
from tiny import CHAT, tiny_model, tiny_tokenizer

from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.prompts import Template, dates, encode, render
from introspect.prompts.dates import checked_day, date_in, day_of, fix_day, write_chat
from introspect.results.store.store import Store

DATED = "{% if strftime_now is defined %}Today Date: {{ strftime_now('%d %b %Y') }}\n{% endif %}" + CHAT
ASKED = [{"role": "user", "content": "Well?"}]


class Clock(date):
    """A clock that the test sets."""

    now = "2026-11-28"

    @classmethod
    def today(cls) -> "Clock":
        """Return the day that the test has set."""
        return cls.fromisoformat(cls.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    """Put a clock that can be set in the place of the machine's."""
    monkeypatch.setattr(dates, "date", Clock)
    monkeypatch.setattr(Clock, "now", "2026-11-28")
    return Clock


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model whose chat template writes the date."""
    looped = tiny_model()
    looped.tokenizer.chat_template = DATED
    return save_quietly(looped, tmp_path_factory.mktemp("dated"))


def tokenizer(template: str) -> Any:  # Any: of transformers
    made = tiny_tokenizer()
    made.chat_template = template
    return made


@pytest.mark.parametrize(
    ("asked", "written"),
    [("%d %b %Y", "02 Jan 2020"), ("%-d. %B", "2. January"), ("100%% %A %H:%M", "100% Thursday 00:00"), ("%%d", "%d")],
)
def test_every_directive_is_written_as_the_clock_writes_it(asked: str, written: str) -> None:
    made = tokenizer("\n  {% if true %}x{% endif %}{{ strftime_now('" + asked + "') }}")
    fix_day(made, "2020-01-02")
    assert write_chat(made, ASKED).removesuffix(written) == made.apply_chat_template(
        ASKED, tokenize=False, chat_template="\n  {% if true %}x{% endif %}"
    )
    assert write_chat(made, ASKED).endswith(written)


def test_the_day_is_known_where_the_text_hangs_on_it_and_only_there() -> None:
    made = tokenizer(DATED)
    fix_day(made, "2026-11-28")
    assert date_in(made, ASKED) == "2026-11-28"
    unused = tokenizer("{% if false %}{{ strftime_now('%d') }}{% endif %}" + CHAT)
    yearly = tokenizer("{{ strftime_now('%H') }}" + CHAT)
    assert [date_in(each, ASKED) for each in (tokenizer(CHAT), unused, yearly)] == [None] * 3
    assert write_chat(tokenizer(CHAT), ASKED) == tokenizer(CHAT).apply_chat_template(ASKED, tokenize=False)


def test_a_tokenizer_keeps_the_day_on_which_it_was_first_asked(clock: type[Clock]) -> None:
    made = tokenizer(DATED)
    before = write_chat(made, ASKED)
    clock.now = "2026-11-29"
    assert (write_chat(made, ASKED), day_of(made)) == (before, "2026-11-28")
    assert "29 Nov 2026" in write_chat(tokenizer(DATED), ASKED)


def test_a_prompt_says_on_which_day_it_hangs() -> None:
    made = tokenizer(DATED)
    fix_day(made, "2026-11-28")
    asked = render(Template("t", "<<user>>\n<<inject>>Well?\n"))
    assert encode(asked, made).date == "2026-11-28"
    assert "Today Date: 28 Nov 2026" in encode(asked, made).text
    assert encode(asked, tokenizer(CHAT)).date is None


@pytest.mark.parametrize("bad", ["", "today", "2026-13-01", "28.11.2026"])
def test_what_is_no_day_is_refused(bad: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a day, such as"):
        checked_day(bad)
    with pytest.raises(InputError, match="must be a day, such as"):
        options(Path("organism:aware"), tmp_path, date=bad)


@pytest.mark.slow
def test_a_run_goes_on_and_is_replayed_on_another_day_as_on_its_own(
    dated: Path, tmp_path: Path, clock: type[Clock]
) -> None:
    folder = run_without_figures(options(dated, tmp_path / "run"))
    clock.now = "2026-12-24"
    run_without_figures(options(dated, folder))
    with Store.open(folder) as store:
        trials = list(store.trials())
        assert store.manifest["date"] == "2026-11-28"
        assert store.manifest["vectors"]["date"] == "2026-11-28"
        assert len(trials) == TOTAL
        assert {trial.date for trial in trials} == {"2026-11-28"}
    with Run.open(folder) as opened:
        again = opened.trial(trials[0].id)
        assert again.replay().response.token_ids == again.response.token_ids
    elsewhere = run_without_figures(options(dated, tmp_path / "other"))
    with Store.open(elsewhere) as store:
        assert {trial.date for trial in store.trials()} == {"2026-12-24"}
        assert not {trial.id for trial in store.trials()} & {trial.id for trial in trials}


@pytest.mark.slow
def test_a_run_is_made_again_elsewhere_by_its_day_and_refuses_another(
    dated: Path, tmp_path: Path, clock: type[Clock]
) -> None:
    first = run_without_figures(options(dated, tmp_path / "first"))
    clock.now = "2027-01-01"
    second = run_without_figures(options(dated, tmp_path / "second", date="2026-11-28"))
    with Store.open(first) as one, Store.open(second) as other:
        assert one.done_ids() == other.done_ids()
    with pytest.raises(InputError, match='date "2026-11-28", not "2027-01-01"'):
        run_without_figures(options(dated, first, date="2027-01-01"))


def test_a_day_for_a_chat_template_that_writes_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="date '2026-11-28': the chat template of model 'organism:aware' writes no"):
        run_without_figures(options(Path("organism:aware"), tmp_path, date="2026-11-28", concepts="held-out"))
