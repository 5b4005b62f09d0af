"""Where backups come from: the server's own bucket, another stack's, or a folder."""

from __future__ import annotations

from pathlib import Path

from hostemr.errors import SettingsError
from hostemr.host.configuration import EngineName
from hostemr.host.engines import Engine
from hostemr.host.engines.duplicity import Duplicity
from hostemr.host.engines.places import Bucket, Folder, Place
from hostemr.host.engines.repositories import Repositories, opened
from hostemr.host.engines.restic import Restic
from hostemr.host.server import Server


def own(server: Server, *, engine: EngineName | None = None, read_only: bool = False) -> Engine:
    """The server's own bucket, to be read and written; of another engine's points, from before a change, to be read.

    `read_only` is for whoever does not hold the agent's lock: it neither writes nor removes what seems left behind.
    """
    one = server.configuration
    wanted = engine or one.engine
    passphrase = server.aws.secret(one.passphrase_secret)
    place = _bucket(server, wanted, one.bucket, one.key_arn)
    return _engine(server, wanted, place, passphrase, cache="own", read_only=read_only or wanted != one.engine)


def recovery(server: Server) -> Engine:
    """The bucket of the stack that this server recovers from, to be read. Raises SettingsError where none is told."""
    one = server.configuration.recovery
    if one is None:
        raise SettingsError(
            ["This server is told of no other stack to recover from."],
            hint="launch the recovery template, with RecoveryS3Bucket and RecoveryKMSKey",
        )
    if one.passphrase_secret is not None:
        passphrase = server.aws.secret(one.passphrase_secret)
    else:
        # Where the original Express Plus keeps it: beside what it opens, under the KMS key.
        passphrase = server.aws.text_object(one.bucket, f"{server.configuration.prefix}/passphrase.txt")
    place = _bucket(server, one.engine, one.bucket, one.key_arn)
    return _engine(server, one.engine, place, passphrase, cache="recovery", read_only=True)


def folder(server: Server, path: Path, engine: EngineName, passphrase_file: Path | None) -> Engine:
    """A repository or archive that was brought to this machine, to be read.

    It is opened with the server's own passphrase where no file holds another one. Raises SettingsError.
    """
    if not path.is_dir():
        raise SettingsError([f"{path} is no folder"], hint="name the folder that holds the repository or the archive")
    if passphrase_file is None:
        passphrase = server.aws.secret(server.configuration.passphrase_secret)
    else:
        try:
            passphrase = passphrase_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError([f"{passphrase_file} cannot be read: {error.strerror or error}"]) from error
        except UnicodeDecodeError:
            # Not `from error`: that one holds the whole file.
            raise SettingsError([f"{passphrase_file} is no text in UTF-8"]) from None
        if not passphrase:
            raise SettingsError([f"{passphrase_file} is empty: expected the passphrase of the backups"])
    return _engine(server, engine, Folder(path), passphrase, cache="folder", read_only=True)


def _bucket(server: Server, engine: EngineName, name: str, key_arn: str | None) -> Bucket:
    one = server.configuration
    return Bucket(
        aws=server.aws,
        name=name,
        # Duplicity's files lie where the original's lie, so that it finds those too.
        prefix=one.prefix if engine == "duplicity" else f"{one.prefix}/restic",
        region=one.region,
        endpoint_url=one.endpoint_url,
        key_arn=key_arn,
    )


def _engine(
    server: Server, engine: EngineName, place: Place, passphrase: str, *, cache: str, read_only: bool
) -> Engine:
    memory = server.layout.cache / f"{engine}-{cache}"
    if engine == "duplicity":
        return Duplicity(
            server.programs,
            place,
            passphrase=passphrase,
            archive=memory,
            full_every_days=server.configuration.full_every_days,
            read_only=read_only,
        )

    def repository(where: Place, number: str) -> Restic:
        return Restic(
            server.programs,
            where,
            passphrase=passphrase,
            cache=memory / number,
            server=server.configuration.name,
            read_only=read_only,
        )

    return opened(place, repository) if isinstance(place, Folder) else Repositories(place, repository)
