"""Errors of boto3 and AWS as one line that a person can act on: a table of what is known, searched from its top.

Codes: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, and each service's own list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

import botocore.session
from botocore import exceptions

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError
from hostemr.operate.printable import printable

NO_STACK = re.compile(r"Stack (?:with id )?(?P<name>\S+) does not exist")
NO_STACK_HINT = "name its --region, and its --suffix if it has one"

_SIGN_IN = "sign in with `aws sso login` or `aws configure`; `aws sts get-caller-identity` shows who you are"
_SIGN_IN_AGAIN = "sign in again, with `aws sso login` or as you did before; then give the same command again"
_REGION_OPTION = "give --region, or set AWS_REGION"
_NETWORK = "look at the network, at a VPN or proxy (HTTPS_PROXY), and at the region's name"
_MAY_NOT = re.compile(r"is not authorized to perform:? (?P<action>[\w-]+:\w+)(?: on resource:? (?P<on>\S+))?")
_DENIED_BY = re.compile(r"with an explicit deny in (?:an? )?(?P<by>[\w -]+?)(?:[:.,]|$)")
_ENCODED = re.compile(r"\s*Encoded authorization failure message: \S+")
_GIVEN_VALUE = re.compile(r", value: .*?(?=, (?:type|valid))", re.DOTALL)
_URL_HOST = re.compile(r"https?://(?:[^/@\s]*@)?(?P<host>[^/:\"\s]+)")
_REGION = re.compile(r"^[a-z]{2,}(?:-[a-z]+)+-\d+$")


@dataclass(frozen=True)
class _Known:
    """Errors that mean one thing: codes of services, botocore's types, and what the message must say if anything."""

    make: Callable[[Exception, str], HostemrError]
    codes: frozenset[str] = frozenset()
    types: tuple[type[Exception], ...] = ()
    says: re.Pattern[str] | None = None

    def is_meant(self, error: Exception) -> bool:
        if not (error_code(error) in self.codes or isinstance(error, self.types)):
            return False
        return self.says is None or self.says.search(str(error)) is not None


def error_code(error: Exception) -> str:
    """The code of a service's error, such as `DBClusterNotFoundFault`; empty for any other."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, exceptions.ClientError) else ""


def translation(error: Exception, doing: str) -> HostemrError:
    """The error of ours for one of botocore's; `doing` stands before the line."""
    known = next((one for one in _TABLE if one.is_meant(error)), None)
    return known.make(error, doing) if known else OutsideWorldError(f"{doing}{_line(error)}")


def _line(error: Exception) -> str:
    return printable(" ".join(_ENCODED.sub("", str(error)).split()))


def _outside(text: str, hint: str) -> Callable[[Exception, str], HostemrError]:
    """A line without anything of AWS's own message but its code."""

    def make(error: Exception, doing: str) -> HostemrError:
        return OutsideWorldError(f"{doing}{text.format(code=error_code(error))}", hint=hint)

    return make


def _settings(hint: str) -> Callable[[Exception, str], HostemrError]:
    return lambda error, doing: SettingsError([f"{doing}{_line(error)}"], hint=hint)


def _no_profile(error: Exception, doing: str) -> HostemrError:
    session = botocore.session.Session()
    # Or botocore looks for the wrong one again, in the environment.
    session.set_config_variable("profile", None)
    name = str(getattr(error, "kwargs", {}).get("profile", ""))
    near = get_close_matches(name, session.full_config.get("profiles", {}), n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    message = f"{doing}There is no profile {name!r} in AWS's configuration."
    return SettingsError([message], hint=f"{meant}aws configure list-profiles shows those that there are")


def _wrong_request(error: Exception, doing: str) -> HostemrError:
    # botocore repeats the value, which may be a password.
    return SettingsError([f"{doing}{' '.join(_GIVEN_VALUE.sub('', str(error)).split())}"])


def _denied(error: Exception, doing: str) -> HostemrError:
    text = _line(error)
    found, by = _MAY_NOT.search(text), _DENIED_BY.search(text)
    if not found:
        return OutsideWorldError(f"{doing}AWS refuses: {text}", hint=f"have it allowed; {_SIGN_IN}")
    where = f" on {found['on'].rstrip('.')}" if found["on"] not in {None, "*"} else ""
    why = f" (denied by a {by['by'].strip()})" if by else ""
    hint = f"have {found['action']} allowed, or sign in as somebody who may"
    return OutsideWorldError(f"{doing}Your credentials may not {found['action']}{where}{why}.", hint=hint)


def _unreachable(error: Exception, doing: str) -> HostemrError:
    address = _URL_HOST.search(str(error))
    host = address["host"] if address else ""
    region = next((part for part in host.split(".") if _REGION.match(part)), "")
    if region:
        known = list(_regions())
        near = " or ".join(get_close_matches(region, known, n=2))
        if region not in known:
            hint = f"did you mean {near}? {_REGION_OPTION}" if near else _REGION_OPTION
            return OutsideWorldError(f"{doing}{host} was not reached, and no region {region} is known.", hint=hint)
    what = host or "AWS"
    if isinstance(error, exceptions.SSLError):
        message = f"{doing}The certificate of {what} is not trusted here."
        return OutsideWorldError(message, hint="behind a proxy that breaks TLS open, set AWS_CA_BUNDLE to its roots")
    if isinstance(error, exceptions.ReadTimeoutError):
        return OutsideWorldError(f"{doing}{what} did not answer in time.", hint=_NETWORK)
    return OutsideWorldError(f"{doing}{what} was not reached.", hint=_NETWORK)


def _regions() -> Iterator[str]:
    session = botocore.session.Session()
    for partition in session.get_available_partitions():
        yield from session.get_available_regions("ec2", partition_name=partition)


def _no_stack(error: Exception, doing: str) -> HostemrError:
    found = NO_STACK.search(str(error))
    name = found["name"] if found else "of this name"
    return OutsideWorldError(f"{doing}There is no stack {name} here.", hint=NO_STACK_HINT)


_CLOCK = _outside(
    "This machine's clock differs from AWS's by more than it allows ({code}).",
    "set the clock, as with `timedatectl set-ntp true`, then give the same command again",
)
_UNKNOWN = _outside(
    "AWS does not know these credentials ({code}).",
    f"{_SIGN_IN}. A region that the account has not enabled answers so too: `aws account list-regions`",
)

_TABLE = (
    _Known(_no_profile, types=(exceptions.ProfileNotFound,)),
    _Known(_settings(_REGION_OPTION), types=(exceptions.NoRegionError, exceptions.InvalidRegionError)),
    _Known(
        _settings("mend ~/.aws/config"), types=(exceptions.ConfigParseError, exceptions.InvalidConfigError)
    ),
    _Known(_wrong_request, types=(exceptions.ParamValidationError,)),
    _Known(
        _outside("No credentials for AWS were found.", _SIGN_IN),
        codes=frozenset({"MissingAuthenticationToken", "MissingAuthenticationTokenException"}),
        types=(exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoAuthTokenError),
    ),
    _Known(_CLOCK, codes=frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})),
    _Known(
        _CLOCK,
        codes=frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}),
        says=re.compile(r"Signature (?:expired|not yet current)|is now earlier than|clock", re.IGNORECASE),
    ),
    _Known(
        _outside("The sign-in to AWS has expired, or cannot be renewed.", _SIGN_IN_AGAIN),
        codes=frozenset(
            {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "UnauthorizedException"}
        ),
        types=(
            exceptions.SSOError,
            exceptions.LoginError,
            exceptions.TokenRetrievalError,
        ),
    ),
    _Known(
        lambda error, doing: OutsideWorldError(f"{doing}{_line(error)}.".replace("..", "."), hint=_SIGN_IN_AGAIN),
        types=(exceptions.CredentialRetrievalError,),
    ),
    _Known(
        _outside(
            "This region is not enabled for your account ({code}).",
            "have it enabled with `aws account enable-region`, or give another --region",
        ),
        codes=frozenset({"OptInRequired", "RegionDisabledException"}),
    ),
    _Known(
        _UNKNOWN,
        codes=frozenset(
            {
                "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
                "InvalidSignatureException", "SignatureDoesNotMatch", "UnrecognizedClientException",
            }
        ),
    ),
    _Known(
        _denied,
        codes=frozenset(
            {
                "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException",
                "Forbidden", "ForbiddenException", "NotAuthorized", "UnauthorizedOperation",
            }
        ),
    ),
    _Known(
        _outside(
            "AWS asks for fewer requests ({code}), after several attempts.",
            "wait a minute, then give the same command again",
        ),
        codes=frozenset(
            {
                "BandwidthLimitExceeded", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
                "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
                "ThrottlingException", "TooManyRequestsException",
            }
        ),
    ),
    _Known(_unreachable, types=(exceptions.ConnectionError, exceptions.HTTPClientError)),
    _Known(_no_stack, codes=frozenset({"ValidationError"}), says=NO_STACK),
)  # fmt: skip
