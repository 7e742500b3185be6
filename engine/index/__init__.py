"""Stage 4. In: ids and vectors. Out: a FAISS index and the published, immutable generation that holds it.

Next: query opens generations. The rooms, in the order of the data. ``files``: ``durable`` writes files safely,
``arrays`` files of arrays, ``lock`` keeps out a second writer, ``lookup`` finds ids in a mapped file, and ``openfiles``
notices what changes files while they are open. ``search``: ``factory`` chooses the FAISS type; ``layout`` reads and
writes the file of the exact vectors and ``flat`` searches it. ``codes`` compresses vectors into lists; ``ivf`` searches
the lists and scores candidates exactly. ``parts`` searches several segments without their dead records, and ``gpu``
does so on a GPU. ``map``: ``corpusmap`` stores the map, and ``regions`` divides it. ``generations``: ``segment`` has
the files of a segment and their receipt, ``tombstones`` lists its dead records. ``folder`` finds generations on disk,
``manifest`` reads and writes their manifests, ``probes`` keeps the vectors of fixed texts, ``publish`` makes one
generation current, ``placement`` says what a generation needs elsewhere before, ``vectors`` opens what a generation
has, and ``vectorfolder`` exchanges vectors with other programs.
"""

ROOMS = ("files", "search", "map", "generations")  # in data-flow order
