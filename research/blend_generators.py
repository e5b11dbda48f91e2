"""A network between the start of a GAN phase and the mean of generators it went through: steadier than any of them.

    python research/blend_generators.py OUT.onnx NAME SHARE START.safetensors GENERATOR.safetensors [...]

Weights are averaged (Izmailov et al., "Averaging Weights Leads to Wider Optima", 2018), then mixed with the start's:
SHARE 0 is the start, 1 the mean (as in Wang et al., "Deep Network Interpolation", 2019). All must be compact networks.
The generators are those that `train` keeps in RUN/checkpoints with inflection.keep=true.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from vintage_colorizer.networks.architectures.compact import CompactContract, build_compact, load_compact, read_compact
from vintage_colorizer.networks.architectures.contract import export_onnx

VERSION = "0.3"


def main() -> None:
    """Blend and export."""
    out, name, share, start, *others = sys.argv[1:]
    before, *seen = (read_compact(Path(path)) for path in (start, *others))
    network = build_compact()
    blended = {
        key: value.float()
        + float(share) * (torch.stack([one[key].float() for one in seen]).mean(dim=0) - value.float())
        for key, value in before.items()
        if value.is_floating_point()
    }
    load_compact(network, blended)
    about = {
        "name": name,
        "network": "compact",
        "look": "stable",
        "architecture": "compact",
        "render_factor": "16",
        "license": "see WEIGHTS-LICENSE.md",
        "version": VERSION,
        "recipe": "compact-artistic",
        "vividness": "0.0",
    }
    export_onnx(CompactContract(network.eval()), Path(out), about, half=True)


if __name__ == "__main__":
    main()
