"""Stage 8. In: queries with judgments, and an index or an encoder. Out: measures of what it ranks, with intervals.

Next: ``train`` accepts a new encoder by them; the command line prints them. ``judgments`` and ``runs`` are the two
files of the field, ``measures`` what is computed of them, ``significance`` how sure that is. ``testset`` is a folder
with a collection and its judgments, ``knownitems`` makes one of plain abstracts, ``exhaustive`` searches one with an
encoder, ``evaluation`` asks an index; ``comparison`` puts runs side by side, ``plot`` draws it. ``holdout`` and
``sections`` say which abstracts are for testing, and what parts they have.
"""

ROOMS = ("sets", "scoring", "screening")  # in data-flow order
