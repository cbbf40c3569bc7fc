"""Errors of the core as HTTP statuses, once for all routes."""

from __future__ import annotations

import msgspec
from tornado.web import HTTPError

from mlrun_jupyter import errors
from mlrun_jupyter_server.schema import Error, ErrorBody

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.MLRunNotFoundError, 404),
    (errors.SecretNotFoundError, 404),
    (errors.MLRunInvalidArgumentError, 400),
    (errors.MLRunConflictError, 409),
    (errors.MLRunPreconditionFailedError, 409),
    (errors.MLRunMissingDependencyError, 501),
    (errors.UntrustedArtifactError, 403),
    (errors.StoreError, 503),
    (errors.MLRunTimeoutError, 504),
    (msgspec.ValidationError, 400),
    (msgspec.DecodeError, 400),
)


def answer(error: BaseException | None, status: int = 500) -> tuple[int, ErrorBody]:
    """The status and the body for an error."""
    if isinstance(error, HTTPError):
        status = error.status_code
        return status, ErrorBody(Error("HTTPError", error.log_message or error.reason or _said(status)))
    for kind, found in STATUS:
        if isinstance(error, kind):
            status = found
            break
    if isinstance(error, errors.MLRunError):
        return status, ErrorBody(Error(type(error).__name__, error.what, error.why, error.next_step))
    if isinstance(error, msgspec.ValidationError | msgspec.DecodeError):
        return status, ErrorBody(Error("MLRunInvalidArgumentError", "the request cannot be read", str(error), "see mlrun/v1/openapi.json"))
    return status, ErrorBody(Error(type(error).__name__ if error else "HTTPError", _said(status), "", "see the server's log" if status >= 500 else ""))


def _said(status: int) -> str:
    from http.client import responses

    return responses.get(status, "error").lower()
