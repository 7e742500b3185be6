"""Stage 4. In: ids and vectors. Out: a FAISS index and the published, immutable generation that holds it.

Next: query opens generations. ``factory`` chooses the FAISS type; ``layout`` reads and writes the file of the exact
vectors and ``flat`` searches it. ``codes`` compresses vectors into lists; ``ivf`` searches the lists and scores
candidates exactly. ``gpu`` runs unfiltered searches on a GPU; ``vectors`` opens the right index. ``folder`` finds
generations on disk, ``manifest`` reads and writes their manifests, ``publish`` makes one current, ``lock`` keeps out a
second writer and ``durable`` writes files safely. ``corpusmap`` stores the map.
"""
