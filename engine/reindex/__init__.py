"""Stage 7. In: source files and the current generation. Out: the next generation, verified and published.

The rooms, in the order of the data. ``intake``: ``queries`` fetches the queries that index.toml names, ``sources``
lists its files, ``plan`` selects the new ones and guards against mass changes, ``gaps`` finds missing update files,
``reading`` reads ahead, and ``gather`` fills the draft of the corpus. ``measures``: ``tune`` measures the search
settings of a large index, ``standards`` what ``otherfields`` reach. ``encoding``: ``encoders`` finds the encoder and
``vectorise`` encodes new and changed texts; ``shards`` keep their vectors if the run stops, ``spool`` keeps memory
bounded, and ``vectorsource`` has vectors that were computed elsewhere.

``generation``: ``order`` has the input, the state and the report of a run. ``merges`` chooses the old segments that the
new one replaces, ``generationfiles`` opens those of both generations, and ``words`` writes the words. ``searchable``
builds a large index, ``calibrate`` measures random cosines, ``corpusmap`` draws the map, ``seal`` and ``verify`` check.
``reports``: ``filetable`` and ``summary`` describe a run, ``forecast`` says what it needs, ``history`` lists
generations, and ``nights`` is the log of the nightly runs. ``news``: ``watches`` answers saved questions on what is new
(``watchtable`` has their tables in index.toml, ``watchmemory`` what they reported), ``newsrun`` is what they report,
and ``newsfiles`` writes it.

``runs``: ``run`` makes the next generation from files, ``filegroups`` from several groups of them, and ``update`` from
the sources. ``compaction`` merges all segments, ``retune`` tunes a large index, ``decisions`` applies what people say
of duplicates (``duplicatereport`` lists them), ``rollback`` goes back to an older generation, and ``nightly`` is the
nightly run.

``copies``: ``backup`` copies an index as one of its generations has it (``pin`` keeps that from being pruned),
``archive`` writes and reads tar files, ``backupreceipt`` lists the files and their checksums, and ``restore`` checks a
copy and puts it in place.
"""

ROOMS = ("intake", "measures", "encoding", "generation", "reports", "news", "runs", "copies")  # in data-flow order
