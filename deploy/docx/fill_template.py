#!/usr/bin/env python3
"""Fills one docxtpl template: a JSON object on standard input, a DOCX on standard output.

    {"template": "/path/kit.docx", "values": {"organization_name": "…", …}}   → the bytes of the filled document
    {"template": "/path/kit.docx", "check": true, "variables": ["…"]}         → JSON: which variables it has (default: the kit's 17)

Exit codes: 0 done, 2 the input is wrong, 3 the template is; one sentence on standard error says what.

With --serve it answers one request after the other: four bytes of length (the highest first) and the JSON; back come one byte, which is the
code above, four bytes of length, and the document, the JSON of a check, or the sentence. The end of standard input ends it. Worker-drafts
keeps it running so, since starting it costs ten times what filling does, with limits on memory and on the time of each request: a template
that loops or swells costs one attempt of one job, and the process.

Values are text, never markup: they are escaped always (a template cannot ask for less), tags inside them come out literally,
control characters are dropped, a line break stays one, a blank line starts a paragraph. A variable that the template names and
nobody gave is an error, because a hole in a paid document is worse than a late one. The same input gives the same bytes.
"""

import io
import json
import os
import pathlib
import re
import sys
import zipfile

from docx import Document
from docxtpl import DocxTemplate
from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

INPUT_BYTES_MAX = 4 * 1024 * 1024
TEMPLATE_BYTES_MAX = 20 * 1024 * 1024
UNPACKED_BYTES_MAX = 100 * 1024 * 1024
NESTING_MAX = 8
PROPERTY_CHARACTERS_MAX = 255

KIT_VARIABLES = (
    "organization_name contact_name email statut_juridique location sector mission_text context_text budget_range funding_sources "
    "audits_types audits_frequency staff_size org_chart_text notes_text generated_content documents_count"
).split()

# XML 1.0 has no way to write these, escaped or not; docxtpl moreover reads \a and \f as its own breaks.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
LINE_BREAK = re.compile("\r\n|[\r\x85\u2028\u2029]")
# docxtpl turns these into {{ }} {% %} after rendering, for templates that write about templates; a value means what it says.
DOCXTPL_ESCAPES = re.compile(r"(?<=\{)_(?=[{%])|(?<=[}%])_(?=\})")


class BadInput(Exception):
    """Standard input is not what it should be."""


class TemplateFault(Exception):
    """The template cannot be read or filled."""


def clean(value, depth=0):
    """A JSON value as templates may see it: plain text without what XML cannot hold."""
    if depth > NESTING_MAX:
        raise BadInput(f"values are nested deeper than {NESTING_MAX}")
    if isinstance(value, str):
        return UNWRITABLE.sub("", LINE_BREAK.sub("\n", value))
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean(name, depth + 1): clean(item, depth + 1) for name, item in value.items()}
    return "" if value is None else value


def as_xml(value):
    """What `{{ … }}` puts into the document: escaped text with docxtpl's break marks. Markup made by the template stays."""
    if isinstance(value, Markup) or not isinstance(value, (str, int, float, list, dict)):
        return value
    text = re.sub("\n{2,}", "\a", str(value).strip("\n"))
    return Markup(DOCXTPL_ESCAPES.sub("&#95;", str(escape(text))))


def document_environment():
    # Sandboxed: a template may come from a customer's office. `finalize` escapes even inside {% autoescape false %}.
    environment = SandboxedEnvironment(autoescape=True, undefined=StrictUndefined, finalize=as_xml)
    environment.filters["safe"] = lambda value: value
    for name in ("urlize", "xmlattr"):
        del environment.filters[name]
    return environment


class KitTemplate(DocxTemplate):
    """docxtpl with properties (title, author, …) rendered as the plain text they are, not as escaped XML."""

    def render_properties(self, context, jinja_env=None):
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        properties = self.docx.core_properties
        for name in ("author", "comments", "identifier", "language", "subject", "title"):
            text = getattr(properties, name)
            if "{" in text:
                rendered = environment.from_string(text).render(context)
                setattr(properties, name, " ".join(rendered.split())[:PROPERTY_CHARACTERS_MAX])


def open_template(path):
    file = pathlib.Path(path)
    try:
        if file.stat().st_size > TEMPLATE_BYTES_MAX:
            raise TemplateFault(f"{path} is larger than {TEMPLATE_BYTES_MAX} bytes")
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_BYTES_MAX:
                raise TemplateFault(f"{path} unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        template = KitTemplate(str(file))
        template.init_docx()
        return template
    except OSError as error:
        raise TemplateFault(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise TemplateFault(f"{path} is not a Word document: {error}") from error


def sentence(error):
    """A template error with the place it happened, as far as docxtpl knows it."""
    place = " / ".join(line.strip() for line in getattr(error, "docx_context", []) if line.strip())
    return f"{error}" + (f" (near: {place[:300]})" if place else "")


def fill(path, values):
    template = open_template(path)
    try:
        template.render(values, document_environment(), autoescape=True)
    except UndefinedError as error:
        raise TemplateFault(f"{path} names a variable that was not given: {sentence(error)}") from error
    except TemplateError as error:
        raise TemplateFault(f"{path}: {sentence(error)}") from error
    except Exception as error:  # a template is a program: whatever it does wrong is the template's fault, said in one line
        raise TemplateFault(f"{path}: {type(error).__name__}: {error}") from error
    raw = io.BytesIO()
    template.save(raw)
    document = with_fixed_times(raw.getvalue())
    reopened = Document(io.BytesIO(document))
    if not reopened.paragraphs and not reopened.tables:
        raise TemplateFault(f"{path} gives an empty document")
    return document


def with_fixed_times(document):
    """The archive with one date for all entries, so that a repeated job makes the same file and the same hash."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as source, zipfile.ZipFile(result, "w") as target:
        for entry in source.infolist():
            fixed = zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0))
            fixed.compress_type = zipfile.ZIP_DEFLATED
            fixed.external_attr = 0o600 << 16
            target.writestr(fixed, source.read(entry))
    return result.getvalue()


def check(path, expected):
    template = open_template(path)
    try:
        found = sorted(template.get_undeclared_template_variables(document_environment()))
    except TemplateError as error:
        raise TemplateFault(f"{path}: {sentence(error)}") from error
    missing = sorted(set(expected) - set(found))
    unknown = sorted(set(found) - set(expected))
    return {"found": found, "missing": missing, "unknown": unknown, "ok": not missing and not unknown}


def refuse_constant(name):
    raise BadInput(f"the input holds {name}, which is no JSON number")


def parsed(raw):
    try:
        request = json.loads(raw, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the input is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise BadInput("the input is not a JSON object")
    if not isinstance(request.get("template"), str) or not request["template"]:
        raise BadInput("template: a path is required")
    return request


def answer(raw):
    """The bytes that a request is answered with."""
    request = parsed(raw)
    if request.get("check") is True:
        expected = request.get("variables", KIT_VARIABLES)
        if not isinstance(expected, list) or not all(isinstance(name, str) for name in expected):
            raise BadInput("variables: a list of names is required")
        return (json.dumps(check(request["template"], expected), ensure_ascii=False) + "\n").encode()
    values = request.get("values")
    if not isinstance(values, dict):
        raise BadInput("values: an object is required")
    for name in values:
        if not name.isidentifier():
            raise BadInput(f"values: '{name[:60]}' is not a variable's name")
    return fill(request["template"], clean(values))


def answered(raw):
    """A request's code and what goes with it."""
    try:
        if len(raw) > INPUT_BYTES_MAX:
            raise BadInput(f"the input is larger than {INPUT_BYTES_MAX} bytes")
        return 0, answer(raw)
    except BadInput as error:
        return 2, f"fill_template: {error}".encode("utf-8", "replace")
    except TemplateFault as error:
        return 3, f"fill_template: {error}".encode("utf-8", "replace")


def serve():
    source = sys.stdin.buffer
    # Whatever a library prints must not get between the answers.
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        head = source.read(4)
        if not head:
            return 0
        length = int.from_bytes(head, "big")
        if len(head) < 4 or length > INPUT_BYTES_MAX:
            print("fill_template: the request's length is wrong", file=sys.stderr)
            return 2
        raw = source.read(length)
        if len(raw) < length:
            return 0
        code, payload = answered(raw)
        target.write(bytes([code]) + len(payload).to_bytes(4, "big") + payload)
        target.flush()


def main():
    if sys.argv[1:] == ["--serve"]:
        return serve()
    code, payload = answered(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1))
    if code:
        print(payload.decode(), file=sys.stderr)
        return code
    sys.stdout.buffer.write(payload)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
