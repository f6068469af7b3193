"""`posekit recipe`: which recipes there are, and what their fields mean."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

recipe_app = typer.Typer(help="List the recipes, or show the fields of one.", no_args_is_help=True)


@recipe_app.command("list")
def recipe_list() -> None:
    """The recipes, and what each is for."""
    from posekit.fields import written
    from posekit.recipes import PURPOSES, RECIPES

    rows = [
        (recipe.name, recipe.network, f"{written(recipe.input_size)} px", str(recipe.epochs), PURPOSES[recipe.name])
        for recipe in RECIPES.values()
    ]
    _print(["recipe", "network", "input", "epochs", "purpose"], rows)


@recipe_app.command("show")
def recipe_show(
    name: Annotated[str, typer.Argument(help="The recipe, for example poseestnet-smoke.")],
    against: Annotated[str | None, typer.Option(help="Another recipe: show only the fields that differ.")] = None,
) -> None:
    """A recipe's fields: their values, what they take, and what they mean. `--set field=value` changes one."""
    from dataclasses import fields

    from posekit.fields import accepts, written
    from posekit.recipes import get_recipe

    recipes = [get_recipe(recipe) for recipe in (name, against) if recipe is not None]
    rows = []
    for field in fields(recipes[0]):
        values = [written(getattr(recipe, field.name)) for recipe in recipes]
        if against is None or len(set(values)) > 1:
            rows.append((field.name, *values, accepts(field), field.metadata["help"]))
    _print(["field", *(recipe.name for recipe in recipes), "takes", "meaning"], rows)


def _print(columns: list[str], rows: list[tuple[str, ...]]) -> None:
    """As a table that fits a terminal; into a file or pipe every row is one line."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    table.columns[0].min_width = max((len(row[0]) for row in rows), default=0)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 1000, markup=False).print(table)
