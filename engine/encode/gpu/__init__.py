"""Encoding on NVIDIA GPUs. In: texts. Out: the vectors of the fp32 model, computed in half precision.

``encoder`` is the entry: it chooses how the model runs and handles memory that runs out. ``library`` runs it by
sentence-transformers, in half precision. ``packed`` runs a BERT without padding (``packing`` lays the texts end to
end), on one GPU only, and only where ``selfcheck`` finds the same vectors and a higher speed.
"""
