"""A fresh index.toml."""

from __future__ import annotations


def template(name: str, sources: tuple[str, ...]) -> str:
    """A commented index.toml."""
    quoted = ['"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"' for source in sources]
    listed_sources = "\n".join(f"[[sources]]\npath = {source}\n" for source in quoted) or EXAMPLE_SOURCES
    return TEMPLATE.format(name=name, sources=listed_sources)


TEMPLATE = """\
# What the index "{name}" is made from, and how: read by `engine reindex {name}` and `engine nightly {name}`.
# `engine config {name}` shows what is in force. Lines that begin with # are off; each shows its default.

# model = "all-MiniLM-L6-v2"        # a sentence-transformers folder or hub id
# device = "auto"                   # auto, cpu, cuda
# precision = "fp32"                # fp32, int8: faster on a CPU, other vectors (cosine 0.993); never mixed
# recipe = "whole"                  # whole: title. abstract, cut where the encoder stops reading; passages: all of it
# factory = "auto"                  # FAISS index type: exact below 1,000,000 abstracts, then IVF with exact scores
# recall = 0.99                     # of the 10 nearest, the share that an IVF index must find
# mesh_tree = "mtrees2026.bin"      # NLM's MeSH tree, for --mesh-tree; none unless you get it
# keep_generations = 3              # published generations on disk, the current one included
# checkpoint_seconds = 15           # of encoding that a killed run may lose

# Read in this order. path is a file, a folder (watched: every file in it, and in its folders, is read once) or a glob;
# relative to the folder of this file. The format is told by the content; format = "RIS" forces one.
{sources}
[guard]                             # a reindex stops before it publishes (exit 7) when more than this share …
# max_deleted_share = 0.10          # … of the records would be deleted
# max_changed_share = 0.10          # … of the records would be changed; once: engine reindex {name} --allow-mass-change

[hybrid]                            # of searches with --mode hybrid
# weight = 0.5                      # of the cosine; the rest is that of the words
# fusion = "convex"                 # convex: both scores, stretched to [0, 1], in a sum; rrf: by ranks, no weight

[download]                          # used by engine nightly only
# url = "https://ftp.ncbi.nlm.nih.gov/pubmed/updatefiles/"   # none unless you say so
# folder = "updatefiles"            # list it under sources too
"""
EXAMPLE_SOURCES = """\
# [[sources]]
# path = "updatefiles"
# [[sources]]
# path = "exports/*.ris"
# format = "RIS"
"""
