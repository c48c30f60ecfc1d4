"""Makes Markdown of the few reStructuredText forms in docstrings."""

import re

import griffe

ROLE = re.compile(r':(?:class|func|meth|data|obj|attr|mod|math):`~?\.?([^`]+)`')
CODE = re.compile(r'^ *\.\. code-block::[^\n]*\n', re.M)
MATH = re.compile(r'^( *)\.\. math:: *([^\n]+)$', re.M)


def to_markdown(text: str) -> str:
    """Turns roles and formulas into code and drops the heads of literal blocks.

    Args:
        text (str): A docstring.

    Returns:
        str: The same in Markdown; what a code block holds stays indented, which
        Markdown shows as it is.
    """
    return CODE.sub('', MATH.sub(r'\1`\2`', ROLE.sub(r'`\1`', text)))


class RstRoles(griffe.Extension):
    """Applies :func:`to_markdown` to every docstring."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Changes the docstring of an object that was read.

        Args:
            obj (griffe.Object): Class, function, module or attribute.
            **kwargs (object): Not used.
        """
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)
