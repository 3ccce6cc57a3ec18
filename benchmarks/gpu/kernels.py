"""Where a micro-step's time goes: the card's kernels by kind, and how often the CPU launched and waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

KINDS = {
    "attention": ("flash", "fmha", "sdpa", "softmax"),
    "layouts of convolutions": ("nchwtonhwc", "nhwctonchw", "nchwaddpadding"),
    "convolutions": ("fprop", "dgrad", "wgrad", "conv", "cudnn"),
    "products in float32": ("sgemm", "f32f32", "tf32"),
    "products": ("gemm", "nvjet", "cutlass", "cublas", "splitk"),
    "norms": ("norm", "rowwisemoments", "welford", "computefused"),
    "copies between CPU and card": ("memcpy", "memset"),
    "elementwise": ("elementwise", "catarray", "reduce", "index"),
}
"""Words in the names of kernels; the first kind that fits counts."""
SHOWN = 25


def kernels(work: Callable[[], None]) -> dict[str, float]:
    """Milliseconds of each kind in one ``work``, launches and waits; prints the longest kernels."""
    work()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
        torch.cuda.synchronize()
    found, names, counts = defaultdict[str, float](float), defaultdict[str, float](float), defaultdict[str, int](int)
    for event in seen.events():
        counts[event.name] += 1
        if event.device_type == DeviceType.CUDA:
            found[_kind(event.name)] += event.device_time / 1000
            names[event.name] += event.device_time / 1000
    for name in sorted(names, key=lambda name: -names[name])[:SHOWN]:
        print(f"  {names[name]:8.2f} ms {counts[name]:5d} × {name[:150]}")
    launches = sum(count for name, count in counts.items() if "LaunchKernel" in name)
    waits = sum(count for name, count in counts.items() if "Synchronize" in name)
    return {**found, "busy ms": sum(found.values()), "launches": launches, "waits": waits}


def _kind(name: str) -> str:
    return next((kind for kind, words in KINDS.items() if any(word in name.lower() for word in words)), "other")
