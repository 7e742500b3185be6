"""Rerankers: a query and texts in, one score for each text out.

``model`` finds out what a model folder is, ``folder`` describes the exported files, ``runner`` runs them, and
``export`` makes them and compares them with the original. Only ``export`` loads torch.
"""
