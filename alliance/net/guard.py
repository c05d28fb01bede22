"""Between gRPC and every handler: what no handler is to see of a caller, and no caller of a handler.

gRPC itself prints a traceback for a request that it cannot parse and hands out None in its place, and tells
the caller the text of any exception that a handler lets through. Here a request that is none is answered by
INVALID_ARGUMENT and a line in the log, and an exception by INTERNAL and a traceback in the log.
"""

from __future__ import annotations

import inspect
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError

from alliance.net.budget import Refused
from alliance.net.channels import one_line

log = logging.getLogger(__name__)

_NOT_PARSED = object()
"""In place of a request: bytes that are none."""


class EachMethod(grpc.aio.ServerInterceptor):
    """Something around every method of a server, of whichever service, made once for each."""

    def __init__(self) -> None:
        self._handlers: dict[str, Any] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The method's handler with that around it; None, as gRPC has it, when there is no such method."""
        method: str = handler_call_details.method
        if method not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            asks = "stream" if handler.request_streaming else "unary"
            answers = "stream" if handler.response_streaming else "unary"
            self._handlers[method] = self.around(method, handler, asks, answers)
        return self._handlers[method]

    @abstractmethod
    def around(self, method: str, handler: Any, asks: str, answers: str) -> Any:
        """The handler to use in place of this one; it is asked, and answers, by a "stream" or "unary"."""


class RequestGuard(EachMethod):
    """At most one line a second in the log."""

    def __init__(self) -> None:
        super().__init__()
        self._told = float("-inf")

    def around(self, method: str, handler: Any, asks: str, answers: str) -> Any:
        make = getattr(grpc, f"{asks}_{answers}_rpc_method_handler")
        behaviour = getattr(handler, f"{asks}_{answers}")
        wrap = self._yielding if inspect.isasyncgenfunction(behaviour) else self._answering
        parse = handler.request_deserializer
        return make(wrap(method, behaviour), parse and _parser(parse), handler.response_serializer)

    def _answering(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, context: Any) -> Any:
            try:
                return await behaviour(_parsed(request), _Context(context))
            except Exception as error:
                return await self._end(method, context, error)

        return guarded

    def _yielding(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                async for answer in behaviour(_parsed(request), _Context(context)):
                    yield answer
            except Exception as error:
                await self._end(method, context, error)

        return guarded

    async def _end(self, method: str, context: Any, error: Exception) -> None:
        """Ends the call. What gRPC or the budget raises to end it goes on to them."""
        match error:
            case grpc.aio.AbortError() | grpc.aio.InternalError() | Refused():
                raise error
            case _NotParsed():
                what = _request_of(method)
                if self._is_due():
                    log.warning("refused a call of %s by %s: not a %s", method, _caller(context), what)
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a {what}")
            case _:
                if self._is_due():
                    log.error("%s failed", method, exc_info=error)
                await context.abort(
                    grpc.StatusCode.INTERNAL, "this server has made an error: its log says more"
                )

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._told >= 1.0
        if due:
            self._told = now
        return due


class _NotParsed(Exception):
    """A request came that is none."""


class _Context:
    """gRPC's context, whose ``read`` does not hand out what is not a request."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        return _checked(await self._context.read())


def _parser(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def parsed(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return _NOT_PARSED

    return parsed


def _checked(request: Any) -> Any:
    if request is _NOT_PARSED:
        raise _NotParsed
    return request


def _parsed(request: Any) -> Any:
    """The request, or those of a stream; each is looked at before the handler sees it."""
    return _each(request) if hasattr(request, "__aiter__") else _checked(request)


async def _each(requests: Any) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


def _request_of(method: str) -> str:
    """The name of the method's request."""
    try:
        return str(Default().FindMethodByName(method.strip("/").replace("/", ".")).input_type.name)
    except KeyError:
        return "request of this method"


def _caller(context: Any) -> str:
    """Who is at the other end, by its certificate."""
    names = context.auth_context().get("x509_common_name", ())
    return one_line(names[0].decode(errors="replace")) if names else "somebody"
