"""Tiny random reward models as transformers saves them: CLIP, SigLIP, and Gemma 3 with a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIDE = 32
POSITIONS = 16
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "blue", "cat", "dog", "on", "the", "sea"]
TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}{{ '<start_of_turn>' + turn['role'] }}{% for part in turn['content'] %}"
    "{{ '<start_of_image>' if part['type'] == 'image' else part['text'] }}{% endfor %}<end_of_turn>{% endfor %}"
)
SEEN = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE)


def save_clip(folder: Path, positions: int = POSITIONS) -> Path:
    """A `CLIPModel` whose logits are 20 times a cosine."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=11)
    text |= dict(max_position_embeddings=positions, bos_token_id=None, eos_token_id=1, pad_token_id=0)
    config = CLIPConfig(text_config=text, vision_config=SEEN | {"patch_size": 8}, projection_dim=12)
    model = _random(CLIPModel, config)
    model.logit_scale.data.fill_(torch.tensor(20.0).log())
    processor = CLIPProcessor(CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE), _words(POSITIONS))
    return _saved(folder, model, processor)


def save_siglip(folder: Path) -> Path:
    """A `SiglipModel`: it has a bias besides its scale, and its tokens have no mask."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipProcessor

    text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=11)
    text |= dict(max_position_embeddings=POSITIONS, projection_size=16)
    model = _random(SiglipModel, SiglipConfig(text_config=text, vision_config=SEEN | {"patch_size": 8}))
    model.logit_scale.data.fill_(torch.tensor(7.0).log())
    model.logit_bias.data.fill_(-3.0)
    words = _words(POSITIONS, model_input_names=["input_ids"])
    return _saved(folder, model, SiglipProcessor(SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}), words))


def save_gemma(folder: Path, labels: int = 2, template: str | None = TEMPLATE) -> Path:
    """A `Gemma3ForSequenceClassification` with 4 tokens an image."""
    from transformers import Gemma3Config, Gemma3ForSequenceClassification, Gemma3ImageProcessorPil, Gemma3Processor

    tokenizer = _gemma_words()
    text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, head_dim=8)
    text |= dict(num_key_value_heads=1, vocab_size=len(tokenizer), sliding_window=64, pad_token_id=0)
    config = Gemma3Config(
        text_config=text,
        vision_config=SEEN | {"patch_size": 8},
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
        num_labels=labels,
    )
    images = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_pan_and_scan=False)
    processor = Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
    return _saved(folder, _random(Gemma3ForSequenceClassification, config), processor)


def _random(cls: Any, config: Any) -> Any:
    """Weights large enough that prompts and images matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _words(length: int, **settings: Any) -> Any:
    """Whole words, and </s> at the end."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=length, **names, **settings)


def _gemma_words() -> Any:
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [chr(code) for code in range(97, 123)]
    extra = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    vocabulary = {word: index for index, word in enumerate([*special, "▁", "\n\n", *letters])}
    tokenizer = GemmaTokenizer(
        vocab=vocabulary,
        merges=[],
        add_bos_token=True,  # as Gemma's does, though its chat template writes one too
        extra_special_tokens=dict(boi_token=extra[2], eoi_token=extra[3], image_token=extra[4]),
    )
    tokenizer.add_tokens(extra[:2], special_tokens=True)
    return tokenizer
