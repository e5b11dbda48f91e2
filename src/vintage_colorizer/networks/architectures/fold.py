"""Folding the original's generators for inference: the same picture from fewer operations and less memory.

- Spectral norm and weight norm become plain weights.
- A batch norm right behind a convolution goes into it; one behind a ReLU (the original's order) goes forward
  into the 1x1 convolution that comes next, where there is no padding for its shift to miss.
- Self-attention is worked off in groups of positions, the tail at full size in strips with a halo.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import remove_spectral_norm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vintage_colorizer.networks.architectures.deoldify import DecoderBlock, Deoldify
from vintage_colorizer.networks.architectures.layers import SelfAttention, Upsampler, WeightNormConv

ATTENTION_BLOCKS = 16
STRIPS = 8


@torch.no_grad()
def fold(generator: Deoldify) -> Deoldify:
    """Turn a generator of the original, in place, into one for inference; its result changes by rounding only.

    The sides of the pictures must then be multiples of 16, and the weights can no longer be trained or saved in
    the original's form. On the meta device it gives the empty shape of a folded network.
    """
    generator.eval()
    generator.strips = STRIPS
    for module in list(generator.modules()):
        if isinstance(module, SelfAttention):
            module.blocks = ATTENTION_BLOCKS
        for name, child in module.named_children():
            if isinstance(child, WeightNormConv) or hasattr(child, "weight_orig"):
                setattr(module, name, _plain(child))
    _fold_encoder(generator.layers[0])
    blocks = [cast(DecoderBlock, layer) for layer in generator.layers[4:8]]
    shuffles = [*(block.shuf for block in blocks), cast(Upsampler, generator.layers[8])]
    for block in blocks:
        conv, norm, relu = block.shuf.conv
        block.shuf.conv = nn.Sequential(fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)), relu)
    middle = cast(nn.Sequential, cast(nn.Sequential, generator.layers[3])[1])
    units = [middle, *(block.last_unit for block in blocks)]
    for unit, shuffle in zip(units, shuffles, strict=True):
        _fold_forward(unit, cast(nn.Conv2d, shuffle.conv[0]))
    return generator.requires_grad_(False)


def _plain(conv: nn.Module) -> nn.Module:
    """The same convolution without a norm of its weights."""
    plain: nn.Conv1d | nn.Conv2d
    if isinstance(conv, WeightNormConv):
        outputs, inputs = conv.weight.shape[:2]
        plain = nn.Conv2d(inputs, outputs, 1, device="meta")
    else:
        conv = cast(nn.Conv2d, remove_spectral_norm(conv))
        sizes: dict[str, Any] = {"kernel_size": conv.kernel_size, "stride": conv.stride, "padding": conv.padding}
        bias = conv.bias is not None
        plain = type(conv)(conv.in_channels, conv.out_channels, **sizes, bias=bias, device="meta")
    plain.weight, plain.bias = nn.Parameter(conv.weight.detach()), conv.bias
    return plain.eval()


def _fold_encoder(encoder: nn.Module) -> None:
    """Fuse each convolution of a ResNet with the batch norm after it."""
    for parent in list(encoder.modules()):
        children = list(parent.named_children())
        norms = [(name, child) for name, child in children if isinstance(child, nn.BatchNorm2d)]
        convs = [(name, child) for name, child in children if isinstance(child, nn.Conv2d)]
        for (conv_name, conv), (norm_name, norm) in zip(convs, norms, strict=True):
            setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(parent, norm_name, nn.Identity())


def _fold_forward(unit: nn.Sequential, conv: nn.Conv2d) -> None:
    """Move the batch norm that ends `unit` into the 1x1 convolution behind it; not past self-attention."""
    norm = unit[-1]
    if not isinstance(norm, nn.BatchNorm2d):
        return
    variance, mean = cast(Tensor, norm.running_var), cast(Tensor, norm.running_mean)
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    cast(Tensor, conv.bias).add_(conv.weight[:, :, 0, 0] @ shift)
    conv.weight *= scale.view(1, -1, 1, 1)
    unit[-1] = nn.Identity()
