"""Download of PubMed's update files from a mirror over HTTP. Nothing else in the engine reads sources from the network.

``address`` reads the address of a mirror and hides its secrets, ``client`` sends requests and explains failures,
``listing`` reads the mirror's list of files, ``updates`` fetches new and replaced files.
"""
