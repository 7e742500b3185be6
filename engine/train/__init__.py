"""Stage 11. In: pairs of texts, or a corpus. Out: a better encoder folder, and what can be said of its data beforehand.

Next: nothing; ``engine index -m FOLDER`` uses the encoder. ``start`` runs a whole training by one of the recipes:
``adapt`` and, in ``supervised``, seed and distill. ``corpuspairs`` makes pairs of a corpus, ``mining`` finds hard
negatives, ``losses`` and ``fit`` train, ``averaging`` asks ``dev`` how much of it to keep, ``finish`` writes the folder
and its card. ``promote`` puts an encoder into an index if ``gate`` lets it through; ``collapse`` is one thing that
does not. ``pairs`` reads labelled pairs (``pairfiles`` their formats), and ``lint`` says what is wrong with them before
a step is run: ``columns`` looks at each column, ``leakage`` at what gives the label away or is on both sides of a
split, ``findings`` holds what was found. ``modelcard`` reads the card of a model that somebody else trained
(``cardtext`` its Markdown, ``cardparts`` its data sets and log); ``cardreport`` says what it means, from what
``cardfacts`` computes and ``installed`` libraries know, in ``cardwords`` and ``losswords``.
"""
