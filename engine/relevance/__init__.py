"""Stage 8. In: queries with judgments, and an index or an encoder. Out: measures of its rankings, with intervals.

Next: ``train`` decides by them whether a new encoder is better; the command line prints them.

``sets`` holds the data: ``judgments`` and ``runs`` read and write the field's two file formats, ``testset`` is a folder
of documents, queries and judgments, ``knownitems`` makes one from plain abstracts, ``holdout`` chooses the publications
for testing, ``sections`` splits abstracts into their parts, and ``hitfile`` writes the hits of many queries.

``scoring`` measures: ``measures`` defines the measures, ``significance`` their intervals and p values, ``exhaustive``
searches a test set with an encoder, ``evaluation`` measures an encoder or a run, ``indexrun`` an index, ``comparison``
compares systems, and ``plot`` draws a comparison.

``screening`` ranks the records of a review: ``labels`` are the decisions so far, ``wordmodel`` learns from them,
``ranking`` ranks the rest, ``simulation`` repeats a finished review, ``screenmeasures`` measures how much reading that
saves, and ``stopping`` compares rules for stopping.
"""

ROOMS = ("sets", "scoring", "screening")  # in data-flow order
