"""TLS towards MySQL and MariaDB: which CA vouches for the server, and where its certificate comes from."""

from __future__ import annotations

import ssl

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.registration.https_file import Connect, NotFetched, connect_with_tls, fetch_file
from hostemr.registration.setting_values import authorities
from hostemr.registration.settings import RegistrationSettings

MOST_BYTES = 1_048_576
"""AWS's bundle of every region has 165 KB (truststore.pki.rds.amazonaws.com/global/global-bundle.pem)."""


def with_authority(settings: RegistrationSettings, connect: Connect = connect_with_tls) -> RegistrationSettings:
    """The settings with `database_ca` fetched from `database_ca_url`, where only that is set.

    Raises OutsideWorldError where it cannot be fetched, or is no certificate.
    """
    if settings.database_ca is not None or settings.database_ca_url is None:
        return settings
    try:
        fetched = authorities(fetch_file(settings.database_ca_url, connect, MOST_BYTES).decode("ascii"))
    except (NotFetched, ValueError) as error:
        message = "The CA certificates of HOSTEMR_DATABASE_CA_URL could not be fetched."
        raise OutsideWorldError(message, hint=f"{error}; or set HOSTEMR_DATABASE_CA to their text") from error
    return settings.model_copy(update={"database_ca": fetched})


def database_tls(settings: RegistrationSettings) -> ssl.SSLContext | None:
    """What verifies the server's certificate and name; None where the settings ask for no TLS.

    Raises SettingsError where the file of `?ssl_ca=` cannot be used.
    """
    file = settings.effective_database_url.query.get("ssl_ca")
    if file:
        try:
            return _not_strict(ssl.create_default_context(cafile=str(file)))
        except OSError as error:
            problem = f"the file {file} of the database's ?ssl_ca= cannot be used: {error.strerror or error}"
            raise SettingsError([problem], hint="expected CA certificates (PEM)") from error
    if settings.database_ca is not None:
        return _not_strict(ssl.create_default_context(cadata=settings.database_ca))
    if settings.database_ca_url is not None:
        # Else whoever forgot to fetch them would reach the database unverified.
        message = "database_ca_url is set; with_authority is to fetch it first"
        raise ValueError(message)
    return None


def _not_strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """Trust, name and time are verified all the same.

    From Python 3.13 on, the default refuses chains that leave out what RFC 5280 asks for beside these
    (ssl.VERIFY_X509_STRICT), as databases' own CAs often do.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
