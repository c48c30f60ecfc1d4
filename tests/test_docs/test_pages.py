"""Pages quote real messages, lead to real files and leave nothing out."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from mmxpl import registry
from mmxpl.utils.setup_env import register_all_modules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = sorted(DOCS.rglob('*.md'))


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
    headings = [line for line in text.splitlines() if line.startswith('### ')]
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
            yield target.partition('#')[0]


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
    nav = (ROOT / 'mkdocs.yml').read_text().partition('\nnav:')[2]
    named = re.findall(r': (\S+\.md)$', nav, re.M)
    pages = [str(page.relative_to(DOCS)) for page in PAGES]
    assert sorted(named) == sorted(pages), 'name each page once in nav of mkdocs.yml'


def test_figure_leads_to_the_reference():
    svg = (DOCS / 'figures' / 'data_flow.svg').read_text()
    targets = re.findall(r'href="\.\./reference/(\w+)\.html#([\w.]+)"', svg)
    assert len(targets) == svg.count('<a ') == 11
    for page, name in targets:
        assert f'::: {name}\n' in (DOCS / 'reference' / f'{page}.md').read_text(), name


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


def test_every_registered_class_is_in_the_reference():
    register_all_modules()
    documented = {
        line.rpartition('.')[2]
        for page in (DOCS / 'reference').glob('*.md')
        for line in page.read_text().splitlines()
        if line.startswith('::: ')
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


def test_docstrings_become_markdown():
    pytest.importorskip('griffe')
    tool = runpy.run_path(str(DOCS / '_ext' / 'rst_roles.py'))
    text = (
        'See :func:`~mmxpl.x.y`:\n\n.. math:: a_i\n\n.. code-block:: none\n\n    code\n'
    )
    expected = 'See `mmxpl.x.y`:\n\n`a_i`\n\n\n    code\n'
    assert tool['to_markdown'](text) == expected
