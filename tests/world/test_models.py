import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from tastemaker.world import contrast, models
from tastemaker.world.captions import caption, scenes
from tastemaker.world.fit import Plan
from tastemaker.world.render import to_bytes
from tastemaker.world.scorer import WorldScorer, pixels


def test_every_word_of_the_world_is_one_token():
    tokens = models.tokenizer()
    for scene in list(scenes())[::97]:
        words = caption(scene).replace(",", " ,").split()
        ids = tokens(caption(scene)).input_ids
        assert len(ids) == len(words) + 2 <= models.TOKENS


def test_the_tokenizer_is_made_the_same_every_time_and_reads_other_text_too():
    text = "Ein großer Hund 🐕 beißt"
    assert models.tokenizer()(text).input_ids == models.tokenizer()(text).input_ids
    assert len(models.tokenizer()(text).input_ids) > 6


def test_the_base_model_is_small_enough_to_ship():
    pipe = models.stable_diffusion(seed=0)
    count = {name: sum(p.numel() for p in getattr(pipe, name).parameters()) for name in ("unet", "vae", "text_encoder")}
    assert 2 * count["unet"] + 4 * count["vae"] + 4 * count["text_encoder"] < 11e6, count  # bytes as saved


@pytest.mark.parametrize("make", [lambda: models.stable_diffusion(3).unet, lambda: models.contrastive(3)[0]])
def test_weights_depend_on_the_seed_alone(make):
    torch.manual_seed(99)
    first = torch.cat([p.flatten() for p in make().parameters()])
    torch.manual_seed(1)
    assert torch.equal(first, torch.cat([p.flatten() for p in make().parameters()]))


def test_a_contrastive_batch_is_a_function_of_the_step_and_its_hard_captions_are_wrong():
    plan = Plan(steps=10, batch=6, lr=1e-3)
    pictures, texts = contrast.batch(plan, step=4)
    again, same = contrast.batch(plan, step=4)
    assert torch.equal(pictures, again)
    assert texts == same
    assert pictures.shape == (6, 3, 32, 32)
    assert len(texts) == 6 * (1 + contrast.HARD)
    assert not any(texts[i] == texts[i + 6 * k] for i in range(6) for k in range(1, contrast.HARD + 1))


def test_the_contrastive_loss_of_a_model_that_knows_nothing_is_chance():
    """Equal logits: log(number of captions) for a picture, log(number of pictures) for a caption; their mean."""
    model, tokens = models.contrastive(0)
    with torch.no_grad():
        model.logit_scale.fill_(-20.0)  # exp → 0: every logit is 0
    pictures, texts = contrast.batch(Plan(steps=1, batch=4, lr=1e-3), 0)
    loss = contrast.contrastive_loss(model, tokens, pictures, texts)
    assert loss.item() == pytest.approx((np.log(16) + np.log(4)) / 2, rel=1e-4)


def test_spoiling_keeps_pictures_recognisable():
    pictures = torch.zeros(8, 3, 32, 32)
    spoiled = contrast.spoil(pictures, np.random.default_rng(0))
    assert 0 < spoiled.abs().mean() < contrast.NOISE


def test_a_trained_scorer_is_found_again_and_scores(tmp_path):
    plan = Plan(steps=2, batch=2, lr=1e-3, warmup=1)
    done = contrast.train_scorer(tmp_path, plan=plan)
    assert contrast.train_scorer(tmp_path, plan=plan) == done
    weak = WorldScorer(path=str(tmp_path / "model"))
    assert weak.id != WorldScorer().id
    pictures, texts = contrast.batch(plan, 0)
    image = Image.fromarray(to_bytes((pictures[0].permute(1, 2, 0).numpy() + 1) / 2))
    model, tokens = CLIPModel.from_pretrained(tmp_path / "model"), CLIPTokenizer.from_pretrained(tmp_path / "model")
    shown = torch.from_numpy(pixels(image)).permute(2, 0, 1)[None] * 2 - 1
    expected = model(pixel_values=shown, **tokens(texts[:1], return_tensors="pt")).logits_per_image.item()
    assert weak.score(texts[:1], [image])[0] == pytest.approx(expected, abs=1e-4)
