"""Stage 3. In: texts. Out: unit-length float32 vectors, one row a text, in order.

Next: index stores them. ``onnx`` runs an exported encoder: queries, and indexing on a CPU, in the ``setup`` that was
measured to be fastest. ``export`` makes it from the original model, ``transformer``. On GPUs ``gpu`` runs the
weights themselves. ``ahead`` lets encoding overlap with reading and keeping. Only ``export``, ``transformer`` and
``gpu`` load torch.
"""
