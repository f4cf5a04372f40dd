"""HTML that cannot be injected into: whatever is not `Markup` is escaped."""

from html import escape


class Markup(str):
    """Text that is HTML already. Only this package makes it, from texts of its own."""

    __slots__ = ()


def html(*children: str) -> Markup:
    """The children in a row, escaped where they are plain text."""
    return Markup("".join(c if isinstance(c, Markup) else escape(str(c), quote=True) for c in children))


def el(name: str, *children: str, **attributes: str | bool) -> Markup:
    """An element. Attributes lose a last "_" (class_), other "_" become "-"; True is an attribute without a value."""
    parts = [name]
    for key, value in attributes.items():
        word = key.removesuffix("_").replace("_", "-")
        if value is True:
            parts.append(word)
        elif value is not False:
            parts.append(f'{word}="{escape(str(value), quote=True)}"')
    opened = Markup(f"<{' '.join(parts)}>")
    return opened if name in {"meta", "br"} else html(opened, *children, Markup(f"</{name}>"))


def fold(title: str, *children: str, opened: bool = False) -> Markup:
    """A part that is shown when its title is clicked; all of them are open when printed."""
    return el("details", el("summary", title), *children, open=opened)


def section(name: str, title: str, *children: str) -> Markup:
    """A section with a heading that the list of contents points to; nothing where there is nothing in it."""
    if not any(children):
        return Markup("")
    return el("section", el("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def plot(kind: str, label: str, place: int | None = None) -> Markup:
    """The place of a plot, which page.js draws from the data of the page: `kind`, and the number of the set."""
    number = "" if place is None else str(place)
    return el("div", class_="figure", data_kind=kind, data_place=number, role="group", aria_label=label)
