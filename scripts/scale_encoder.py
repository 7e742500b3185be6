"""A cheap encoder for benchmarks: a sentence-transformers folder of word embeddings, averaged, without layers.

Encoding with it takes next to no time, so that what else an index costs can be seen. Its vectors are as wide as those
of all-MiniLM-L6-v2, and texts with the same words are near each other.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DIM = 384
MAX_LENGTH = 256
_WORDS = 8_000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORD = re.compile(r"[a-z]+")


def choose_vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the pieces of a WordPiece tokenizer: special ones, single characters, and the most frequent words."""
    counts = Counter(word for text in texts for word in _WORD.findall(text.lower()) if len(word) > 1)
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted(counts, key=lambda word: (-counts[word], word))[:_WORDS]
    return [*_SPECIAL, *characters, *(f"##{character}" for character in characters), *words]


def write_encoder(folder: Path, vocabulary: list[str]) -> Path:
    """Write the model folder; the same vocabulary gives the same weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import BertConfig, BertModel

    plain = folder.with_name(f"{folder.name}.plain")
    torch.manual_seed(7)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=DIM,
            num_hidden_layers=0,
            num_attention_heads=12,
            max_position_embeddings=MAX_LENGTH,
        )
    )
    # What all texts have in common would only make them alike.
    torch.nn.init.zeros_(model.embeddings.position_embeddings.weight)
    model.save_pretrained(plain)
    _write_tokenizer(plain, vocabulary)
    modules = [Transformer(str(plain), max_seq_length=MAX_LENGTH), Pooling(DIM, pooling_mode="mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    shutil.rmtree(plain)
    return folder


def _write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    places = {piece: place for place, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(places, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, places[name]) for name in ("[CLS]", "[SEP]")]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _SPECIAL, strict=True))
    wrapped: Any = PreTrainedTokenizerFast
    wrapped(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, **names).save_pretrained(folder)
