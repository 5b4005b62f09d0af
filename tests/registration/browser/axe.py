"""Scans a page by axe-core: what of WCAG 2.2 AA a program can see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SCAN = """async rules => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: rules }, resultTypes: ["violations"] });
  return { passes: found.passes.length, violations: found.violations.map(one => ({
    id: one.id, help: one.help, nodes: one.nodes.map(node => node.target.join(" ") + ": " + node.failureSummary) })) };
}"""


def scan(page: Page) -> list[str]:
    """Every violation on the page as it is shown now, a line each."""
    if not AXE.exists():
        pytest.skip("needs axe-core, which `make test` installs")
    # By the debugger, past the page's Content-Security-Policy, which stays in force for the page itself.
    page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found: dict[str, Any] = page.evaluate(SCAN, list(RULES))
    assert found["passes"] > 0, "axe-core looked at nothing"
    return [f"{one['id']} ({one['help']}): {node}" for one in found["violations"] for node in one["nodes"]]
