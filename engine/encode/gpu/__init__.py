"""Encoding on NVIDIA GPUs. In: texts. Out: the vectors of the fp32 model, computed in half precision.

``encoder`` is the entry: it chooses how the model runs and halves the batch size when memory runs out. ``library`` runs
it with sentence-transformers, in half precision. A BERT runs without padding, on one GPU only, and only if
``selfcheck`` measures the same vectors and a higher speed.
"""
