"""compare.py FOLDER ...: opens models that saveReformer wrote with transformers, and compares their logits.

Each folder also has an io.safetensors with input_ids, attention_mask, our logits, and rotations.0, rotations.1, ... in
the order of the hashing layers. transformers draws rotations by torch.randn: it gets ours. Prints a line of JSON for each
folder, and saves the model again in FOLDER/theirs, for the other way round.
"""

import json
import sys

import torch
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()


def compare(folder):
    io = load_file(f"{folder}/io.safetensors")
    with open(f"{folder}/config.json") as file:
        kind = getattr(transformers, json.load(file)["architectures"][0])
    # float32 whatever the file has: its 16-bit floats are the same numbers there.
    model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    model.eval()

    rotations = [io[name] for name in sorted(io) if name.startswith("rotations.")]
    left = list(rotations)

    def ours(shape, **_):
        found = left.pop(0)
        assert tuple(found.shape) == tuple(shape), f"rotations {tuple(found.shape)} for {tuple(shape)}"
        return found

    drawn, torch.randn = torch.randn, ours
    try:
        with torch.no_grad():
            logits = model(
                input_ids=io["input_ids"].long(), attention_mask=io["attention_mask"].long()
            ).logits
    finally:
        torch.randn = drawn
    assert not left, f"{len(left)} rotations were not asked for"

    model.save_pretrained(f"{folder}/theirs")
    assert logits.shape == io["logits"].shape, f"logits {tuple(logits.shape)} for {tuple(io['logits'].shape)}"
    return {
        "folder": folder,
        "problems": {name: sorted(map(str, keys)) for name, keys in info.items() if keys},
        "hashes": len(rotations),
        "error": (logits - io["logits"]).abs().max().item(),
        "largest": logits.abs().max().item(),
    }


print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}))
for folder in sys.argv[1:]:
    print(json.dumps(compare(folder)))
