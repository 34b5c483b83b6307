#!/usr/bin/env python3
"""Times `kvbench profile` beside a plain transformers version of the published step 1, in turn, on one text and model.

usage: profile_side_by_side.py KVBENCH MODEL_DIR TEXT [--length 1000] [--steps 48] [--contexts 24]  (torch, transformers)

The plain version: eager attention in float32, the context's scores for SnapKV, KeyDiff and expected attention, then greedy
decoding with the full cache and the oracle importance out of each step's attention weights. It makes no loss curves, and
its time to load is left out. kvbench's time is that of the whole process: loading, tokens, scores, curves, hulls, all
budgets and the file, by default for as many contexts as the profile in configs/profiles has. Prints seconds a context and
the peak memory of both processes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """name: timing
model: {{path: "{model}", dtype: float32}}
device: cpu
chat_template: false
contexts: {{file: "{text}", count: {count}, length: {length}}}
decode_steps: {steps}
sampling: greedy
scorers:
  - {{name: snapkv, scorer: {{name: snapkv, window: 32, kernel: 7, pooling: max}}, sink: 4, window: 32}}
  - {{name: keydiff, scorer: keydiff}}
  - {{name: expected_attention, scorer: {{name: expected_attention, eps: 0.02}}}}
output: {output}
"""
QUESTION = "\nWhat does the text above say?\nAnswer:"


def plain_version(arguments):
    """The better of two runs over a context; prints seconds and peak memory as JSON."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    text = Path(arguments.text).read_text(encoding="utf-8")
    context = tokenizer(text, return_tensors="pt").input_ids[:, : arguments.length]
    question = tokenizer(QUESTION, return_tensors="pt").input_ids
    config = model.config
    n_query, n_kv = config.num_attention_heads, config.num_key_value_heads
    group, size = n_query // n_kv, config.head_dim
    seconds = []
    with torch.no_grad():
        for _ in range(2):
            start = time.perf_counter()
            queries = {}
            hooks = [
                layer.self_attn.q_proj.register_forward_hook(lambda _, __, out, i=i: queries.__setitem__(i, out))
                for i, layer in enumerate(model.model.layers)
            ]
            prefill = model(context, use_cache=True, output_attentions=True)
            for hook in hooks:
                hook.remove()
            cache, n_tokens = prefill.past_key_values, context.shape[1]
            norms, scores = [], []
            for i, layer in enumerate(model.model.layers):
                keys, values = cache.layers[i].keys[0], cache.layers[i].values[0]
                projection = layer.self_attn.o_proj.weight.view(-1, n_query, size)
                moved = torch.einsum("dqi,qti->qtd", projection, values.repeat_interleave(group, 0))
                norm = moved.norm(dim=-1)
                norms.append(norm / (norm.sum() + 1e-9))
                window = prefill.attentions[i][0, :, -32:, :-32].mean(1)
                pooled = torch.nn.functional.max_pool1d(window, 7, 1, 3).view(n_kv, group, -1).mean(1)
                anchor = torch.nn.functional.normalize(keys, dim=-1).mean(1, keepdim=True)
                keydiff = -torch.nn.functional.cosine_similarity(keys, anchor, dim=-1)
                q = queries[i].view(n_tokens, n_query, size).transpose(0, 1)[:, 4:]
                centred = q - q.mean(1, keepdim=True)
                covariance = centred.transpose(1, 2) @ centred / q.shape[1]
                per_query = keys.repeat_interleave(group, 0)[:, 4:]
                logits = (per_query @ q.mean(1).unsqueeze(-1)).squeeze(-1) / size**0.5
                logits += ((per_query @ covariance) * per_query).sum(-1) / (2 * size)
                expected = logits.softmax(-1).view(n_kv, group, -1).mean(1) + 0.02
                scores.append((pooled, keydiff, expected * values[:, 4:].norm(dim=-1)))
            del prefill.attentions
            out = model(question, past_key_values=cache, use_cache=True)
            importance = [torch.zeros(n_kv, n_tokens) for _ in norms]
            for _ in range(arguments.steps):
                token = out.logits[:, -1].argmax(-1, keepdim=True)
                out = model(token, past_key_values=cache, use_cache=True, output_attentions=True)
                for i, weights in enumerate(out.attentions):
                    worth = weights[0, :, 0, :n_tokens] * norms[i]
                    importance[i] = torch.maximum(importance[i], worth.view(n_kv, group, -1).amax(1))
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": min(seconds), "peak_mib": peak / 1024}))


def run_kvbench(arguments, folder):
    """Seconds and peak memory of the whole process for all contexts."""
    config = Path(folder) / "profile.yaml"
    files = {"model": arguments.model.resolve(), "text": arguments.text.resolve(), "output": Path(folder) / "profile.h5"}
    counts = {"count": arguments.contexts, "length": arguments.length, "steps": arguments.steps}
    config.write_text(CONFIG.format(**files, **counts), encoding="utf-8")
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
    start = time.perf_counter()
    process = subprocess.Popen([arguments.kvbench, "profile", config], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{arguments.kvbench} profile failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    """Runs both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kvbench", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path, help="prose, longer than the contexts")
    for name, default in (("length", 1000), ("steps", 48), ("contexts", 24), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain_version(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *sys.argv, "--plain"]
        plain = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        seconds, peak = run_kvbench(arguments, folder)
    ours = seconds / arguments.contexts
    print(f"{arguments.length} tokens, {arguments.steps} decode steps, three scorers, {arguments.threads} threads, float32")
    print(f"transformers eager {plain['seconds']:.1f} s a context, peak {plain['peak_mib']:.0f} MiB")
    print(f"kvbench            {ours:.1f} s a context, peak {peak:.0f} MiB")
    print(f"{plain['seconds'] / ours:.1f} times faster, {peak / plain['peak_mib']:.2f} of the memory")


if __name__ == "__main__":
    main()
