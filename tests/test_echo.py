"""The longest run of words that an answer shares with its prompt, however it is spelled."""

from hypothesis import given
from hypothesis import strategies as some

from introspect.prompts.echo import shared_run, words

PROMPT = "I will say whether I notice an injected thought and name it if I do."
WORDS = some.lists(some.sampled_from("abc"), max_size=12)


def test_a_run_is_counted_whatever_its_case_and_punctuation() -> None:
    assert shared_run("Well: “I WILL say, whether I notice” it", PROMPT) == 6
    assert shared_run("whether I noticed", PROMPT) == 2
    assert shared_run("No.", PROMPT) == 0
    assert shared_run("", PROMPT) == shared_run("...", PROMPT) == 0


def test_one_word_is_one_however_its_letters_are_composed() -> None:
    assert words("Café, DON\u2019T") == words("cafe\u0301 don't") == ["café", "don't"]
    assert shared_run("cafe\u0301", "the café.") == 1


@given(WORDS, WORDS)
def test_it_is_the_longest_of_all_runs(said: list[str], asked: list[str]) -> None:
    runs = [said[i:j] for i in range(len(said)) for j in range(i, len(said) + 1)]
    shared = [run for run in runs if any(asked[k : k + len(run)] == run for k in range(len(asked) + 1))]
    assert shared_run(" ".join(said), " ".join(asked)) == max(map(len, shared), default=0)
