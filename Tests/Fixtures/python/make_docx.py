"""Makes a one-paragraph DOCX template: make_docx.py <file> <text of the paragraph>."""

import sys

from docx import Document

document = Document()
document.add_paragraph(sys.argv[2])
document.save(sys.argv[1])
