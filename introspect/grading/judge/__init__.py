"""The judge: another language model reads each answer by a rubric. A trial and its response go in, a Grade comes out.

An endpoint that speaks OpenAI's chat completions, or a local transformers model; both are asked the same messages.
"""
