"""Stage 3. In: texts. Out: unit-length float32 vectors, one row a text, in order.

Next: index stores them. ``onnx`` runs an exported encoder: queries, and indexing on a CPU, in the ``setup`` that was
measured to be fastest. ``export`` makes it from the original model, ``transformer``. On GPUs ``cuda`` runs the weights
themselves: ``packing`` lays texts end to end, ``packed`` is the model over them and ``padded`` the fall-back
(``strategy`` decides), ``forward`` finds the fastest way to launch it, ``link`` copies, ``devices`` uses several.
``ahead`` lets encoding overlap with reading and keeping. Only ``export`` and what is for GPUs load torch.
"""
