"""Fetch of records over HTTP. Nothing else in the engine asks other machines for sources.

``address`` reads the address of a mirror or service and hides its secrets, ``client`` sends requests and explains
failures. PubMed's update files: ``listing`` reads the mirror's list of files, ``updates`` fetches what is new.
Records by a query: ``pace`` spaces the requests, ``service`` asks a service, ``lookahead`` has several requests open,
``eutilities`` speaks with PubMed, ``articleset`` takes its answers apart, ``partition`` divides large result sets,
``workfile`` keeps what came, ``task`` has what fetches share, and ``pubmedquery`` brings all of it together.
``europepmc`` fetches from Europe PMC.
"""
