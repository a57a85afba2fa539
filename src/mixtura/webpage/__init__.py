"""Pages that need nothing but themselves: one HTML file, offline, for screen, phone and paper.

Every text goes through `escape` or `json_text`. A content security policy names
the scripts of the page by their hashes, so that no other script could run, and
forbids every request.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from mixtura.errors import UsageError, printable


def escape(value: object) -> str:
    """Text for HTML: markup becomes harmless, what is not printable a question mark.

    Examples
    --------
    >>> escape('<script>"a" & b')
    '&lt;script&gt;&quot;a&quot; &amp; b'
    """
    return html.escape(printable(str(value)), quote=True)


def json_text(value: Any) -> str:
    r"""JSON for the inside of a script element, which it cannot end.

    Examples
    --------
    >>> json_text({"name": "</script>"})
    '{"name":"\\u003c/script>"}'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def page(title: str, body: str, scripts: Sequence[str] = (), *, style: str = "") -> str:
    """Make a page of a title, a body that is HTML already, and scripts that run after it.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML; everything in it that came from outside must be escaped.
    scripts : sequence of str
        JavaScript, in order.
    style : str
        More CSS.

    Returns
    -------
    str
        A whole HTML document.

    Examples
    --------
    >>> "<title>a &lt; b</title>" in page("a < b", "<p>text</p>")
    True
    """
    hashes = " ".join(f"'{_hash(one)}'" for one in scripts) or "'none'"
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    running = "".join(f"<script>{one}</script>\n" for one in scripts)
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{asset('page.css')}{style}</style>\n"
        f"</head>\n<body>\n{body}\n{running}</body>\n</html>\n"
    )


def asset(name: str, room: str = "mixtura.webpage") -> str:
    """Text of a file of the package."""
    return resources.files(room).joinpath(name).read_text("utf-8")


def plotly_script() -> str:
    """The Plotly library as one script (5 MB).

    Raises
    ------
    UsageError
        plotly is not installed.
    """
    try:
        import plotly
    except ImportError:
        raise UsageError.needs_package("a film as a page", "plotly", "plot") from None
    file = resources.files(plotly).joinpath("package_data", "plotly.min.js")
    return file.read_text("utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """Make a table of text, escaped; the first cell of a row names it.

    Examples
    --------
    >>> table(["a"], [["<b>"]]).count("&lt;b&gt;")
    1
    """
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    lines = "".join(
        "<tr>"
        + f'<th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    # outside of the part that scrolls sideways on a narrow screen
    words = f'<p class="faint caption">{escape(caption)}</p>\n' if caption else ""
    return (
        f'{words}<div class="wide"><table><thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table></div>"
    )


def framed(text: str, height: int = 640) -> str:
    """Show a page inside another one, such as a notebook; nothing gets out of its frame."""
    inner = "\n".join(html.escape(line, quote=True) for line in text.split("\n"))
    return (
        f'<iframe style="width:100%;height:{height}px;border:0" sandbox="allow-scripts" '
        f'srcdoc="{inner}"></iframe>'
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
