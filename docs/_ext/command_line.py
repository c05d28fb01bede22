"""The directive ``command-line``: every command, option and exit code, from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import typer
from docutils import nodes
from rich.text import Text
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from alliance.cli.app import app as program


def describe(command: Any, name: str, level: int) -> Iterator[str]:
    """A command and those below it, in Markdown: usage, help, arguments, options, examples, exit codes."""
    below = _below(command)
    yield f"{'#' * level} {name}"
    words = [_usage(p) for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    yield _block(
        " ".join([name, *(["[OPTIONS]"] if options else []), *words, *(["COMMAND …"] if below else [])])
    )
    yield from (_escape(paragraph) for paragraph in _plain(command.help).split("\n\n"))
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    if shown:
        yield "\n".join(["| argument or option | default | meaning |", "|---|---|---|", *map(_row, shown)])
    for part in _plain(command.epilog).split("\n\n") if command.epilog else ():
        heading, _, rest = re.sub(r"^(Examples|Exit codes)\s+", r"\1\n", part).partition("\n")
        yield f"*{heading}*"
        yield _block(rest if heading == "Examples" or "·" not in part else "\n".join(rest.split("  ·  ")))
    for word, command_below in below.items():
        yield from describe(command_below, f"{name} {word}", level + (level < 3))


def _below(command: Any) -> dict[str, Any]:
    """The commands of a group, those of other installed packages included."""
    if not hasattr(command, "list_commands"):
        return {}
    context = typer.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}


def _plain(marked: str | None) -> str:
    """Help without the marks that rich makes bold of."""
    return Text.from_markup(marked or "").plain.strip()


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def _usage(parameter: Any) -> str:
    word = (parameter.metavar or parameter.name.upper()).strip("[]")
    return word if parameter.required else f"[{word}]"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{_usage(parameter)}`"
    else:
        choices = "|".join(getattr(parameter.type, "choices", ()))
        value = "" if parameter.is_flag else f" {parameter.metavar or choices or parameter.type.name.upper()}"
        names = ", ".join(f"`{option}{value}`" for option in parameter.opts).replace("|", "\\|")
    default = parameter.default
    shown = getattr(default, "value", default)
    text = "required" if parameter.required else "" if shown in (None, False, ()) else f"`{shown}`"
    again = "; may be repeated" if getattr(parameter, "multiple", False) else ""
    return f"| {names} | {text} | {_escape(_plain(parameter.help)).rstrip('.')}{again} |"


class CommandLine(SphinxDirective):
    """Puts the whole command line here, one section for each command."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        text = "\n\n".join(describe(typer.main.get_command(program), "alliance", 2))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
