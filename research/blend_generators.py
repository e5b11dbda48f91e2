"""A network between the start of a training and the mean of what came out: steadier than either.

    python research/blend_generators.py OUT NAME SHARE START.safetensors GENERATOR.safetensors [...]

Writes OUT.onnx, and OUT.safetensors to go on training with. Weights are averaged (Izmailov et al., "Averaging Weights
Leads to Wider Optima", 2018), then mixed with the start's: SHARE 0 is the start, 1 the mean (as in Wang et al., "Deep
Network Interpolation", 2019). All must be compact networks; parts that the start has not grown yet are the mean's.
The generators are a run's network.safetensors, or what `train` keeps in RUN/checkpoints with inflection.keep=true.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vintage_colorizer.networks.architectures.compact import CompactContract, build_compact, load_compact, read_compact
from vintage_colorizer.networks.architectures.contract import export_onnx

PALETTE = 32


def main() -> None:
    """Blend and export."""
    out, name, share, start, *others = sys.argv[1:]
    states = [read_compact(Path(path)) for path in others]
    state = blended(read_compact(Path(start)), states, float(share))
    network = build_compact(hints=has(state, "hints"), palette=PALETTE if has(state, "palette") else 0)
    load_compact(network, state)
    about = {
        "name": name,
        "network": "compact",
        "look": "stable",
        "architecture": "compact",
        "render_factor": "16",
        "license": "see WEIGHTS-LICENSE.md",
        "version": "0.4",
        "recipe": "compact-4",
        "vividness": "0.0",
    }
    save_file({key: value.half() for key, value in state.items()}, f"{out}.safetensors")
    export_onnx(CompactContract(network.eval()), Path(f"{out}.onnx"), about, half=True)


def blended(start: Mapping[str, Tensor], others: list[dict[str, Tensor]], share: float) -> dict[str, Tensor]:
    """The start's weights, moved by a share of the way to the mean of the others."""
    state = {}
    for key, value in others[0].items():
        if not value.is_floating_point():
            continue
        mean = torch.stack([one[key].float() for one in others]).mean(dim=0)
        state[key] = mean if key not in start else torch.lerp(start[key].float(), mean, share)
    return state


def has(state: Mapping[str, Tensor], part: str) -> bool:
    """Whether the network has grown this part."""
    return any(key.startswith(f"{part}.") for key in state)


if __name__ == "__main__":
    main()
