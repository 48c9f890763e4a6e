"""Plain questions with known answers, in the place of the detection question and under the same injection.

A shift towards yes here is no noticing. Each occasion asks one question whose answer is yes and one whose answer is no;
over the concepts all of them are used evenly.
"""

from introspect.protocols.material import plain_questions
from introspect.protocols.question import Asked, Occasion, Question, neutral


def _ask(occasion: Occasion) -> list[Asked]:
    asked = []
    for answer in ("yes", "no"):
        plain = plain_questions(answer)
        question = plain[occasion.index % len(plain)].question
        asked.append(Asked({"question": question, "number": str(occasion.number)}, expected=answer))
    return asked


UNRELATED = Question(
    "unrelated",
    neutral("unrelated"),
    _ask,
    arms=("injected", "none", "random", "negated", "shuffled"),
    max_new_tokens=4,
)
