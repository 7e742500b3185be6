"""Train an encoder by one of three methods (seed, adapt, distill), and write it as a folder with its card.

``training`` runs a whole training: it loads the ``basemodel``, checks the ``estimate``, trains by one of the
``methods`` (``losses``, ``trainer``, ``checkpoints``), averages the weights (``averaging``), measures whether the
encoder has collapsed (``collapse``) and writes the folder (``encoderfolder``).
"""
