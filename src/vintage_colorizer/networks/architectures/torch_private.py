"""What the architectures need of torch that is not public yet, in one place; tests/networks/test_torch_private.py says
whether a new version still has it."""

from torch._higher_order_ops.scan import scan  # a loop that stays one in an ONNX file

__all__ = ["scan"]
