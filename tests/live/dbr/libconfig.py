# SPDX-License-Identifier: PostgreSQL
"""Python values as libconfig text: dict = group, list of plain values = array, list of groups = list, tuple = list."""


def _string(text):
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _value(value, indent):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        inner = "".join(f"{indent}\t{key} = {_value(item, indent + chr(9))};\n" for key, item in value.items() if item is not None)
        return "{\n" + inner + indent + "}"
    if isinstance(value, tuple) or any(isinstance(item, (dict, list, tuple)) for item in value):
        return "( " + ", ".join(_value(item, indent) for item in value) + " )"
    return "[ " + ", ".join(_value(item, indent) for item in value) + " ]"


def libconfig(settings):
    """The text of a configuration file. A string passes unchanged; a key whose value is None is left out."""
    if isinstance(settings, str):
        return settings
    return "".join(f"{key} = {_value(value, '')};\n" for key, value in settings.items() if value is not None)
