"""Alembic's entry: migrates over the connection it is given, or prints SQL where it is given none."""

from __future__ import annotations

from alembic import context

from hostemr.registration.schema import metadata

config = context.config


def _run() -> None:
    if context.is_offline_mode():
        context.configure(
            dialect_name=config.attributes["dialect_name"],
            target_metadata=metadata,
            literal_binds=True,
            output_buffer=config.output_buffer,
        )
    else:
        context.configure(connection=config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


_run()
