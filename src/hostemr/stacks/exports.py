"""What the data stack exports and the service stack imports, by readable names that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk

from hostemr.deployment.outputs import export_name


class Exports:
    """Writes a stack's exports and outputs."""

    def __init__(self, stack: cdk.Stack) -> None:
        self._stack = stack

    def write(self, values: Mapping[str, str]) -> None:
        """Export each value under its name."""
        for name, value in values.items():
            cdk.CfnOutput(
                self._stack, f"Export{name}", value=value, export_name=export_name(self._stack.stack_name, name)
            )

    def write_each(self, name: str, values: Sequence[str]) -> None:
        """Export a list value by value: adding one to the end changes none of the others."""
        self.write({f"{name}{number}": value for number, value in enumerate(values, start=1)})

    def tell(self, name: str, value: str, meaning: str) -> None:
        """Add an output for people and for the command line, under exactly this name."""
        cdk.CfnOutput(self._stack, name, value=value, description=meaning)


@dataclass(frozen=True, slots=True)
class Imports:
    """The values of a data stack, as the service stack refers to them."""

    data_stack: str
    zones: int

    def __getitem__(self, name: str) -> str:
        return cdk.Fn.import_value(export_name(self.data_stack, name))

    def each(self, name: str) -> list[str]:
        """One value for each zone."""
        return [self[f"{name}{number}"] for number in range(1, self.zones + 1)]
