"""Alembic's entry: migrates over the connection it is given, or prints SQL where it is given none."""

from __future__ import annotations

from alembic import context

from hostemr.registration.schema import metadata

config = context.config


def _run() -> None:
    options = {
        "target_metadata": metadata,
        # A stopped migration can be run again: MySQL commits each CREATE by itself.
        "transaction_per_migration": True,
    }
    if context.is_offline_mode():
        context.configure(
            dialect_name=config.attributes["dialect_name"],
            literal_binds=True,
            output_buffer=config.output_buffer,
            **options,
        )
    else:
        context.configure(connection=config.attributes["connection"], **options)
    with context.begin_transaction():
        context.run_migrations()


_run()
