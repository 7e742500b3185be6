"""Stage 3. In: texts. Out: unit-length float32 vectors, one row per text, in order.

Next: index stores them. ``recipe`` and ``passages`` (with ``sentences``) make the texts of a record, ``tokens`` their
token ids. ``encoder`` defines and checks what every encoder must return; ``prefetch`` lets encoding overlap with
reading and storing. ``onnx`` runs an exported encoder (``folder`` describes its files,
``receipt`` their checksums) for queries, in the layout of
``threads`` that was measured to be fastest; ``pooling`` makes one vector of the states of tokens. ``model`` finds the
original, ``transformer`` loads it, ``export`` exports it and compares both on the ``probes``. ``cpu`` encodes the
corpus in the fastest way on a CPU, ``gpu`` runs the original on GPUs; both can use ``packedmodel``, a BERT without
padding (``packing`` joins the texts). ``similarity`` compares texts. ``crossencoder`` scores
pairs of texts, for a second stage. Only ``export``, ``transformer``, ``packedmodel``, ``cpu.torchrunner``,
``crossencoder.export`` and ``gpu`` load torch.
"""
