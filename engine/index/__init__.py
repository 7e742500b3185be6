"""Stage 4. In: ids and vectors. Out: a FAISS index and the published, immutable generation that holds it.

Next: query opens generations. ``factory`` says which type an index has; ``layout`` is the file of the exact vectors,
``flat`` searches it; ``codes`` compresses vectors into lists, ``ivf`` searches by them and scores exactly; ``gpu`` is
for unfiltered searches; ``opened`` puts them together. ``folder`` and ``publish`` know the disk.
"""
