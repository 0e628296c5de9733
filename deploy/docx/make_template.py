#!/usr/bin/env python3
"""Makes the Kit's draft template, with every variable of the kit in it, for the office to adapt in Word.

    deploy/docx/make_template.py <PRIVATE_MEDIA_ROOT>/templates/kit_complet_template.docx [--force]

An existing file is left alone unless --force is given: it may be the office's own.
"""

import os
import pathlib
import sys

from docx import Document
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

FONT = "DejaVu Sans"
ACCENT = RGBColor(0x1F, 0x3A, 0x5F)

IDENTITY = (
    ("Organisation", "organization_name"),
    ("Personne de contact", "contact_name"),
    ("Adresse e-mail", "email"),
    ("Statut juridique", "statut_juridique"),
    ("Localisation", "location"),
    ("Secteur d’activité", "sector"),
    ("Effectif", "staff_size"),
    ("Documents fournis", "documents_count"),
)
AUDITS = (
    ("Types d’audits", "audits_types"),
    ("Fréquence des audits", "audits_frequency"),
    ("Tranche de budget", "budget_range"),
    ("Sources de financement", "funding_sources"),
)


def tag(variable):
    return "{{ " + variable + " }}"


def set_font(style, size, colour=None, bold=None):
    style.font.name = FONT
    # Word takes the font of other scripts from attributes of their own.
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for attribute in ("w:ascii", "w:hAnsi", "w:cs", "w:eastAsia"):
        fonts.set(qn(attribute), FONT)
    for theme in ("w:asciiTheme", "w:hAnsiTheme", "w:cstheme", "w:eastAsiaTheme"):
        fonts.attrib.pop(qn(theme), None)
    style.font.size = Pt(size)
    if colour is not None:
        style.font.color.rgb = colour
    if bold is not None:
        style.font.bold = bold


def set_language(document):
    language = OxmlElement("w:lang")
    language.set(qn("w:val"), "fr-FR")
    properties = document.styles["Normal"].element.get_or_add_rPr()
    properties.append(language)


def add_field(paragraph, code):
    """A field that Word computes itself, such as the page number."""
    for kind, text in (("begin", None), (None, code), ("end", None)):
        run = paragraph.add_run()
        if kind:
            element = OxmlElement("w:fldChar")
            element.set(qn("w:fldCharType"), kind)
        else:
            element = OxmlElement("w:instrText")
            element.set(qn("xml:space"), "preserve")
            element.text = text
        run._r.append(element)


def add_table(document, rows):
    table = document.add_table(rows=0, cols=2)
    table.style = "Table Grid"
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    for label, variable in rows:
        cells = table.add_row().cells
        cells[0].width, cells[1].width = Cm(5.5), Cm(11)
        cells[0].paragraphs[0].add_run(label).bold = True
        cells[1].paragraphs[0].add_run(tag(variable))
    document.add_paragraph()


def make():
    document = Document()
    set_font(document.styles["Normal"], 10.5)
    set_language(document)
    for name, size in (("Title", 22), ("Heading 1", 14), ("Heading 2", 12)):
        set_font(document.styles[name], size, ACCENT, bold=True)
    properties = document.core_properties
    properties.title = "Kit complet – " + tag("organization_name")
    properties.subject = "Dossier préparé à la demande de " + tag("contact_name")
    properties.author, properties.comments, properties.language = "Quittance", "", "fr-FR"

    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.2)
    header = section.header.paragraphs[0]
    header.text = "Kit complet – " + tag("organization_name")
    header.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    footer = section.footer.paragraphs[0]
    footer.add_run("Document confidentiel préparé pour " + tag("contact_name") + " (" + tag("email") + ") – page ")
    add_field(footer, "PAGE")
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER

    document.add_paragraph("Kit complet", style="Title")
    document.add_paragraph("Dossier de " + tag("organization_name") + ", " + tag("location"))
    document.add_heading("1. Fiche d’identité", level=1)
    add_table(document, IDENTITY)
    document.add_heading("2. Mission", level=1)
    document.add_paragraph(tag("mission_text"))
    document.add_heading("3. Contexte", level=1)
    document.add_paragraph(tag("context_text"))
    document.add_heading("4. Audits, budget et financements", level=1)
    add_table(document, AUDITS)
    document.add_heading("5. Organisation interne", level=1)
    document.add_paragraph(tag("org_chart_text"))
    document.add_heading("6. Remarques", level=1)
    document.add_paragraph(tag("notes_text"))
    document.add_page_break()
    document.add_heading("7. Dossier rédigé", level=1)
    document.add_paragraph(tag("generated_content"))
    document.add_heading("8. Pièces", level=1)
    document.add_paragraph("Nombre de documents remis par l’organisation : " + tag("documents_count") + ".")
    return document


def main(arguments):
    force = "--force" in arguments
    paths = [argument for argument in arguments if argument != "--force"]
    if len(paths) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    target = pathlib.Path(paths[0])
    if target.exists() and not force:
        print(f"{target} is there already and stays as it is")
        return 0
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        make().save(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, target)
    print(f"made {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
