"""Runs the documentation: the Python of a Markdown page, top to bottom, in one namespace, checked against what it shows.

What is checked, beside that nothing raises:

- a ``text`` or ``output`` block right after a Python block is what that block prints;
- a line ``expression  # -> value`` has that value (its repr or str, or what it prints if it calls ``print``), and
  ``name = expression  # -> value`` assigns it, at any depth of nesting; a line that is never reached is a failure;
- a block that starts with ``>>>`` is a doctest.

In all of these ``...`` stands for anything and runs of white space are equal.  ``<!-- not run: reason -->`` before a
Python block and ``<!-- not checked: reason -->`` before an output block leave it out, with a reason and counted.
"""

from __future__ import annotations

import ast
import contextlib
import contextvars
import doctest
import io
import re
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PYTHON = {"python", "py", "pycon"}
OUTPUT = {"text", "output"}

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)[^`]*$")
_NOTE = re.compile(r"^\s*<!--\s*not (?P<what>run|checked)\b:?\s*(?P<reason>.*?)\s*-->\s*$")
_ARROW = re.compile(r"#\s*->\s*(?P<expected>.+?)\s*$")


class PageError(AssertionError):
    """A page that does not do what it shows; the message starts with file and line."""


@dataclass
class Block:
    """A fenced block: where its content starts, and what the page says about it."""

    language: str
    source: str
    line: int  # of the first line of content, from 1
    end: int  # of the closing fence
    excused: str | None = None  # the reason why it is not run or not checked
    expected: Block | None = None


@dataclass
class Report:
    """What became of a page."""

    run: int = 0
    checks: int = 0
    excused: list[str] = field(default_factory=list)


def parse(text: str, path: Path) -> list[Block]:
    """All fenced blocks of a page, output attached to the Python block it follows."""
    lines = text.splitlines()
    blocks: list[Block] = []
    i = 0
    while i < len(lines):
        opening = _FENCE.match(lines[i])
        if opening is None:
            i += 1
            continue
        fence, indent, start = opening["fence"], len(opening["indent"]), i
        closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        i += 1
        while i < len(lines) and not closing.match(lines[i]):
            i += 1
        if i == len(lines):
            raise PageError(f"{path}:{start + 1}: this fence is never closed")
        body = "\n".join(line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in lines[start + 1 : i])
        block = Block(opening["language"].lower(), body + "\n", start + 2, i + 1)
        above = start - 1
        while above >= 0 and not lines[above].strip():
            above -= 1
        note = _NOTE.match(lines[above]) if above >= 0 else None
        if note is not None:
            if note["what"] != ("run" if block.language in PYTHON else "checked"):
                raise PageError(f"{path}:{above + 1}: 'not run' is for Python blocks, 'not checked' for output")
            if not note["reason"]:
                raise PageError(f"{path}:{above + 1}: a block that is left out says why: <!-- not run: reason -->")
            block.excused = f"{path.name}:{block.line}: {note['reason']}"
        follows = bool(blocks) and blocks[-1].language in PYTHON and above + 1 == blocks[-1].end
        if block.language in OUTPUT and follows and block.excused is None:
            blocks[-1].expected = block
        blocks.append(block)
        i += 1
    return blocks


def run_page(path: Path, text: str | None = None) -> Report:
    """Execute a page; its text may be given instead of read.

    Raises:
        PageError: something raised, or printed or evaluated to something else than the page shows.
    """
    blocks = parse(path.read_text(encoding="utf-8") if text is None else text, path)
    report = Report(excused=[block.excused for block in blocks if block.excused is not None])
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}

    def whole_page() -> None:
        for block in blocks:
            if block.language in PYTHON and block.excused is None:
                report.run += 1
                report.checks += _run(block, namespace, path)

    contextvars.copy_context().run(whole_page)  # a page that leaves a mode switched disturbs nobody else
    return report


def _run(block: Block, namespace: dict[str, Any], path: Path) -> int:
    if block.source.lstrip().startswith(">>>"):
        return _run_doctest(block, namespace, path)
    checks = 0
    padded = "\n" * (block.line - 1) + block.source  # so that tracebacks point into the page
    printed = io.StringIO()
    arrows = _arrows(padded)
    reached: set[int] = set()

    def check(line: int, value: Any) -> Any:
        reached.add(line)
        _compare(arrows[line], (repr(value), str(value)), f"{path}:{line}")
        return value

    def check_printed(line: int, since: int) -> None:
        reached.add(line)
        _compare(arrows[line], (printed.getvalue()[since:],), f"{path}:{line}")

    try:
        tree = ast.parse(padded, str(path))
        code = compile(_Checked(arrows).apply(tree), str(path), "exec")
        namespace.update(__check__=check, __check_printed__=check_printed, __printed__=printed.tell)
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
    except PageError:
        raise
    except BaseException as error:  # a page must not end the test run by SystemExit either
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(error, path)
        raise PageError(f"{path}:{line or block.line}: {type(error).__name__}: {error}") from error
    for line in arrows.keys() - reached:
        raise PageError(
            f"{path}:{line}: this '# ->' was not checked: it belongs to no expression or assignment that ran"
        )
    checks += len(reached)
    if block.expected is not None:
        _compare(block.expected.source, (printed.getvalue(),), f"{path}:{block.expected.line}")
        checks += 1
    return checks


def _run_doctest(block: Block, namespace: dict[str, Any], path: Path) -> int:
    test = doctest.DocTestParser().get_doctest(block.source, namespace, path.name, str(path), block.line - 1)
    test.globs = namespace  # get_doctest copies; a page is one namespace
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    result = runner.run(test, out=report.write, clear_globs=False)
    if result.failed:
        raise PageError(
            f"{path}:{block.line}: {result.failed} of {result.attempted} examples fail\n{report.getvalue()}"
        )
    return sum(example.want != "" for example in test.examples)


def _arrows(source: str) -> dict[int, str]:
    """Line number to expected text of every ``# ->`` comment."""
    found = {}
    with contextlib.suppress(tokenize.TokenError, SyntaxError):  # a broken block is reported when it is parsed
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            match = _ARROW.match(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                found[token.start[0]] = match["expected"]
    return found


class _Checked(ast.NodeTransformer):
    """Hands the value of every statement that ends on a line with an arrow to the checking functions."""

    def __init__(self, arrows: dict[int, str]) -> None:
        self.arrows = arrows

    def apply(self, tree: ast.Module) -> ast.Module:
        return ast.fix_missing_locations(self.visit(tree))

    def visit_Expr(self, node: ast.Expr) -> Any:
        line = node.end_lineno
        if line not in self.arrows:
            return node
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "print":
            before = _call("__printed__")
            keep = ast.Assign([ast.Name("__since__", ast.Store())], before)
            after = ast.Expr(_call("__check_printed__", ast.Constant(line), ast.Name("__since__", ast.Load())))
            return [ast.copy_location(keep, node), node, ast.copy_location(after, node)]
        node.value = ast.copy_location(_call("__check__", ast.Constant(line), node.value), node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        if node.end_lineno not in self.arrows:
            return node
        node.value = ast.copy_location(_call("__check__", ast.Constant(node.end_lineno), node.value), node.value)
        return node


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _compare(expected: str, candidates: tuple[str, ...], where: str) -> None:
    checker = doctest.OutputChecker()
    if not any(checker.check_output(expected.strip() + "\n", text.strip() + "\n", FLAGS) for text in candidates):
        raise PageError(f"{where}: the page shows\n{expected.strip()}\nbut it is\n{candidates[0].strip()}")


def _line_in(error: BaseException, path: Path) -> int | None:
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == str(path):
            line = step.tb_lineno
        step = step.tb_next
    return line


# -- links ----------------------------------------------------------------------------------------------------------

_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\](?:\([^)]*\))?)*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_INNER_IMAGE = re.compile(r"!\[[^\[\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)", re.MULTILINE)
_HTML = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)\s*=\s*[\"']([^\"']+)[\"']")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)


def prose(text: str) -> str:
    """The page without code, line numbers kept."""
    lines = text.splitlines()
    for block in parse(text, Path("page")):
        for i in range(block.line - 2, block.end):
            lines[i] = ""
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda m: "x" * len(m[0]), "\n".join(lines))


def links(text: str) -> list[tuple[int, str]]:
    """Line and target of every link and image in a page's prose."""
    clean = prose(text)
    found = {
        (clean.count("\n", 0, match.start(1)) + 1, match[1])
        for pattern in (_LINK, _INNER_IMAGE, _DEFINITION, _HTML)
        for match in pattern.finditer(clean)
    }
    return sorted(found)


def anchors(text: str) -> set[str]:
    """The fragments that a page's headings can be linked by, as GitHub makes them."""
    lines = text.splitlines()
    for block in parse(text, Path("page")):
        for i in range(block.line - 2, block.end):
            lines[i] = ""
    clean = "\n".join(lines)
    slugs: set[str] = set(re.findall(r"<a\s+(?:id|name)=[\"']([^\"']+)[\"']", clean))
    for heading in _HEADING.findall(clean):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        again = 0
        unique = slug
        while unique in slugs:
            again += 1
            unique = f"{slug}-{again}"
        slugs.add(unique)
    return slugs


def dead_links(page: Path, text: str | None = None) -> list[str]:
    """Relative links of a page whose file or heading does not exist."""
    text = page.read_text(encoding="utf-8") if text is None else text
    dead = []
    for line, target in links(text):
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if file != page and not file.exists():
            dead.append(f"{page}:{line}: {target}: no such file")
        elif fragment and file.suffix == ".md":
            there = text if file == page else file.read_text(encoding="utf-8")
            if fragment not in anchors(there):
                dead.append(f"{page}:{line}: {target}: no such heading")
    return dead
