"""Pages quote real messages, lead to real files and leave nothing out."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from mmengine.utils import get_object_from_string

from mmxpl import registry
from mmxpl.registry import register_all_modules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = sorted(DOCS.rglob('*.md'))
# what Sphinx documents, by page of the reference
REFERENCE = {
    page.stem: re.findall(r'^\.\. auto\w+:: (\S+)$', page.read_text(), re.M)
    for page in DOCS.glob('reference/*.md')
}


def literal(node):
    """Text of a string in the code, '...' for what is put in when it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else '...' for v in node.values)
        return ''.join(parts)
    return None


@pytest.fixture(scope='module')
def literals():
    found = []
    for folder in ('mmxpl', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            tree = ast.parse(path.read_text(encoding='utf-8'))
            found += filter(None, map(literal, ast.walk(tree)))
    return found


def test_quoted_messages_stand_in_the_code(literals):
    text = (DOCS / 'troubleshooting.md').read_text(encoding='utf-8')
    headings = [line for line in text.splitlines() if line.startswith('## ')]
    quoted = [message for line in headings for message in re.findall(r'`(.+?)`', line)]
    assert len(quoted) > 15
    missing = [m for m in quoted if not any(m in found for found in literals)]
    assert not missing


def links(page):
    """Targets of a page's Markdown links, without code and without the web."""
    text = re.sub(
        r'```.*?```|`[^`\n]*`', '', page.read_text(encoding='utf-8'), flags=re.S
    )
    targets = re.findall(r'\]\(([^)\s]+)\)|(?:src|data|href)="([^"]+)"', text)
    for target in (a or b for a, b in targets):
        if not re.match(r'\w+:|#', target):
            # the site has the figures there
            yield target.partition('#')[0].replace('_static/', 'figures/')


@pytest.mark.parametrize(
    'page',
    [
        ROOT / 'README.md',
        *PAGES,
        *sorted(ROOT.glob('configs/*/README.md')),
        *sorted(ROOT.glob('projects/**/README.md')),
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_to_files(page):
    gone = [target for target in links(page) if not (page.parent / target).exists()]
    assert not gone


def test_every_page_is_in_the_navigation():
    text = (DOCS / 'index.md').read_text()
    toctrees = re.findall(r'```{toctree}\n((?:[^`]*\n)+)```', text)
    named = re.findall(r'^[\w/]+$', '\n'.join(toctrees), re.M)
    pages = [str(page.relative_to(DOCS))[:-3] for page in PAGES]
    assert sorted([*named, 'index']) == sorted(pages), (
        'name each page once in a toctree of docs/index.md'
    )


def test_figure_leads_to_the_reference():
    svg = (DOCS / 'figures' / 'data_flow.svg').read_text()
    targets = re.findall(r'href="\.\./reference/(\w+)\.html#([\w.]+)"', svg)
    assert len(targets) == svg.count('<a ') == 11
    for page, name in targets:
        assert name in REFERENCE[page], name


def test_files_of_the_figure_exist():
    text = (DOCS / 'concepts.md').read_text()
    rows = re.findall(r'^\| \d+ .*\| ([^|]+) \|$', text, re.M)
    assert len(rows) == 11
    for row in rows:
        folder = ROOT
        for name in re.findall(r'`([^`]+)`', row):
            path = ROOT / name if '/' in name else folder / name
            assert path.exists(), name
            folder = path.parent


def test_names_of_the_reference_exist():
    names = [name for listed in REFERENCE.values() for name in listed]
    assert len(names) > 60
    assert len(set(names)) == len(names)
    assert all(callable(get_object_from_string(name)) for name in names)


def test_the_reference_names_where_its_docstrings_are():
    for page, names in REFERENCE.items():
        text = (DOCS / 'reference' / f'{page}.md').read_text()
        places = re.findall(r'`(mmxpl/.*?)`', text)
        for name in names:
            source = inspect.getsourcefile(get_object_from_string(name))
            path = Path(source).relative_to(ROOT)
            assert any(path.is_relative_to(place) for place in places), (page, name)


def test_every_registered_class_is_in_the_reference():
    register_all_modules()
    documented = {
        name.rpartition('.')[2] for listed in REFERENCE.values() for name in listed
    }
    registered = {
        name
        for group in vars(registry).values()
        if isinstance(group, registry.Registry) and group.scope == 'mmxpl'
        for name, kind in group.module_dict.items()
        if kind.__module__.startswith('mmxpl.')
    }
    assert 'CIoUMetric' in registered
    assert not registered - documented
