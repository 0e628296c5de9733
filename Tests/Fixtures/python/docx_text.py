"""Prints what a DOCX says, as JSON: paragraphs, table cells, header, footer and title."""

import json
import sys

from docx import Document

document = Document(sys.argv[1])
section = document.sections[0]
print(
    json.dumps(
        {
            "paragraphs": [paragraph.text for paragraph in document.paragraphs],
            "cells": [cell.text for table in document.tables for row in table.rows for cell in row.cells],
            "header": section.header.paragraphs[0].text,
            "footer": section.footer.paragraphs[0].text,
            "title": document.core_properties.title,
        }
    )
)
