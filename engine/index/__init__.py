"""Stage 4. In: ids and vectors. Out: a FAISS index and the published, immutable generation that holds it.

Next: query opens generations. ``factory`` chooses the FAISS type; ``layout`` reads and writes the file of the exact
vectors and ``flat`` searches it. ``codes`` compresses vectors into lists; ``ivf`` searches the lists and scores
candidates exactly. ``parts`` searches several segments without their dead records, ``gpu`` does so on a GPU, and
``vectors`` opens what a generation has. ``lookup`` finds ids in a mapped file. ``segment`` has the files of a segment
and their receipt, ``tombstones`` lists its dead records. ``folder`` finds generations on disk, ``manifest`` reads and
writes their manifests, ``publish`` makes one current, ``lock`` keeps out a second writer and ``durable`` writes files
safely. ``openfiles`` notices what changes files while they are open. ``corpusmap`` stores the map,
and ``vectorfolder`` exchanges vectors with other programs.
"""
