#!/usr/bin/python3
"""Write a tiny Llama with random weights whose shape has everything that the demo model's has not.

    make_tiny_model.py      # writes goldens/tiny-model

Its head is not tied, six query heads share two KV heads, queries are wider than the residual stream, every
projection has a bias, rotation is scaled as in Llama 3.1, the vocabulary is padded beyond the tokenizer's,
and weights are BF16. Deterministic.
"""
import json, pathlib, random, struct, sys
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "demo-model"))
import corpus, train

WIDTH, FFN, LAYERS, HEADS, KV, DIM, VOCAB, TOKENS, CONTEXT = 72, 104, 2, 6, 2, 16, 320, 307, 1024


def bf16(x):
    """Rounded to the nearest, ties to even."""
    word = x.astype(np.float32).view(np.uint32)
    return ((word + 0x7fff + ((word >> 16) & 1)) >> 16).astype("<u2")


def weights(r):
    def linear(name, outputs, inputs, gain=1.):
        yield name + ".weight", gain * r.standard_normal((outputs, inputs)) / np.sqrt(inputs)
        yield name + ".bias", .2 * r.standard_normal(outputs)

    yield "model.embed_tokens.weight", r.standard_normal((VOCAB, WIDTH))
    for l in range(LAYERS):
        p = f"model.layers.{l}."
        yield p + "input_layernorm.weight", 1 + .1 * r.standard_normal(WIDTH)
        # Gains above 1 make attention as uneven as a trained model's.
        yield from linear(p + "self_attn.q_proj", HEADS * DIM, WIDTH, 1.6)
        yield from linear(p + "self_attn.k_proj", KV * DIM, WIDTH, 1.6)
        yield from linear(p + "self_attn.v_proj", KV * DIM, WIDTH)
        yield from linear(p + "self_attn.o_proj", WIDTH, HEADS * DIM)
        yield p + "post_attention_layernorm.weight", 1 + .1 * r.standard_normal(WIDTH)
        yield from linear(p + "mlp.gate_proj", FFN, WIDTH)
        yield from linear(p + "mlp.up_proj", FFN, WIDTH)
        yield from linear(p + "mlp.down_proj", WIDTH, FFN)
    yield "model.norm.weight", 1 + .1 * r.standard_normal(WIDTH)
    yield "lm_head.weight", r.standard_normal((VOCAB, WIDTH)) / np.sqrt(WIDTH)


def main():
    out = HERE.parent.parent / "goldens" / "tiny-model"
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(t for i in range(300) for _, t in corpus.sample(random.Random(i), 14))
    train.Tokenizer(*train.train_bpe(text, TOKENS)).save(out, CONTEXT)
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=WIDTH,
                  intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV,
                  head_dim=DIM, max_position_embeddings=CONTEXT, rms_norm_eps=1e-6, rope_theta=50000.0,
                  rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=64),
                  attention_bias=True, mlp_bias=True, tie_word_embeddings=False, vocab_size=VOCAB, bos_token_id=0,
                  eos_token_id=6, pad_token_id=2, torch_dtype="bfloat16")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = dict(bos_token_id=0, eos_token_id=[6, 1], do_sample=True, temperature=0.8, top_k=40, top_p=0.95)
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, x in weights(np.random.default_rng(3)):
        b = bf16(x).tobytes()
        head[name] = dict(dtype="BF16", shape=list(x.shape), data_offsets=[at, at + len(b)])
        blobs.append(b)
        at += len(b)
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(h)) + h + b"".join(blobs))


if __name__ == "__main__":
    main()
