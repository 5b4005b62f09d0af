"""The architecture of a deployment as one picture, from its templates alone."""

from __future__ import annotations

from collections.abc import Mapping

from hostemr.operate.diagram.facts import picture
from hostemr.operate.diagram.layout import arrange
from hostemr.operate.diagram.model import Picture
from hostemr.operate.diagram.svg import render
from hostemr.operate.template import Template


def draw(templates: Mapping[str, Template], *, title: str) -> str:
    """One self-contained SVG of a deployment, whose templates are given by the names of their stacks.

    Parameters have their defaults. The same templates give the same bytes. Raises nothing for types that it does not
    know: it counts them in a footnote.
    """
    found = picture(templates, title=title)
    return render(arrange(found), title=title, description=described(found))


def described(picture: Picture) -> str:
    """The picture in sentences, for those who hear it."""
    lines = [said.text for said in picture.summary]
    for one in picture.components:
        marks = [f"key {key.mark}: {key.name}" for key in one.keys]
        marks += ["public"] if one.public else []
        marks += ["stays when the stack is deleted"] if one.kept else []
        lines.append(f"{one.title}: " + "; ".join([*(said.text for said in one.details), *marks]) + ".")
    titles = {one.id: one.title for one in picture.components}
    for flow in picture.flows:
        says = ", ".join(said.text for said in flow.says) or "copied by the backups"
        lines.append(f"{titles[flow.source]} to {titles[flow.target]}: {says}.")
    return " ".join(lines)
