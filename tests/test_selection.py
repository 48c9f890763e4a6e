"""The grammar of --loops, --layers and --strengths means what its help says, and everything else is refused by name."""

import pytest

from introspect.errors import InputError
from introspect.selection import counts, names, numbers, one_of, select


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("all", [0, 1, 2, 3, 4]),
        ("2", [2]),
        ("3,0,3", [0, 3]),
        ("1-3", [1, 2, 3]),
        ("4-4", [4]),
        ("0.0", [0]),
        ("1.0", [4]),
        ("0.5", [2]),
        (".75", [3]),
        (" 0 , 2-3 , 1.0 ", [0, 2, 3, 4]),
        ("all,2", [0, 1, 2, 3, 4]),
    ],
)
def test_a_selection_reads_as_documented(text: str, chosen: list[int]) -> None:
    assert select(text, 5, option="loops") == chosen


@pytest.mark.parametrize(
    "text", ["", ",", "x", "-1", "1-", "-", "1-2-3", "3-1", "5", "4-5", "1e3", "1.5", "-0.5", "nan", "²"]
)
def test_what_cannot_be_a_selection_is_refused_with_the_option_and_the_value(text: str) -> None:
    with pytest.raises(InputError, match=r"^loops: ") as refusal:
        select(text, 5, option="loops")
    assert text.split(",")[0] in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("depth", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_depth_is_the_nearest_layer_of_any_model(depth: float) -> None:
    for count in (1, 2, 7, 48):
        (layer,) = select(str(depth), count, option="layers")
        assert abs(layer - depth * (count - 1)) <= 0.5


def test_an_index_that_is_out_of_range_says_what_there_is() -> None:
    with pytest.raises(InputError, match="loops: '7' is out of range; the model has 0 to 3"):
        select("7", 4, option="loops")


def test_numbers_keep_their_order_and_lose_repetitions() -> None:
    assert numbers("4, 0.5,4.0,-1", option="strengths") == [4.0, 0.5, -1.0]


@pytest.mark.parametrize("text", ["nan", "inf", "1,-inf", "1e999", "one", "", "1,,2", "1;2"])
def test_strengths_that_are_no_finite_numbers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^strengths: .* is not a"):
        numbers(text, option="strengths")


@pytest.mark.parametrize(
    ("text", "read"), [("4", [4]), ("1-8", [1, 2, 3, 4, 5, 6, 7, 8]), (" 2, 1-3 ,2", [2, 1, 3]), ("3-3", [3])]
)
def test_counts_are_numbers_from_1_on_and_ranges_with_both_ends(text: str, read: list[int]) -> None:
    assert counts(text, option="n_loops") == read


@pytest.mark.parametrize("text", ["", "0", "-1", "3-1", "0-2", "1.5", "all", "1,,2", "1-2-3", "²"])
def test_what_cannot_be_counts_is_refused_with_the_option_and_what_would_be_right(text: str) -> None:
    with pytest.raises(InputError, match=r"^n_loops: .*(write 4, 1,2 or 1-8|must be at least 1)"):
        counts(text, option="n_loops")


def test_names_keep_their_order_and_lose_repetitions() -> None:
    assert names("b, a,b", ("a", "b"), option="arms", kind="arm") == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "said"), [("a,c", "unknown arm 'c'; known: a, b"), ("", "arms: the list is empty; known: a, b")]
)
def test_a_name_that_is_not_known_is_refused_with_those_that_are(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        names(text, ("a", "b"), option="arms", kind="arm")
    with pytest.raises(InputError, match="unknown mode 'c'; known: a, b"):
        one_of("c", ("a", "b"), kind="mode")
