"""Stage 3. In: texts. Out: unit-length float32 vectors, one row a text, in order.

Next: index stores them. ``onnx`` runs an exported encoder (queries and CPU indexing), ``transformer`` the original
model (CUDA indexing); ``export`` makes the first from the second and needs torch, which nothing else here loads.
"""
