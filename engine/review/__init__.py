"""Stage 9. In: what the reviewers decide about records of an index. Out: the decisions in force.

Next: ``serve`` shows and keeps decisions, ``cli`` lists, imports and exports them. The rooms, in the order of the data.
``decisions``: ``reviews`` writes decisions into the journal and undoes them. ``state`` reads what is in force in the
current generation, and counts it; ``follower`` reads it again as it changes, ``standing`` keeps what each reviewer has
decided, and ``blinding`` hides decisions from other reviewers. ``agreement`` compares reviewers. ``marks`` knows how
screening tools write decisions, and ``exchange`` takes in their files and writes them. ``desk``: ``queue`` says which
records to read next, in one of the ``orders``, learned in the ``background`` from the words that ``counting`` counts in
another process; ``reading`` is a record as it is read. ``report``: ``progress`` tells what may be left and whether
reading may stop; ``flow`` counts what happened to records, and ``flowchart`` draws it.
"""

ROOMS = ("decisions", "desk", "report")  # in data-flow order
