"""Concept sets and prompt pairs are read from CSV files, and what is wrong with one is said with its line."""

from pathlib import Path

import pytest

from introspect.concepts.contrast_prompts import baseline_contrast, pair_contrast
from introspect.concepts.pairs import load_pairs
from introspect.concepts.sets import SHIPPED_SETS, ConceptSet, choose, load_concepts, read_choice
from introspect.errors import InputError
from introspect.prompts import Template

HEAD = "word,category,split\n"


def written(folder: Path, text: str, name: str = "mine.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def a_set(**splits: str) -> ConceptSet:
    return ConceptSet("mine", tuple(splits), ("thing",) * len(splits), tuple(splits.values()))


def test_the_published_set_has_50_concepts_and_99_baseline_words() -> None:
    published = load_concepts("published")
    assert len(published.in_splits("concept").words) == 50
    assert len(published.baseline.words) == 99
    assert published.baseline.words.count("Butterflies") == 1


@pytest.mark.parametrize("name", SHIPPED_SETS)
def test_every_shipped_set_loads_and_has_a_category_for_each_word(name: str) -> None:
    concepts = load_concepts(name)
    assert len(concepts.words) >= 149
    assert all(concepts.categories)


def test_words_come_in_the_order_of_the_file_whatever_its_columns_and_blanks(tmp_path: Path) -> None:
    text = '\ufeffsplit,note,word,category\n\nconcept,"a, b", dust ,stuff\nbaseline,,the sea,place\n'
    concepts = load_concepts(written(tmp_path, text))
    assert concepts == ConceptSet("mine", ("dust", "the sea"), ("stuff", "place"), ("concept", "baseline"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"mine.csv has no rows; it needs a header word,category,split"),
        (HEAD, r"mine.csv has no rows"),
        ("word,split\ndust,concept\n", r"mine.csv, line 1: no column 'category' in 'word,split'"),
        (HEAD + "dust,stuff,concept\n,stuff,concept\n", r"line 3: empty word"),
        (HEAD + "dust,,concept\n", r"line 2: empty category"),
        (
            HEAD + "dust,stuff,concept\n\nsnow,stuff,concept\nDust,stuff,baseline\n",
            r"line 5: word 'Dust' stands in line 2",
        ),
        (HEAD + "dust,stuff,test\n", r"line 2: unknown split 'test'; known: concept, trained, held-out, baseline"),
        (HEAD + "dust,stuff\n", r"line 2: 2 fields instead of 3 \(word,category,split\)"),
        (HEAD + "dust,stuff,concept,\n", r"line 2: 4 fields instead of 3"),
        (HEAD + 'dust,"stuff"s,concept\n', r"mine.csv, line 2: "),
        (HEAD + 'dust,"stuff,concept\n', r"mine.csv, line 2: unexpected end of data"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        load_concepts(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_not_text_and_an_unknown_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"concept set '.*gone.csv' cannot be read: No such file"):
        load_concepts(tmp_path / "gone.csv")
    (tmp_path / "bad.csv").write_bytes(HEAD.encode() + b"\xff,a,concept\n")
    with pytest.raises(InputError, match=r"bad.csv is not UTF-8 text \(byte 20\)"):
        load_concepts(tmp_path / "bad.csv")
    with pytest.raises(InputError, match="unknown concept set 'publishd'; known: organisms, published"):
        load_concepts("publishd")


def test_all_is_every_word_outside_the_baseline_and_items_add_up_in_the_order_of_the_set() -> None:
    concepts = a_set(cat="trained", dog="baseline", cow="held-out", hen="trained", emu="held-out")
    assert choose(concepts, "all").words == ("cat", "cow", "hen", "emu")
    assert choose(concepts, "held-out, CAT").words == ("cat", "cow", "emu")
    assert choose(concepts, "emu,cat,emu").words == ("cat", "emu")
    assert choose(concepts, "baseline").words == ("dog",)
    assert choose(concepts, "emu").splits == ("held-out",)


def test_an_unknown_concept_is_refused_with_its_neighbours() -> None:
    with pytest.raises(InputError, match="unknown concept 'Oceens' in set 'published'; did you mean Oceans"):
        choose(load_concepts("published"), "Dust,Oceens")
    with pytest.raises(InputError, match="it has 2 words, such as cat, dog"):
        choose(a_set(cat="concept", dog="concept"), "xyzzy")
    with pytest.raises(InputError, match="unknown concept ''"):
        choose(a_set(cat="concept"), "cat,")


@pytest.mark.parametrize(("at", "elsewhere"), [("organisms", "published"), ("published", "organisms")])
def test_a_word_of_another_shipped_set_is_told_where_it_is(at: str, elsewhere: str) -> None:
    word = next(word for word in load_concepts(elsewhere).words if word.casefold() not in load_concepts(at).words)
    with pytest.raises(InputError, match=rf"in set '{at}'; it is a word of the set {elsewhere}: write {elsewhere}:"):
        read_choice(word, default=at)
    assert word in read_choice(f"{elsewhere}:{word}", default=at)[1].words


def test_a_split_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="concepts 'held-out': set 'mine' has no such words; its splits: concept"):
        choose(a_set(cat="concept"), "held-out")
    with pytest.raises(InputError, match="concepts 'all': set 'mine' has no such words; its splits: baseline"):
        choose(a_set(cat="baseline"), "all")


def test_a_choice_names_its_set_or_falls_to_the_default_one(tmp_path: Path) -> None:
    mine = written(tmp_path, HEAD + "dust,stuff,concept\nsnow,stuff,baseline\n")
    assert read_choice("published", default="organisms")[1].words[:2] == ("Dust", "Satellites")
    assert read_choice("published:snow,dust", default="organisms")[1].words == ("Dust", "Snow")
    assert read_choice("held-out", default="organisms")[1].splits[0] == "held-out"
    whole, chosen = read_choice(str(mine), default="organisms")
    assert (whole.words, chosen.words) == (("dust", "snow"), ("dust",))
    assert read_choice(f"{mine}:baseline", default="organisms")[1].words == ("snow",)


def test_a_concept_is_left_out_of_its_own_baseline_whatever_its_case() -> None:
    contrast = baseline_contrast(["Dust", "snow"], ["SNOW", "Sea", "Fog"], Template("t", "<<user>>\n{{ word }}"))
    contents = [prompt.messages[0]["content"] for prompt in contrast.prompts]
    assert contents == ["dust", "snow", "sea", "fog"]
    assert contrast.positive == ((0,), (1,))
    assert contrast.negative == ((1, 2, 3), (2, 3))


def test_a_concept_without_a_baseline_or_no_concept_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="concept 'dust' has no other word as its baseline"):
        baseline_contrast(["dust"], ["Dust"])
    with pytest.raises(InputError, match="no concept words were given"):
        baseline_contrast([], ["dust"])


def test_the_shipped_pairs_have_at_least_three_for_each_concept_and_differ_only_in_what_they_say() -> None:
    pairs = load_pairs("pairs")
    assert len(pairs.words) >= 6
    for word in pairs.words:
        assert len(pairs.of(word)) >= 3
        assert all(word in pair.positive.lower() and word not in pair.negative.lower() for pair in pairs.of(word))


def test_malformed_pairs_are_refused_with_their_line(tmp_path: Path) -> None:
    head = "concept,positive,negative\n"
    with pytest.raises(InputError, match=r"mine.csv, line 2: empty negative"):
        load_pairs(written(tmp_path, head + "dust,a,\n"))
    with pytest.raises(InputError, match=r"mine.csv, line 3: positive and negative prompt are the same"):
        load_pairs(written(tmp_path, head + "dust,a,b\ndust,a,a\n"))
    with pytest.raises(InputError, match=r"4 fields instead of 3 .*; put text that holds a comma in quotes"):
        load_pairs(written(tmp_path, head + "dust,a, b,c\n"))


def test_pairs_are_contrasted_each_text_once_and_found_whatever_the_case(tmp_path: Path) -> None:
    pairs = load_pairs(written(tmp_path, "concept,positive,negative\nDust,a,b\nsnow,c,b\ndust,d,b\n"))
    contrast = pair_contrast(["DUST", "snow"], pairs)
    assert [prompt.messages[0]["content"] for prompt in contrast.prompts] == ["a", "b", "d", "c"]
    assert contrast.positive == ((0, 2), (3,))
    assert contrast.negative == ((1, 1), (1,))
    with pytest.raises(InputError, match="unknown concept 'dusk' in prompt pairs 'mine'; did you mean Dust"):
        pair_contrast(["dusk"], pairs)
