"""The reference of the commands, from what their --help says, as a page in Markdown."""

from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


def reference(command: TyperCommand | TyperGroup, name: str = "posekit") -> str:
    """The page: a heading and a table for every command, as deep as they are nested."""
    context = typer.Context(command, info_name=name)
    return "# Options of every command\n\n" + "\n".join(_lines(context, 2)) + "\n"


def _lines(context: typer.Context, level: int) -> Iterator[str]:
    command = context.command
    yield from (f"{'#' * level} {context.command_path}", "", command.help or "", "")
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _lines(typer.Context(child, info_name=name, parent=context), min(level + 1, 4))
        return
    words = " ".join(command.collect_usage_pieces(context))
    yield from ("```text", f"{context.command_path} {words}", "```", "")
    rows = [_row(parameter) for parameter in command.params if isinstance(parameter, TyperOption | TyperArgument)]
    if rows:
        yield from ("| parameter | meaning |", "| --- | --- |", *rows, "")


def _row(parameter: TyperOption | TyperArgument) -> str:
    names = (
        [(parameter.metavar or parameter.name or "").upper()]
        if isinstance(parameter, TyperArgument)
        else parameter.opts
    )
    text = " ".join(filter(None, [parameter.help, _default(parameter)]))
    cells = ", ".join(f"`{name}`" for name in names), text
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _default(parameter: TyperOption | TyperArgument) -> str:
    plain = isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool)
    return f"Default: `{parameter.default}`." if plain and parameter.default != "" else ""
