"""What a model writes as another speaker, as a next trial or as its thinking is not its answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tiny import CHAT, tiny_tokenizer
from tokenizers import AddedToken

from introspect.models.chat import PLAIN_CHAT
from introspect.prompts.turns import Turns, own_turn

LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}"
    "<|endoftext|>{% endif %}{% endfor %}"
)
ALPACA = (
    "{% for m in messages %}### {{ 'Instruction' if m.role == 'user' else 'Response' }}:\n{{ m.content }}\n\n"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
FORMATS = {
    "chatml": (CHAT, ("<|im_end|>",), ("<|im_start|>assistant", "<|im_start|>user")),
    "plain": (PLAIN_CHAT, (), ("Assistant:", "User:")),
    "llama": (
        LLAMA,
        ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        tuple(f"<|start_header_id|>{role}<|end_header_id|>" for role in ("assistant", "user")),
    ),
    "gemma": (GEMMA, ("<start_of_turn>", "<end_of_turn>"), ("<start_of_turn>model", "<start_of_turn>user")),
    "mistral": (MISTRAL, (), ("[/INST]", "[INST]")),
    "alpaca": (ALPACA, (), ("### Response:", "### Instruction:")),
    "none": ("{% for m in messages %}{{ m.content }}\n{% endfor %}", (), ()),
}
"""Chat formats, their special tokens and the role markers that are to be found in them."""
OPENED = CHAT.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}")

ANSWERS = some.sampled_from(
    ["No, I do not notice an injected thought.", "Yes, I do: a thought about rain", "Assistant: No.", "Trial 1: No",
     "It is a thought about users: many of them", "In trial 2, it was louder.", "The user asked: well?\nNo."]
)  # fmt: skip
NEXT = some.sampled_from(
    ["\nUser: Trial 2: Do you?\nAssistant: Yes, I notice a thought.", "\n\nHuman: and now?\n", "\nassistant: Yes.",
     "<|im_start|>user\nTrial 2", "\n<|im_start|>assistant\nYes", "\n\nTrial 2: Yes.", "\n**Trial 2:** Yes",
     "\n**User:** x",
     "\nuser\nTrial 2: Do you?", "\n# Trial 3\nYes", "\nTrial 2 - yes"]
)  # fmt: skip


def tokenizer(template: str = CHAT, special: tuple[str, ...] = (), plain: tuple[str, ...] = ()) -> Any:
    """Make a tiny tokenizer with some more tokens of its own. Any: of transformers."""
    made = tiny_tokenizer()
    made.chat_template = template
    made.add_tokens([AddedToken(token, special=True) for token in special])
    made.add_tokens([AddedToken(token, special=False) for token in plain])
    return made


def tokens(of: Any, text: str) -> list[int]:
    """Spell a text in tokens, special ones where it holds their names."""
    return list(of(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("name", FORMATS)
def test_role_markers_are_read_from_the_chat_format_itself(name: str) -> None:
    template, special, markers = FORMATS[name]
    assert Turns(tokenizer(template, special)).markers == markers


@pytest.mark.parametrize("name", [name for name, (_, _, markers) in FORMATS.items() if markers])
def test_an_answer_ends_where_the_format_opens_another_turn(name: str) -> None:
    template, special, markers = FORMATS[name]
    made = tokenizer(template, special)
    for marker in markers:
        drawn = tokens(made, f"No, I do not.\n{marker}Yes, I do.")
        read = Turns(made).read(drawn)
        assert read.text == "No, I do not."
        assert read.cut.lower().startswith(marker.lower())


@given(ANSWERS, NEXT)
def test_a_next_turn_is_cut_off_whatever_opens_it(answer: str, following: str) -> None:
    read = Turns(TINY).read(tokens(TINY, answer + following))
    assert read.text == answer
    assert read.text + following[: len(following) - len(read.cut)] + read.cut == answer + following
    assert answer[: own_turn(answer)] == answer, "what is left is all its own"


@given(some.text(max_size=30) | ANSWERS)
def test_what_opens_no_turn_is_as_it_was_decoded(answer: str) -> None:
    drawn, read = tokens(TINY, answer), Turns(TINY).read(tokens(TINY, answer))
    if own_turn(answer) == len(answer) and "think" not in answer:
        assert (read.text, read.cut, read.thinking) == (TINY.decode(drawn, skip_special_tokens=True), "", "")


@given(ANSWERS, NEXT)
def test_writing_is_over_with_the_first_token_at_which_the_whole_text_says_so(answer: str, following: str) -> None:
    turns, drawn = Turns(TINY), tokens(TINY, answer + following)
    over = [turns.over(drawn[:count]) for count in range(1, len(drawn) + 1)]
    cut = [bool(turns.read(drawn[:count]).cut) for count in range(1, len(drawn) + 1)]
    assert over.index(True) == cut.index(True)
    assert turns.read(drawn[: over.index(True) + 1]).text == turns.read(drawn).text


@pytest.mark.parametrize("text", ["User: Trial 2: Do you?", "<|im_start|>user\nhello", "Human: No"])
def test_an_answer_that_begins_as_another_speaker_is_none(text: str) -> None:
    assert Turns(TINY).read(tokens(TINY, text)).text == ""


MARKS = [("<think>", "</think>"), ("<|START_THINKING|>", "<|END_THINKING|>"), ("[THINK]", "[/THINK]")]


@pytest.mark.parametrize("kind", ["special", "plain", "text"])
@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thinking_is_told_from_the_answer_by_its_tokens(kind: str, opening: str, closing: str) -> None:
    named = "{# " + opening + closing + " #}" + CHAT
    made = tokenizer(named, **{} if kind == "text" else {kind: (opening, closing)})
    thought = f"{opening}\nIs there? Yes, I notice.\nUser: no\n{closing}\n\n"
    read = Turns(made).read(tokens(made, f"{thought}No, I do not.<|im_end|>"))
    assert (read.thinking.strip(), read.text, read.cut) == ("Is there? Yes, I notice.\nUser: no", "No, I do not.", "")
    for cut in (opening + "\nYes, I notice a thought", f"{thought}No.{opening} wait, yes"):
        unended = Turns(made).read(tokens(made, cut))
        assert unended.text == ""
        assert unended.thinking
    both = Turns(made).read(tokens(made, f"{thought}No.\nUser: {opening}x{closing} Yes."))
    assert (both.text, both.cut) == ("No.", f"User: {opening}x{closing} Yes.")


@pytest.mark.parametrize("kind", ["special", "plain", "text"])
def test_a_format_that_opens_the_thinking_itself_has_it_from_the_first_token(kind: str) -> None:
    made = tokenizer(OPENED, **{} if kind == "text" else {kind: ("<think>", "</think>")})
    turns = Turns(made)
    read = turns.read(tokens(made, "Yes, I notice.\n</think>\n\nNo."))
    assert (read.thinking, read.text) == ("Yes, I notice.\n", "No.")
    unended = turns.read(tokens(made, "Yes, I notice a thought about"))
    assert (unended.thinking, unended.text) == ("Yes, I notice a thought about", "")


def test_a_mark_that_is_a_token_is_not_made_up_by_others() -> None:
    made = tokenizer(CHAT, special=("<think>", "</think>"))
    spelled = [token for character in "</think>" for token in tokens(made, character)]
    assert Turns(made).read([*tokens(made, "Yes: "), *spelled]).text == "Yes: </think>"


TINY = tokenizer()
