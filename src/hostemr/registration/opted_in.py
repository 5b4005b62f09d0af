"""Who wants mail of a category: the one condition on which audiences are frozen and chunks are claimed."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_

from hostemr.registration.links import Category
from hostemr.registration.schema import subscriber

OPTED_OUT_AT = {"security": subscriber.c.security_opted_out_at, "news": subscriber.c.news_opted_out_at}
"""Since when a subscriber gets none of a category; NULL is that they do."""


def opted_in(category: Category) -> ColumnElement[bool]:
    """Whether a subscriber gets this category's mail: neither stopped by them, nor by bounces or a complaint."""
    return and_(subscriber.c.status == "active", OPTED_OUT_AT[category].is_(None))
