"""Small wrong versions of a module: one change of its syntax tree each.

Left alone: docstrings, annotations, texts of errors, `__repr__` and imports, whose change no test should have
to notice; `if TYPE_CHECKING`, which never runs; and `strict` of zip, which speaks about what cannot happen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """`function` is the qualified name of the outermost function that is changed, or "" outside of all."""

    module: str
    path: Path
    line: int
    function: str
    change: str
    _place: int
    _choice: int

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"

    def tree(self) -> ast.Module:
        """The wrong module."""
        tree = ast.parse(self.path.read_text())
        node = _places(tree)[self._place][1]
        _, before, after = list(_changes(node))[self._choice]
        _Replacer(before, after).visit(tree)
        return ast.fix_missing_locations(tree)


def mutants_of(module: str, path: Path) -> Iterator[Mutant]:
    """All of them, in the order of the source."""
    for place, (function, node) in enumerate(_places(ast.parse(path.read_text()))):
        for choice, (kind, before, after) in enumerate(_changes(node)):
            change = f"{kind}: {_short(before)} -> {_short(after)}"
            yield Mutant(module, path, getattr(node, "lineno", 0), function, change, place, choice)


def _short(node: ast.AST | None) -> str:
    text = "nothing" if node is None else ast.unparse(node).split("\n")[0]
    return text if len(text) <= 80 else text[:77] + "..."


def _places(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """(function, node) for every statement and expression that may be changed."""

    def walk(node: ast.AST, function: str, classes: str) -> Iterator[tuple[str, ast.AST]]:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Raise() | ast.JoinedStr():
                if isinstance(node, ast.Raise):
                    yield function, node  # the statement, not the text of its error
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.FunctionDef(name="__repr__" | "__str__") | ast.keyword(arg="strict"):
                return
            case ast.FunctionDef():
                name = function or f"{classes}{node.name}"
                for child in node.body:
                    yield from walk(child, name, classes)
                for default in (*node.args.defaults, *node.args.kw_defaults):
                    if default is not None:
                        yield from walk(default, function, classes)
                return
            case ast.ClassDef():
                for child in node.body:
                    yield from walk(child, function, f"{classes}{node.name}.")
                return
            case ast.AnnAssign():
                if node.value is not None:
                    yield function, node
                    yield from walk(node.value, function, classes)
                return
            case ast.Expr(value=ast.Constant()):
                return  # a docstring
        yield function, node
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function, classes)

    return [place for statement in tree.body for place in walk(statement, "", "")]


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST | None]]:
    """(kind, before, after)."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=comparators) if type(op) in _COMPARISONS:
            yield "comparison", node, ast.Compare(left, [_COMPARISONS[type(op)]()], comparators)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for at, op in enumerate(ops):
                if type(op) in _COMPARISONS:
                    changed = [*ops[:at], _COMPARISONS[type(op)](), *ops[at + 1 :]]
                    yield "comparison", node, ast.Compare(left, changed, comparators)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            text = any(
                isinstance(side, ast.Constant | ast.JoinedStr) and _is_text(side) for side in (left, right)
            )
            if not (text and isinstance(op, ast.Mod)):
                yield "operator", node, ast.BinOp(left, _OPERATORS[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            yield "logic", node, ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "sign", node, operand
        case ast.Constant(value=bool(value)):
            yield "constant", node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", node, ast.Constant(value + 1)
        case ast.Constant(value=bytes(value)) if value:
            yield "constant", node, ast.Constant(value[:-1] + bytes((value[-1] ^ 1,)))
        case ast.If(test=test) | ast.IfExp(test=test):
            yield "condition", test, ast.UnaryOp(ast.Not(), test)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "result", node, ast.Return(ast.Constant(None))
        case ast.Raise():
            yield "raise", node, ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield "call", node, ast.Pass()
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _OPERATORS:
            yield "operator", node, ast.AugAssign(target, _OPERATORS[type(op)](), value)
        case ast.Break():
            yield "loop", node, ast.Continue()
        case ast.Continue():
            yield "loop", node, ast.Break()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


class _Replacer(ast.NodeTransformer):
    def __init__(self, place: ast.AST, after: ast.AST | None) -> None:
        self._place, self._after = place, after

    def visit(self, node: ast.AST) -> ast.AST | None:
        return self._after if node is self._place else self.generic_visit(node)
