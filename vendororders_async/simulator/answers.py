"""What is sent back: an answer as a value, and Amazon's bodies for every refusal."""

from __future__ import annotations

import msgspec

JSON = "application/json"
HTML = "text/html"

# As dumped in amzn/selling-partner-api-docs issue 86; later ones also carry empty details.
QUOTA_EXCEEDED = "You exceeded your quota for the requested resource."
# amzn/selling-partner-api-docs issue 3072
DENIED = "Access to requested resource is denied."
BAD_TOKEN = "The access token you provided is revoked, malformed or invalid."  # noqa: S105  # words

_HTML_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n"
    "<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A status and a body; *error_type* and *location* go into the headers that name them."""

    status: int
    body: bytes
    content_type: str = JSON
    is_zipped: bool = False
    error_type: str | None = None
    retry_after: float | None = None
    location: str | None = None
    order_count: int = 0


def failure(
    status: int,
    code: str,
    message: str,
    details: str = "",
    *,
    error_type: str | None = None,
    retry_after: float | None = None,
) -> Answer:
    """Return an ``errors`` body."""
    error = {"code": code, "message": message, "details": details}
    return Answer(
        status=status,
        body=msgspec.json.encode({"errors": [error]}),
        error_type=error_type,
        retry_after=retry_after,
    )


def throttled(retry_after: float | None) -> Answer:
    """Return the 429, which at Amazon names no time to come back."""
    return failure(
        429,
        "QuotaExceeded",
        QUOTA_EXCEEDED,
        error_type="TooManyRequestsException",
        retry_after=retry_after,
    )


def denied(details: str = BAD_TOKEN) -> Answer:
    """Return the 403 of a token that is missing, unknown or expired."""
    return failure(403, "Unauthorized", DENIED, details, error_type="AccessDeniedException")


def invalid(code: str, message: str, details: str = "") -> Answer:
    """Return the 400 of a request that cannot be meant."""
    return failure(400, code, message, details, error_type=f"{code}Exception")


def not_found(what: str) -> Answer:
    """Return the 404: there is no such thing, or not for this account."""
    return failure(
        404,
        "ResourceNotFound",
        f"{what} was not found.",
        error_type="ResourceNotFoundException",
    )


def too_large() -> Answer:
    """Return the 413, whose limit Amazon does not publish."""
    return failure(
        413, "RequestEntityTooLarge", "The request is larger than the server can process."
    )


def server_error(status: int) -> Answer:
    """Return a 500 or a 503 as JSON."""
    if status == 503:  # noqa: PLR2004  # its own name in the line below
        return failure(503, "ServiceUnavailable", "Service is temporarily unavailable.")
    return failure(
        500, "InternalFailure", "We encountered an internal error. Please try again."
    )


def html(status: int, title: str) -> Answer:
    """Return a page for browsers, as load balancers and malformed requests get them."""
    # https://developer-docs.amazon.com/sp-api/docs/resolving-400-errors
    page = _HTML_PAGE.format(title=f"{status} {title}")
    return Answer(status=status, body=page.encode(), content_type=HTML)


def oauth_error(status: int, error: str, description: str) -> Answer:
    """Return a refusal of Login with Amazon, which has a form of its own."""
    # https://developer-docs.amazon.com/sp-api/docs/connect-to-the-selling-partner-api
    body = {"error": error, "error_description": description}
    return Answer(status=status, body=msgspec.json.encode(body))


def refusal(kind: str, *, retry_after: float | None, redirect_to: str) -> Answer:  # noqa: PLR0911 - a table of kinds
    """Return the answer that a fault of *kind* puts in the place of the right one."""
    match kind:
        case "403":
            return denied()
        case "429":
            return throttled(retry_after)
        case "500" | "503" | "500-after":
            return server_error(int(kind[:3]))
        case "html":
            return html(503, "Service Temporarily Unavailable")
        case "html-400":
            return html(400, "Bad Request")
        case "redirect":
            return Answer(status=307, body=b"", content_type=HTML, location=redirect_to)
        case "errors-200":
            return msgspec.structs.replace(server_error(500), status=200)
        case _:
            # goes away when repeated: amzn/selling-partner-api-docs issue 1745
            return invalid("InvalidInput", "Invalid Input")
