"""Fetches PubMed's update files from a mirror over HTTP. Nothing else in the engine asks the network for sources.

``address`` reads the address of a mirror and hides its secrets, ``client`` sends requests and explains failures,
``listing`` reads the mirror's list of files, ``updates`` fetches what is missing.
"""
