"""Make the committed fixtures: a toy corpus, a toy model and an index with two small generations.

Run by hand after each change of the index format: python tests/make_fixtures.py
"""

import json
import shutil
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import WordPiece
from transformers import BertConfig, BertModel, BertTokenizerFast

from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources

HERE = Path(__file__).parent
DRUGS = (
    "colchicine",
    "methotrexate",
    "rituximab",
    "hydroxychloroquine",
    "etanercept",
    "prednisone",
    "ibuprofen",
    "zoledronate",
)
DISEASES = ("gout", "rheumatoid arthritis", "lupus", "knee osteoarthritis", "giant cell arteritis")


def toy_corpus(path: Path) -> None:
    """40 short invented records, one per drug and disease."""
    with path.open("w", encoding="utf-8") as file:
        for n, (drug, disease) in enumerate(((a, b) for a in DRUGS for b in DISEASES), 1):
            row = {
                "id": f"toy-{n:02d}",
                "title": f"{drug.capitalize()} in {disease}",
                "abstract": f"We gave {drug} to {n + 20} adults with {disease}. Pain fell by {n} % (invented).",
                "year": 1990 + n % 30,
                "journal": "Invented Journal of Toys",
                "authors": [f"Ada Toy{n}", "Béla Example"],
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def toy_model(corpus: Path, folder: Path) -> None:
    """A BERT of two layers and 32 dimensions with random weights, as a sentence-transformers folder."""
    texts = [
        f"{row['title']} {row['abstract']}" for row in map(json.loads, corpus.read_text(encoding="utf-8").splitlines())
    ]
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = list("abcdefghijklmnopqrstuvwxyz0123456789.,:;()%-")
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    shutil.rmtree(folder, ignore_errors=True)
    plain = folder.with_name("plain")
    BertModel(config).save_pretrained(plain)
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64).save_pretrained(plain)
    transformer = models.Transformer(str(plain), max_seq_length=64)
    pooling = models.Pooling(32, pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu").save(str(folder))
    shutil.rmtree(plain)
    (folder / "README.md").write_text("A toy with random weights, made by tests/make_fixtures.py.\n")


def toy_index(corpus: Path, model: Path, folder: Path) -> None:
    """Publish two generations: the toy corpus, then what PubMed says of some of it.

    The first is searched exactly. The second has codes, two sources, a retraction, a notice and a deletion.
    """
    shutil.rmtree(folder, ignore_errors=True)
    name = str(model.relative_to(HERE.parent))
    place = Path("/tmp/toys")  # the corpus keeps the paths of its files: not those of this machine
    place.mkdir(exist_ok=True)
    for made, factory in ((corpus, "auto"), (corpus.with_name("pubmed26n0001.xml"), "IVF4,RaBitQfs")):
        source = Path(shutil.copy(made, place))
        order = Order((source,), IndexSettings(model=name, device="cpu", factory=factory))
        index_sources(IndexFolder(folder), order, lambda *_: None)
    (folder / "LOCK").unlink()


if __name__ == "__main__":
    corpus, model = HERE / "data" / "toy.jsonl", HERE / "data" / "toy-model"
    if not model.exists():  # training a tokenizer is not repeatable, so the toy stays the one it is
        toy_corpus(corpus)
        toy_model(corpus, model)
    toy_index(corpus, model, HERE / "generations" / "current")
