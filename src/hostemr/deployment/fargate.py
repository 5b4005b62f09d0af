"""The task sizes that Fargate offers: CPU units and the memory that each allows, Linux on ARM64 as on x86.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

_GIB = 1024

TASK_MEMORY: Mapping[int, Sequence[int]] = MappingProxyType(
    {
        256: (512, 1 * _GIB, 2 * _GIB),
        512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
        1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
        2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
        4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
        8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
        16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
    }
)
"""MiB of memory that a task of each number of CPU units (1024 are one vCPU) may have."""


def memory_text(cpu: int) -> str:
    """The memory that `cpu` allows, short: `2048, 3072, … 8192 MiB`."""
    values = TASK_MEMORY[cpu]
    if len(values) <= 4:
        return ", ".join(str(one) for one in values) + " MiB"
    return f"{values[0]}, {values[1]}, … {values[-1]} MiB"


def nearest_memory(cpu: int, memory: int) -> int:
    """The least memory that `cpu` allows and that is not below `memory`; the most it allows where none is."""
    values = TASK_MEMORY[cpu]
    return next((one for one in values if one >= memory), values[-1])
