"""An account of a dataset in words: the lines that a training begins with, and what each reason asks for."""

from __future__ import annotations

from edgebench.records.account import SHOWN, WORDS, Account, Groups, Layout, LeftOut, Reason

CLASSES_SHOWN = 8
SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test"}
# What a user can do, where that is more than to leave it as it is.
REMEDIES: dict[Reason, str] = {
    "needs_plugin": "pip install pillow-heif reads HEIC, pip install pillow-jxl-plugin JPEG XL",
    "needs_program": "convert them to PNG",
    "folder_link": "links to folders are followed only as classes and splits: link the files, or move the folder there",
    "no_class": "move them into class folders, or give their labels with --labels FILE",
    "unused": "rename the folders to use them",
    "broken": "repair or delete them; a training goes on without them only with --skip-broken",
    "unlabelled": "add them to the table to use them",
}


def short(account: Account) -> list[str]:
    """Two or three lines: what is used, how the folders were understood, and what was left out."""
    lines = [f"data: {used(account)}"]
    if account.layout.kind != "arrays":
        lines.append(f"data: {understood(account.layout)}")
    if account.left_out:
        count = sum(each.count for each in account.left_out)
        parts = ", ".join(left(each) for each in account.left_out)
        lines.append(f"data: {count:,} of {account.found:,} files left out: {parts}")
        lines += [f"data: {each.count:,} {WORDS[each.reason]}: {REMEDIES[each.reason]}" for each in account.left_out
                  if each.reason in REMEDIES]  # fmt: skip
    if account.groups:
        lines.append(f"data: {grouped(account.groups)}")
    lines += [f"data: {each.message}; {each.remedy}" for each in account.notices]
    return lines


def grouped(groups: Groups) -> str:
    """How many pictures are in groups that no split parts."""
    return (
        f"{groups.pictures:,} pictures in {groups.groups:,} group{'s, each' * (groups.groups != 1)} in one split; the "
        f"largest has {groups.largest:,} ({groups.name} …)"
    )


def one_line(name: str) -> str:
    """A class's name, which comes from outside, without the line breaks that would tear a line of text."""
    return " ".join(name.split())


def used(account: Account) -> str:
    """How many pictures each split uses, of which classes."""
    what = "images" if account.layout.kind == "arrays" else "pictures"
    names = ", ".join(map(one_line, account.classes[:CLASSES_SHOWN]))
    names += ", …" if len(account.classes) > CLASSES_SHOWN else ""
    parts = ", ".join(f"{account.used[split]:,} {word}" for split, word in SPLIT_WORDS.items() if split in account.used)
    return f"{sum(account.used.values()):,} {what} of {len(account.classes)} classes ({names}): {parts}"


def understood(layout: Layout) -> str:
    """The layout in a sentence, and how to say otherwise."""
    cut = [SPLIT_WORDS[split] for split in ("validation", "test") if split not in layout.folders]
    rest = f"; {' and '.join(cut)} {'is' if len(cut) == 1 else 'are'} cut from training" if cut else ""
    named = ", ".join(
        f"{'/, '.join(layout.folders[split])}/ = {word}"
        for split, word in SPLIT_WORDS.items()
        if any(layout.folders.get(split, ()))
    )
    if layout.kind == "labels":
        columns = ", ".join(f"{meaning} = {name}" for meaning, name in layout.columns.items())
        single = "" if "label" in layout.columns else "; each class has a column"
        if layout.without_split:
            rest = f"; {layout.without_split:,} without a split count as training{rest}"
        return f"labels of {', '.join(layout.labels)} ({columns}{single}){'; ' * bool(named)}{named}{rest}"
    said = f"folders are {layout.levels}" + (f" ({named})" if named else "")
    if layout.alike:
        also = ", ".join(f"{name}/" for name in layout.alike[:SHOWN])
        return f"{said}{rest}; each holds {also}: if these are the classes, say --layout any/class"
    return f"{said}{rest}" if layout.asked else f"{said}{rest}; --layout says otherwise"


def left(each: LeftOut) -> str:
    """How many files were left out for a reason, with the first names."""
    more = " …" if each.count > len(each.names) else ""
    return f"{each.count:,} {WORDS[each.reason]} ({', '.join(each.names)}{more})"
