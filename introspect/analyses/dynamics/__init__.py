"""Do the loops settle, where does an injection go, and which designs come to rest: `introspect dynamics`.

Goes in: a model with texts and trials, or nothing for the design study. Comes out: an Analysis each. The metrics are
those of Blayney et al. (2026), "A Mechanistic Analysis of Looped Reasoning Language Models" (arXiv 2604.11791).
"""
