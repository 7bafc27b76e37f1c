"""torch and reformer-pytorch as peers: `python torch_peer.py torch|reformer-pytorch`. See protocol.mjs."""
import importlib.metadata
import json
import math
import sys
import time

import numpy
import torch


def main(peer):
    make = {"torch": dense, "reformer-pytorch": lsh}[peer]
    answer({"version": version_of(peer)})
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                torch.set_num_threads(request["threads"])
                run = make(request)
                answer({})
                continue
            started = time.perf_counter()
            output = run(request["set"])
            ms = (time.perf_counter() - started) * 1000
            if "output" in request:
                output.detach().contiguous().numpy().tofile(request["output"])
            answer({"ms": ms})
        except Exception as error:  # the bench names it, and goes on without this peer
            answer({"error": f"{type(error).__name__}: {error}"})


def answer(line):
    print(json.dumps(line), flush=True)


def version_of(peer):
    if peer == "torch":
        return torch.__version__
    import reformer_pytorch  # noqa: F401

    try:
        return importlib.metadata.version(peer)
    except importlib.metadata.PackageNotFoundError:
        return "from a folder"


def tensors(request, names, shape):
    """For each input set its tensors, leaves of the tape where the case trains."""
    count = math.prod(shape)
    return [
        [
            torch.from_numpy(
                numpy.fromfile(request["file"], "float32", count, offset=4 * start[name])
            )
            .reshape(shape)
            .requires_grad_(request["train"])
            for name in names
        ]
        for start in request["sets"]
    ]


def dense(request):
    """[B, H, L, D] each, softmax of q·k/√D."""
    p = request["params"]
    sets = tensors(request, "qkv", (p["B"], p["H"], p["L"], p["D"]))

    def attend(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=p["causal"])

    return stepping(attend, sets, request["train"])


def lsh(request):
    """[B·H, L, D] each; keys are the queries at unit length."""
    from reformer_pytorch.reformer_pytorch import LSHAttention

    p = request["params"]
    sets = tensors(request, "qv", (p["B"] * p["H"], p["L"], p["D"]))
    # Buckets are kept for a reversible network while it trains: evaluation mode hashes each call anew.
    layer = LSHAttention(
        bucket_size=p["C"],
        n_hashes=p["R"],
        causal=p["causal"],
        allow_duplicate_attention=not request["correct"],
        random_rotations_per_head=True,
    ).eval()
    return stepping(lambda qk, v: layer(qk, v)[0], sets, request["train"])


def stepping(attend, sets, train):
    def run(n):
        inputs = sets[n]
        if not train:
            with torch.no_grad():
                return attend(*inputs)
        output = attend(*inputs)
        # The gradient that arrives is as large as the output, and not constant.
        torch.autograd.grad(output, inputs, grad_outputs=inputs[-1].detach())
        return output

    return run


main(sys.argv[1])
