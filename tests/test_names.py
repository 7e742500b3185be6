"""Names follow one rule: modules and classes are nouns, functions start with a verb, what a module keeps to itself is private."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "engine").rglob("*.py"))}
SCRIPTS = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "scripts").glob("*.py"))]
VERBS = frozenset(
    """
    add adjust adopt advise allow answer append apply ask attend average balance begin bind bracket build cache
    calculate calibrate call canonicalise chase check choose cite claim classify clean clear close collect combine compare
    complete compute copy count create cut decode decorate deduplicate deepen define delete deliver describe detach detect
    disable discard diversify download draw drop dump embed encode end enter escape estimate evaluate exit expand explain
    export extract fail fetch fill find finish flag flatten flush follow forbid forget format free freeze fuse
    gather get give grade group guard guess handle hash hide hold identify index insert install intersect invoke
    iterate join judge keep label leave limit link lint list listen load locate lock log look make map mark mask
    match measure merge mine mix move name normalise normalize note notify number open optimise order pair parse
    pause pin place plan pluralize point pool predict prepare print probe project promote provide prune publish put
    quantise quote raise rank rate read receive recognise record redact reduce refresh refuse reindex reject release
    remember remove rename render repair replace report require rerun resample resolve respond restore resume roll
    round route run sample say scale scan score screen seal search select send serialise serve set settle shorten
    show silence simplify simulate size sniff sort spend split standardise start stem store stretch strip suggest
    summarise sync take tally tell test tidy time tokenise touch train try tune turn unguard unquote update use vary
    vectorise verify wait walk warm warn watch widen wrap write borrow clone delay hand lift revise unite
    connect halve learn rerank translate absorb decide divide separate undo exchange lower carry share unlink fold restrict weigh change compact sum
    """.split()
)
PREDICATES = frozenset("can fits has is looks matches may was".split())
ALLOWED = {
    "nearest": "Index.nearest, the top-k call by cosine",
    "similar": "Index.similar, as the command and the address of the API",
    "new": "Index.new, the same",
    "recall": "Index.recall, the same",
    "next": "ReviewQueue.next_records, the same",
    "abstracts": "Index.abstracts, as keys() and items() are named",
    "vectors": "Index.vectors, the same",
    "repr": "_repr_html_, as notebooks call it",
    "similarity": "MtebEncoder.similarity, as mteb calls it",
    "main": "the entry point of a command line",
    "startup": "a method of uvicorn's Server",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[tuple[Function, bool]]:
    """Functions of a module and methods of its classes, each with whether it is a method."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node, False
        elif isinstance(node, ast.ClassDef):
            yield from ((child, True) for child in node.body if isinstance(child, Function))


def decorators(node: Function) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def starts_with_a_verb(node: Function) -> bool:
    marks = decorators(node)
    if node.name.startswith("__") or "property" in marks or re.search(r"\.(command|group)\b", marks):
        return True
    first = node.name.strip("_").split("_")[0]
    is_constructor = "staticmethod" in marks or "classmethod" in marks
    return first in VERBS | PREDICATES | ALLOWED.keys() or (is_constructor and first in {"of", "from"})


def test_functions_start_with_a_verb() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in MODULES.items()
        for node, is_method in functions(tree)
        if not starts_with_a_verb(node) and not (is_method and overrides(path, node))
    ]
    assert not wrong, wrong


def overrides(path: Path, method: Function) -> bool:
    """Whether a method has the name that a class of another library gives it."""
    for node in MODULES[path].body:
        if isinstance(node, ast.ClassDef) and method in node.body:
            ours = {child.name for tree in MODULES.values() for child in tree.body if isinstance(child, ast.ClassDef)}
            return any(ast.unparse(base).split("[")[0].split(".")[-1] not in ours for base in node.bases)
    return False


def test_modules_are_nouns() -> None:
    participle = re.compile(r"(ed|told|held|found|chosen|known|done|given)$")
    assert not [path for path in MODULES if participle.search(path.stem) and path.stem not in {"embed", "pubmed"}]


def test_a_class_name_has_one_home() -> None:
    homes = defaultdict(list)
    for path, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(path.stem)
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


def test_a_public_function_name_has_at_most_two_homes() -> None:
    homes = defaultdict(list)
    for path, tree in MODULES.items():
        for node, is_method in functions(tree):
            if not is_method and not node.name.startswith("_"):
                homes[node.name].append(path.stem)
    same_job = {"read", "looks_like"}  # of every format: what a protocol of modules would name
    assert not {name: paths for name, paths in homes.items() if len(paths) > 2 and name not in same_job}


def names_used(tree: ast.Module) -> set[str]:
    """Names that a module takes from others: imported ones, attributes, and identifiers in strings."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            names.add(node.value)
    return names


def defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, Function) and not re.search(r"\.(command|group)\b", decorators(node))
        ):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_what_a_module_keeps_to_itself_is_private() -> None:
    used = {path: names_used(tree) for path, tree in MODULES.items()}
    elsewhere: dict[str, set[Path]] = defaultdict(set)
    for path, names in used.items():
        for name in names:
            elsewhere[name].add(path)
    scripts = set().union(*map(names_used, SCRIPTS))
    hooks = {"log", "logger"}
    wrong = [
        f"{path.relative_to(ROOT)} {name}"
        for path, tree in MODULES.items()
        if path.name != "__init__.py"
        for name in defined(tree)
        if not name.startswith("_") and not elsewhere[name] - {path} and name not in scripts | hooks
    ]
    assert not wrong, wrong
